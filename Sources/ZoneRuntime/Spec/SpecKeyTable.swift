internal import ResourceControl
internal import VirtualNet

extension SpecKeys {
  /// Every setting, in the order of `show`.
  public static let table: [SpecKey] = rootAndCommand + limits + network + walls + life

  private static let rootAndCommand: [SpecKey] = [
    SpecKey(
      "image", .refused("the root was made from it (delete the zone and create it again)"),
      .value({ $0.brand.text }) { (spec, text) throws(SyntaxError) in
        spec.brand = try text.map { (text) throws(SyntaxError) in try Brand(parsing: text) } ?? .sparse
      }),
    SpecKey(
      "command", .restart,
      .value({ $0.command.isEmpty ? nil : ShellWords.join($0.command) }) { (spec, text) throws(SyntaxError) in
        spec.command = try ShellWords.split(text ?? "")
      }),
    SpecKey(
      "env", .restart,
      .map({ $0.environment }) { (spec, name, value) throws(SyntaxError) in
        spec.environment[try SpecValue.variable(name, "env")] = value
      }),
    SpecKey(
      "workdir", .restart,
      .value({ $0.workdir }) { (spec, text) throws(SyntaxError) in
        spec.workdir = try text.map { (text) throws(SyntaxError) in try SpecValue.absolutePath(text, "workdir") }
      }),
    SpecKey(
      "user", .restart,
      .value({ $0.user }) { (spec, text) throws(SyntaxError) in
        spec.user = try text.map { (text) throws(SyntaxError) in try SpecValue.user(text, "user") }
      }),
    SpecKey(
      "quota", .live,
      .value({ $0.quota.map { ByteSize.text($0) } }) { (spec, text) throws(SyntaxError) in
        spec.quota = try text.map { (text) throws(SyntaxError) in try SpecValue.bytes(text, "quota") }
      }),
    flag("tty", .restart, { $0.terminal }) { $0.terminal = $1 },
    flag("init", .restart, { $0.ownInit }) { $0.ownInit = $1 },
    SpecKey(
      "volume", .restart,
      .list(
        { $0.volumes.filter { !$0.isTmpfs }.map { $0.text } },
        { (spec, texts) throws(SyntaxError) in
          let name = spec.name
          var mounts: [VolumeMount] = []
          for text in texts { mounts.append(try VolumeMount(parsing: text, zone: name)) }
          spec.volumes = try distinct(mounts + spec.volumes.filter { $0.isTmpfs })
        }, commas: false)),
    SpecKey(
      "tmpfs", .restart,
      .list(
        { $0.volumes.filter { $0.isTmpfs }.map { $0.text } },
        { (spec, texts) throws(SyntaxError) in
          var mounts: [VolumeMount] = []
          for text in texts { mounts.append(try VolumeMount(parsingTmpfs: text)) }
          spec.volumes = try distinct(spec.volumes.filter { !$0.isTmpfs } + mounts)
        }, commas: true)),
    SpecKey(
      "secret", .restart,
      .list(
        { $0.secrets.map { $0.text } },
        { (spec, texts) throws(SyntaxError) in
          var secrets: [SecretMount] = []
          for text in texts {
            let secret = try SecretMount(parsing: text)
            guard !secrets.contains(where: { $0.name == secret.name }) else {
              throw SyntaxError(what: "secret", value: text, why: "there are two of that name")
            }
            secrets.append(secret)
          }
          spec.secrets = secrets
        }, commas: false)),
  ]

  private static let limits: [SpecKey] = [
    SpecKey(
      "cpus", .live,
      .value({ $0.limits.cpus.map { SpecValue.text($0) } }) { (spec, text) throws(SyntaxError) in
        spec.limits.cpus = try text.map { (text) throws(SyntaxError) in
          try SpecValue.decimal(text, "cpus", 0.01...65536)
        }
      }),
    SpecKey(
      "cpu-shares", .live,
      .value({ $0.limits.cpuShares.map(String.init) }) { (spec, text) throws(SyntaxError) in
        spec.limits.cpuShares = try text.map { (text) throws(SyntaxError) in
          try SpecValue.whole(text, "cpu-shares", 2...262_144)
        }
      }),
    SpecKey(
      "cpuset", .live,
      .value({ $0.limits.cpuset }) { (spec, text) throws(SyntaxError) in
        spec.limits.cpuset = try text.map { (text) throws(SyntaxError) in try SpecValue.cpuList(text, "cpuset") }
      }),
    SpecKey(
      "memory", .live,
      .value({ $0.limits.memory.map { ByteSize.text($0) } }) { (spec, text) throws(SyntaxError) in
        spec.limits.memory = try text.map { (text) throws(SyntaxError) in try SpecValue.bytes(text, "memory") }
      }),
    SpecKey(
      "pids", .live,
      .value({ $0.limits.pids.map(String.init) }) { (spec, text) throws(SyntaxError) in
        // PID_MAX_LIMIT of 64-bit kernels (include/linux/threads.h).
        spec.limits.pids = try text.map { (text) throws(SyntaxError) in try SpecValue.whole(text, "pids", 1...4_194_304)
        }
      }),
  ]

  private static let network: [SpecKey] = [
    SpecKey(
      "hostname", .restart,
      .value({ $0.hostname }) { (spec, text) throws(SyntaxError) in
        spec.hostname = try text.map { (text) throws(SyntaxError) in try SpecValue.hostname(text, "hostname") }
      }),
    SpecKey(
      "network", .restart,
      .value({ $0.network.text }) { (spec, text) throws(SyntaxError) in
        spec.network =
          try text.map { (text) throws(SyntaxError) in try NetworkChoice(parsing: text) } ?? .named("default")
      }),
    SpecKey(
      "network-alias", .restart,
      .list(
        { $0.aliases },
        { (spec, texts) throws(SyntaxError) in
          for text in texts where !isDNSLabel(text) {
            throw SyntaxError(what: "network-alias", value: text, why: "not a name (a-z, 0-9 and -)")
          }
          spec.aliases = texts
        }, commas: true)),
    SpecKey(
      "publish", .live,
      .list(
        { $0.publish.map { $0.text } },
        { (spec, texts) throws(SyntaxError) in
          var ports: [PublishedPort] = []
          for text in texts {
            do throws(NetworkError) { ports.append(contentsOf: try PublishedPort.parse(text)) } catch {
              throw SyntaxError(what: "publish", value: text, why: "\(error)")
            }
          }
          spec.publish = ports
        }, commas: true)),
  ]

  private static let walls: [SpecKey] = [
    flag("read-only", .restart, { $0.readOnly }) { $0.readOnly = $1 },
    capabilities("cap-add", { $0.capAdd }) { $0.capAdd = $1 },
    capabilities("cap-drop", { $0.capDrop }) { $0.capDrop = $1 },
    flag("nesting", .restart, { $0.nesting }) { $0.nesting = $1 },
    SpecKey(
      "calls", .restart,
      .list(
        { $0.calls },
        { (spec, texts) throws(SyntaxError) in
          _ = try CallGroups(named: texts)
          spec.calls = texts
        }, commas: true)),
  ]

  private static let life: [SpecKey] = [
    SpecKey(
      "restart", .live,
      .value({ $0.restart.text }) { (spec, text) throws(SyntaxError) in
        spec.restart = try text.map { (text) throws(SyntaxError) in try RestartPolicy(parsing: text) } ?? .no
      }),
    flag("autostart", .live, { $0.autostart }) { $0.autostart = $1 },
    SpecKey(
      "expires", .live,
      .value({ $0.expires.map(LeaseTime.text) }) { (spec, text) throws(SyntaxError) in
        spec.expires = try text.map { (text) throws(SyntaxError) in try LeaseTime.parse(text) } ?? nil
      }),
    SpecKey(
      "stop-signal", .live,
      .value({ $0.stopSignal }) { (spec, text) throws(SyntaxError) in
        if let text { _ = try Signals.number(parsing: text) }
        spec.stopSignal = text ?? "TERM"
      }),
    SpecKey(
      "stop-timeout", .live,
      .value({ SpecValue.text($0.stopGrace) }) { (spec, text) throws(SyntaxError) in
        spec.stopGrace =
          try text.map { (text) throws(SyntaxError) in
            try SpecValue.decimal(text, "stop-timeout", 0...86_400)
          } ?? 10
      }),
    SpecKey(
      "label", .live,
      .map({ $0.labels }) { (spec, name, value) throws(SyntaxError) in
        spec.labels[try SpecValue.variable(name, "label")] = value
      }),
  ]

  // MARK: rows of the same kind

  private static func flag(
    _ name: String, _ effect: SpecKey.Effect, _ read: @escaping SpecKey.Read<Bool>,
    _ write: @escaping @Sendable (inout ZoneSpec, Bool) -> Void
  ) -> SpecKey {
    SpecKey(
      name, effect,
      .value({ read($0) ? "true" : nil }) { (spec, text) throws(SyntaxError) in
        write(&spec, try text.map { (text) throws(SyntaxError) in try SpecValue.flag(text, name) } ?? false)
      })
  }

  private static func capabilities(
    _ name: String, _ read: @escaping SpecKey.Read<[String]>,
    _ write: @escaping @Sendable (inout ZoneSpec, [String]) -> Void
  ) -> SpecKey {
    SpecKey(
      name, .restart,
      .list(
        read,
        { (spec, texts) throws(SyntaxError) in
          for text in texts where text.uppercased() != "ALL" { _ = try Capability(parsing: text) }
          write(&spec, texts)
        }, commas: true))
  }

  /// Two mounts at one place would hide each other.
  private static func distinct(_ mounts: [VolumeMount]) throws(SyntaxError) -> [VolumeMount] {
    for (index, mount) in mounts.enumerated() where mounts[..<index].contains(where: { $0.target == mount.target }) {
      throw SyntaxError(what: "volume", value: mount.text, why: "something else is already put at \(mount.target)")
    }
    return mounts
  }
}
