internal import ResourceControl
internal import VirtualNet
internal import ZoneRuntime

/// The rows of `services: NAME:`.
extension Service {
  /// A service before fields that say the same twice have been put together.
  struct Draft {
    var service = Service()
    var networkMode: ServiceNetwork?
    var networks: ServiceNetwork?
    var deployRestart: RestartPolicy?
    var topLimits = ResourceLimits()
    var deployLimits = ResourceLimits()
    var restartGiven = false
    var environmentFiles: [String: String] = [:]
    var profile: ZoneProfile?
  }

  static let table = FieldTable<Draft>(
    "a service",
    [
      Field(
        "image", "text",
        "where the root comes from: sparse (the host's /usr, the default), dir:PATH, oci:NAME (an image here) or empty"
      ) {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.image = try node.parsed { (text) throws(SyntaxError) in try Brand(parsing: text) }
      },
      Field(
        "command", "text or list", "the first process; text is split into words as a shell does, nothing is expanded"
      ) {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.command = try node.commandLine()
      },
      Field("environment", "map or list", "variables; one without a value is taken from the caller's environment") {
        (node, draft, reading) throws(ManifestProblem) in
        draft.service.environment = try node.variables(reading.environment)
      },
      Field("env_file", "path or list", "files of NAME=VALUE lines; `environment` wins over them") {
        (node, draft, reading) throws(ManifestProblem) in
        for file in node.isList ? try node.list() : [node] {
          draft.environmentFiles.merge(try file.environmentFile(reading)) { $1 }
        }
      },
      Field(
        "profile", "path",
        "a profile that zonectl learn wrote: its paths are given at their own places, its other lines are the service's; the service's own fields win, volumes are joined"
      ) {
        (node, draft, reading) throws(ManifestProblem) in
        draft.profile = try node.profile(reading)
      },
      Field("ports", "list", "published ports: [ADDRESS:]HOST:ZONE[/tcp|udp], or maps") {
        (node, draft, reading) throws(ManifestProblem) in
        for entry in try node.list() {
          reading.places["\(entry.name)"] = entry
          if entry.isMap {
            var port = ServicePort(hostAddress: nil, host: 1...1, zone: 1...1, transport: .tcp)
            for wanted in ["target", "published"] where try !entry.has(wanted) {
              throw entry.problem("\(entry.name) has no \(wanted)")
            }
            ServicePort.long.read(entry, into: &port, &reading)
            try port.check(entry)
            draft.service.ports.append(port)
          } else {
            draft.service.ports.append(try ServicePort.short(entry))
          }
        }
      },
      Field(
        "volumes", "list",
        "SOURCE:TARGET[:ro], or maps; a source is a path of the host or a volume declared below `volumes`"
      ) {
        (node, draft, reading) throws(ManifestProblem) in
        for entry in try node.list() {
          reading.places[entry.name] = entry
          if entry.isMap {
            var long = VolumeMount.Long()
            VolumeMount.long.read(entry, into: &long, &reading)
            draft.service.volumes.append(try VolumeMount(long, entry, reading))
          } else {
            draft.service.volumes.append(try VolumeMount.short(entry, reading))
          }
        }
      },
      Field("tmpfs", "path or list", "paths inside that get a tmpfs of their own") {
        (node, draft, _) throws(ManifestProblem) in
        for entry in node.isList ? try node.list() : [node] {
          let path = try entry.text()
          guard path.hasPrefix("/"), !path.contains(":") else {
            throw entry.problem("\(entry.name) wants an absolute path, not '\(path)'")
          }
          draft.service.volumes.append(VolumeMount(source: .tmpfs(size: nil), target: path))
        }
      },
      Field(
        "networks", "text, list or map of one", "the network, declared below `networks`; without it the fleet's own"
      ) {
        (node, draft, reading) throws(ManifestProblem) in
        var names: [(String, ManifestNode)] = []
        if node.isMap {
          for (key, value) in try node.entries() {
            guard value.isNull else { throw value.problem("\(value.name) takes no fields here") }
            names.append((key.key, key))
          }
        } else {
          for entry in node.isList ? try node.list() : [node] { names.append((try entry.text(), entry)) }
        }
        guard let (name, place) = names.first else {
          throw node.problem("\(node.name) names no network; for none write network_mode: none")
        }
        guard names.count == 1 else { throw names[1].1.problem("a service is on one network, not on \(names.count)") }
        reading.places[node.name] = place
        draft.networks = .fleet(name)
      },
      Field("network_mode", "none or host", "no network, or the host's own") {
        (node, draft, _) throws(ManifestProblem) in
        draft.networkMode = try node.choice(["none", "host"]) == "none" ? ServiceNetwork.none : .host
      },
      Field(
        "secrets", "list",
        "secrets declared below `secrets`, each a file below /run/secrets: names, or maps of source, target, uid"
      ) {
        (node, draft, reading) throws(ManifestProblem) in
        for entry in try node.list() {
          reading.places[entry.name] = entry
          draft.service.secrets.append(try ServiceSecret.read(entry, &reading))
        }
      },
      Field(
        "restart", "text",
        "no, always, unless-stopped or on-failure[:TRIES]; apply starts what has stopped whatever it says, but for work that is done"
      ) {
        (node, draft, _) throws(ManifestProblem) in
        // YAML 1.1 reads a bare `no` as false, and many editors write it back so.
        let text = try node.scalarText() ?? ""
        draft.service.restart =
          text == "false" ? .no : try node.parsed { (text) throws(SyntaxError) in try RestartPolicy(parsing: text) }
        draft.restartGiven = true
      },
      Field(
        "healthcheck", "map", "how to tell that it works: test, http, tcp or several of them, which must all succeed"
      ) {
        (node, draft, reading) throws(ManifestProblem) in
        draft.service.health = try HealthCheck.read(node, &reading)
      },
      Field("depends_on", "list or map", "services that come first; in a map with the condition they must meet") {
        (node, draft, reading) throws(ManifestProblem) in
        if node.isMap {
          for (key, value) in try node.entries() {
            reading.places["\(node.name).\(key.key)"] = key
            var condition = DependencyCondition.started
            dependencyTable.read(value, into: &condition, &reading)
            draft.service.dependsOn[key.key] = condition
          }
        } else {
          for entry in try node.list() {
            let name = try entry.text()
            guard draft.service.dependsOn[name] == nil else {
              throw entry.problem("'\(name)' is there twice in \(node.name)")
            }
            reading.places["\(node.name).\(name)"] = entry
            draft.service.dependsOn[name] = .started
          }
        }
      },
      Field("deploy", "map", "replicas, resources.limits and restart_policy") {
        (node, draft, reading) throws(ManifestProblem) in
        deployTable.read(node, into: &draft, &reading)
      },
      Field("cpus", "number", "the cap in CPUs; 0.5 is half of one") { (node, draft, _) throws(ManifestProblem) in
        draft.topLimits.cpus = try node.number(0.01...4096)
      },
      Field("cpu_shares", "number", "the share against other zones, 2 to 262144; 1024 is usual") {
        (node, draft, _) throws(ManifestProblem) in
        draft.topLimits.cpuShares = Int(try node.whole(2...262_144))
      },
      Field("cpuset", "text", "the CPUs it may run on: 0-1,3") { (node, draft, _) throws(ManifestProblem) in
        let text = try node.textOrNumber()
        guard isCPUList(text) else { throw node.problem("\(node.name) '\(text)' is not a list of CPUs such as 0-1,3") }
        draft.topLimits.cpuset = text
      },
      Field("mem_limit", "size", "the most memory") { (node, draft, _) throws(ManifestProblem) in
        draft.topLimits.memory = try node.bytes()
      },
      Field("pids_limit", "number", "the most processes and threads") { (node, draft, _) throws(ManifestProblem) in
        draft.topLimits.pids = try node.whole(1...4_194_304)
      },
      Field("read_only", "true or false", "the root is read-only") { (node, draft, _) throws(ManifestProblem) in
        draft.service.readOnly = try node.bool()
      },
      Field("cap_add", "list", "capabilities beside the default set") { (node, draft, _) throws(ManifestProblem) in
        draft.service.capAdd = try node.texts()
      },
      Field("cap_drop", "list", "capabilities taken from the default set; ALL") {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.capDrop = try node.texts()
      },
      Field("user", "text or number", "USER[:GROUP], names or numbers of the zone's own") {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.user = try node.textOrNumber()
      },
      Field("working_dir", "path", "the first process's directory") { (node, draft, _) throws(ManifestProblem) in
        let path = try node.text()
        guard path.hasPrefix("/") else { throw node.problem("\(node.name) wants an absolute path, not '\(path)'") }
        draft.service.workdir = path
      },
      Field("hostname", "text", "the zone's name is its hostname without it") {
        (node, draft, _) throws(ManifestProblem) in
        let name = try node.text()
        guard isDNSLabel(name) else { throw node.problem("\(node.name) '\(name)' is not a host name (a-z, 0-9 and -)") }
        draft.service.hostname = name
      },
      Field("labels", "map or list", "names and values of your own, kept with each zone") {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.labels = try node.labels()
      },
      Field("storage_opt", "map", "size: how much each zone may write to its root (ext4, xfs, btrfs with quotas; root)")
      {
        (node, draft, reading) throws(ManifestProblem) in
        storageTable.read(node, into: &draft, &reading)
      },
      Field("stop_signal", "text", "what a stop sends first; TERM without it") {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.stopSignal = try node.signalName()
      },
      Field("stop_grace_period", "time", "how long a stop waits before the kill; 10s without it") {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.stopGrace = try node.seconds()
      },
      Field("init", "true or false", "false: the command is the zone's own pid 1") {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.ownInit = try !node.bool()
      },
      Field("tty", "true or false", "a terminal for the first process") { (node, draft, _) throws(ManifestProblem) in
        draft.service.terminal = try node.bool()
      },
      Field("nesting", "true or false", "namespaces and zones may be made inside") {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.nesting = try node.bool()
      },
      Field("autostart", "true or false", "started when the machine starts (zonectl boot --all)") {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.autostart = try node.bool()
      },
    ])

  static let deployTable = FieldTable<Draft>(
    "deploy",
    [
      Field("replicas", "number", "how many zones, 1 without it; they share each single published TCP port") {
        (node, draft, _) throws(ManifestProblem) in
        draft.service.replicas = Int(try node.whole(0...1000))
      },
      Field("resources", "map", "limits") { (node, draft, reading) throws(ManifestProblem) in
        resourcesTable.read(node, into: &draft, &reading)
      },
      Field("restart_policy", "map", "condition and max_attempts; the same as `restart`") {
        (node, draft, reading) throws(ManifestProblem) in
        var policy = DeployRestart()
        restartTable.read(node, into: &policy, &reading)
        draft.deployRestart = try policy.value(node)
      },
    ])

  static let storageTable = FieldTable<Draft>(
    "storage_opt",
    [
      Field("size", "size", "at most this much, 2g say") { (node, draft, _) throws(ManifestProblem) in
        let bytes = try node.bytes()
        guard bytes >= 4096 else { throw node.problem("\(node.name) is less than a page (4096 bytes)") }
        draft.service.quota = bytes
      }
    ])

  static let resourcesTable = FieldTable<Draft>(
    "deploy.resources",
    [
      Field("limits", "map", "cpus, memory and pids") { (node, draft, reading) throws(ManifestProblem) in
        limitsTable.read(node, into: &draft.deployLimits, &reading)
      }
    ])

  static let limitsTable = FieldTable<ResourceLimits>(
    "deploy.resources.limits",
    [
      Field("cpus", "number", "as `cpus`") { (node, limits, _) throws(ManifestProblem) in
        limits.cpus = try node.number(0.01...4096)
      },
      Field("memory", "size", "as `mem_limit`") { (node, limits, _) throws(ManifestProblem) in
        limits.memory = try node.bytes()
      },
      Field("pids", "number", "as `pids_limit`") { (node, limits, _) throws(ManifestProblem) in
        limits.pids = try node.whole(1...4_194_304)
      },
    ])

  struct DeployRestart {
    var condition = "any"
    var attempts: Int?

    func value(_ node: ManifestNode) throws(ManifestProblem) -> RestartPolicy {
      switch (condition, attempts) {
      case ("none", nil): return .no
      case ("any", nil): return .always
      case ("on-failure", let limit): return .onFailure(limit: limit)
      default: throw node.problem("\(node.name): max_attempts needs the condition on-failure")
      }
    }
  }

  static let restartTable = FieldTable<DeployRestart>(
    "deploy.restart_policy",
    [
      Field("condition", "text", "none, on-failure or any") { (node, policy, _) throws(ManifestProblem) in
        policy.condition = try node.choice(["none", "on-failure", "any"])
      },
      Field("max_attempts", "number", "how often in a row, with on-failure") {
        (node, policy, _) throws(ManifestProblem) in
        policy.attempts = Int(try node.whole(1...999_999))
      },
    ])

  static let dependencyTable = FieldTable<DependencyCondition>(
    "a dependency",
    [
      Field("condition", "text", DependencyCondition.allCases.map(\.rawValue).joined(separator: ", ")) {
        (node, condition, _) throws(ManifestProblem) in
        condition = .init(rawValue: try node.choice(DependencyCondition.allCases.map(\.rawValue)))!
      }
    ])
}

/// `0-1,3`, as cpuset(7)'s list format has it.
private func isCPUList(_ text: String) -> Bool {
  text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { part in
    let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
    return (1...2).contains(ends.count) && !ends.contains(nil) && ends.first!! <= ends.last!!
  }
}
