import Foundation
import Glibc
import Testing

@testable import VirtualNet
@testable import ZoneRuntime

/// `zonectl audit`: a zone as it was made gives 0, and what is changed behind its back in the kernel is told.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc"), .program("nsenter"), .program("busybox")),
  .ends(within: 10))
struct AuditKernelTests {
  static let everybody: [Zonectl.Who] = [.root, .ordinaryUser]

  /// The finding, and what of it differs.
  private struct Audited: Decodable {
    struct Finding: Decodable {
      struct Difference: Decodable { var what, wanted, found: String }
      var name: String
      var asAsked: Bool
      var differences: [Difference]
    }
    var asAsked: Bool
    var findings: [Finding]
    var weaker: [String]

    var differing: [String] { findings.filter { !$0.asAsked }.map(\.name) }
    var whats: [String] { findings.flatMap { $0.differences.map(\.what) } }
  }

  private func audit(_ zones: Zonectl, _ name: String = "a", sourceLocation: SourceLocation = #_sourceLocation) throws
    -> Audited
  {
    let outcome = try zones.run("audit", "-o", "json", name)
    let audited = try JSONDecoder().decode(Audited.self, from: outcome.output)
    #expect(
      outcome.status == (audited.asAsked ? 0 : 1) && outcome.err.isEmpty, "\(outcome)", sourceLocation: sourceLocation)
    return audited
  }

  /// Expects only that finding to differ, and it for that.
  private func expect(
    _ zones: Zonectl, _ finding: String, _ what: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let found = try audit(zones)
    #expect(found.differing == [finding], "\(found)", sourceLocation: sourceLocation)
    #expect(found.whats.contains { $0.hasPrefix(what) }, "\(found)", sourceLocation: sourceLocation)
  }

  /// The zone's first process, by the host's count.
  private func first(_ zones: Zonectl, _ name: String = "a") throws -> String {
    let status = try #require(try zones.status(name))
    let pid = try #require(status.pid)
    let parent = contents("/proc/\(pid)/status")?.split(separator: "\n").first { $0.hasPrefix("PPid:") }
    return try #require(parent?.split(separator: "\t").last.map(String.init))
  }

  /// mount(8) is set-uid, and its owner, in a zone of root's, the zone's root.
  private func inMounts(_ pid: String, _ words: String) throws {
    try Command.text("nsenter", "-t", pid, "-m", "-p", "--", "sh", "-ec", "busybox \(words)")
  }

  // MARK: clean zones

  static let options: [[String]] = [
    [], ["--read-only", "--tmpfs", "/x:1M", "--hostname", "other"], ["--nesting"], ["--cap-add", "ALL"],
    ["--cap-drop", "ALL"], ["-u", "1000:1000"], ["--init"], ["--image", "empty"], ["--env", "A=b", "--label", "k=v"],
    ["-v", "data:/var/run/data", "-v", "/mnt"],
  ]

  @Test(arguments: everybody) func aZoneAsItWasMadeIsAsAsked(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let held = try Attack.build("held", into: zones.folder + "/tools")
      for (index, options) in Self.options.enumerated() {
        // Nothing of a library is in an empty root.
        let empty = options.contains("empty")
        let command = empty ? ["/tools/held", "take", "/tmp/s"] : ["sleep", "infinity"]
        let tools = empty ? ["-v", "\(zones.folder)/tools:/tools:ro"] : []
        try zones.make("z\(index)", "running", ["--network", "none"] + options + tools, command: command)
        let found = try audit(zones, "z\(index)")
        #expect(found.asAsked, "\(options): \(found)")
      }
      _ = held
      let nesting = try audit(zones, "z2").weaker
      #expect(nesting.contains { $0.hasPrefix("--nesting") }, "\(nesting)")
      #expect(try audit(zones, "z3").weaker.contains { $0.hasPrefix("--cap-add") && $0.contains("CAP_SYS_ADMIN") })
      #expect(try audit(zones, "z6").weaker.contains { $0.hasPrefix("--init") })
      if who == .root { #expect(try audit(zones, "z0").weaker == []) }
      let table = try zones.ok("audit", "z2").lines
      #expect(table.first?.split(separator: " ").map(String.init) == ["FINDING", "RESULT", "DETAIL"])
      #expect(
        table.contains { $0.hasPrefix("mounts") && $0.contains(" ok ") } && table.last?.hasPrefix("weaker: ") == true)
    }
  }

  @Test func limitsSecretsTreesAndNetworksAreAsAsked() throws {
    try Zonectl.with { zones in
      let tree = zones.folder + "/tree"
      try BusyboxRoot.make(at: tree)
      try "x".write(toFile: zones.folder + "/secret", atomically: false, encoding: .utf8)
      let lists = [
        ["--memory", "100000000", "--pids", "50", "--cpus", "1.5", "--cpu-shares", "512", "--cpuset", "0"],
        [
          "--image", "dir:\(tree)", "--secret", "k=\(zones.folder)/secret", "-p", "18971:80", "-p",
          "127.0.0.1:18972:80/udp",
        ],
        ["--network", "host"], ["--image", "dir:\(tree)", "--network", "other", "--read-only"],
      ]
      for (index, options) in lists.enumerated() {
        try zones.make("z\(index)", "running", options)
        let found = try audit(zones, "z\(index)")
        #expect(found.asAsked, "\(options): \(found)")
      }
      // What `set` changes live is asked for from then on, and a frozen zone can be looked at.
      try zones.ok("set", "z0", "memory=200M", "pids=60")
      try zones.ok("set", "z1", "publish=18973:81")
      try zones.ok("pause", "z0")
      for name in ["z0", "z1"] { #expect(try audit(zones, name).asAsked) }
      try zones.ok("resume", "z0")
      // Nothing was leased by looking.
      let leases = try FileManager.default.contentsOfDirectory(atPath: zones.root + "/run/.shared/id-ranges")
      #expect(leases.filter { $0 != "next" }.count == 4)
    }
  }

  @Test(arguments: everybody) func aForegroundZoneIsAsAskedAndSaysWhatItWasGiven(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let running = try zones.command(["run", "--rm", "--name", "a", "--network", "none", "--", "sleep", "infinity"])
        .start()
      defer { _ = try? zones.run("halt", "a") }
      try zones.expect("a", becomes: "running")
      let found = try audit(zones)
      #expect(found.asAsked, "\(found)")
      #expect(running.isRunning)
    }
  }

  @Test func aUserWithOneIdIsAsAsked() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      zones.privateMounts = "mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid"
      try zones.make("a")
      let found = try audit(zones)
      #expect(found.asAsked && found.weaker.contains { $0.contains("own id") }, "\(found)")
    }
  }

  @Test func whatIsNotLiveIsToldOnOneLine() throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed")
      #expect(try zones.refused("audit", "a").contains("it is installed; start it first"))
      try zones.make("b", "ready")
      #expect(try zones.refused("audit", "b").contains("it is ready"))
      #expect(try zones.refused("audit", "nobody").contains("no zone is named 'nobody'"))
      try zones.refused("audit", status: 2)
    }
  }

  // MARK: what was changed behind its back

  @Test(arguments: everybody) func mountsThatWereChangedAreTold(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      try zones.make("a")
      let pid = try first(zones)
      let changes = [
        ("mount -t tmpfs none /mnt", "umount /mnt", "/mnt"),
        ("mount -o bind /opt /srv", "umount /srv", "/srv"),
        ("mount -o remount,bind,rw /proc/sys", "mount -o remount,bind,ro,nosuid,nodev,noexec /proc/sys", "/proc/sys"),
        ("mount -o bind /proc/meminfo /proc/keys", "umount /proc/keys", "/proc/keys"),
        ("mount -o remount,bind,suid,dev,exec,ro /sys", "mount -o remount,bind,ro,nosuid,nodev,noexec /sys", "/sys"),
        ("mount -t tmpfs none /sys/fs/cgroup", "umount /sys/fs/cgroup", "/sys/fs/cgroup"),
      ]
      for (change, back, what) in changes {
        try inMounts(pid, change)
        try expect(zones, "mounts", what)
        try inMounts(pid, back)
        let found = try audit(zones)
        #expect(found.asAsked, "after \(back): \(found)")
      }
      // A read-only view that is gone.
      try inMounts(pid, "umount /proc/sys")
      try expect(zones, "mounts", "/proc/sys")
    }
  }

  @Test func limitsAndGroupsThatWereChangedAreTold() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", ["--network", "none", "--pids", "50"])
      let plan = try zones.ok("explain", "a").lines
      let line = try #require(plan.first { $0.hasSuffix("/pids.max") })
      let file = try #require(line.split(separator: " ").last.map(String.init))
      try "60".write(toFile: file, atomically: false, encoding: .utf8)
      try expect(zones, "limits", "pids.max")
      try "50".write(toFile: file, atomically: false, encoding: .utf8)
      #expect(try audit(zones).asAsked)

      let own = (file as NSString).deletingLastPathComponent
      let tree = ((own as NSString).deletingLastPathComponent as NSString).deletingLastPathComponent
      let command = try #require(try zones.status("a")?.pid)
      try "\(command)".write(toFile: tree + "/cgroup.procs", atomically: false, encoding: .utf8)
      try expect(zones, "cgroup", own.hasPrefix("/sys/fs/cgroup/pids") ? "pids of the command" : "v2 of the command")
      try "\(command)".write(toFile: own + "/cgroup.procs", atomically: false, encoding: .utf8)
      #expect(try audit(zones).asAsked)
    }
  }

  @Test func aKeeperInItsZonesGroupIsTold() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let keeper = try #require(try zones.status("a")?.keeper)
      let line = try #require(contents("/proc/\(keeper)/cgroup")?.split(separator: "\n").first { $0.hasPrefix("0::") })
      let group = String(line.dropFirst(3))
      let tree = access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0 ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup"
      let own = tree + (group as NSString).deletingLastPathComponent + "/a"
      try "\(keeper)".write(toFile: own + "/cgroup.procs", atomically: false, encoding: .utf8)
      try expect(zones, "keeper", "group of the keeper")
      try "\(keeper)".write(toFile: tree + group + "/cgroup.procs", atomically: false, encoding: .utf8)
      #expect(try audit(zones).asAsked)
    }
  }

  @Test(arguments: everybody) func aTracedKeeperOrInitIsTold(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let held = try Attack.build("held", into: zones.folder)
      try zones.make("a")
      for pid in ["\(try #require(try zones.status("a")?.keeper))", try first(zones)] {
        let tracer = try Command(held, "trace", pid).start()
        #expect(eventually { contents("/proc/\(pid)/status")?.contains("TracerPid:\t0\n") == false })
        try expect(zones, "keeper", pid == (try first(zones)) ? "init" : "keeper")
        kill(tracer.pid, SIGKILL)
        _ = try tracer.finish(timeout: 5)
        #expect(try eventually { try audit(zones).asAsked })
      }
    }
  }

  @Test(arguments: everybody) func aDescriptorOfTheHostsIsTold(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let held = try Attack.build("held", into: zones.folder + "/tools")
      let shared = zones.folder + "/shared"
      mkdir(shared, 0o777)
      chmod(shared, 0o777)
      try zones.make(
        "a", "running", ["--network", "none", "-v", "\(zones.folder)/tools:/tools:ro", "-v", "\(shared):/shared"],
        command: ["/tools/held", "take", "/shared/socket"])
      #expect(eventually { access(shared + "/socket", F_OK) == 0 })
      #expect(try audit(zones).asAsked)
      try Command.text(held, "give", shared + "/socket", "/var")
      try expect(zones, "descriptors", "")
      let table = try zones.run("audit", "a")
      #expect(
        table.status == 1 && table.out.contains("DIFFERS") && table.out.contains("is /var of the host"), "\(table)")
    }
  }

  /// A setting that waits for the next start: the kernel has not what is asked for.
  @Test(arguments: everybody) func whatWaitsForTheNextStartIsTold(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      try zones.make("a")
      try zones.ok("set", "a", "cap-drop=CHOWN")
      try expect(zones, "capabilities", "effective of the command")
      try zones.ok("set", "a", "cap-drop=")
      #expect(try audit(zones).asAsked)
      try zones.ok("set", "a", "network=host")
      let found = try audit(zones)
      #expect(found.differing.contains("namespaces") && found.whats.contains("net"), "\(found)")
      // A command that is pid 1 of a zone that is to have our init: it can gain privileges.
      try zones.make("b", "running", ["--network", "none", "--init"])
      try zones.ok("set", "b", "init=false")
      #expect(try audit(zones, "b").differing.contains("no_new_privs"))
    }
  }

  @Test func aLostLeaseOfIdsIsTold() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let folder = zones.root + "/run/.shared/id-ranges"
      let lease = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first { $0 != "next" })
      unlink("\(folder)/\(lease)")
      symlink("b", "\(folder)/\(lease)")
      try expect(zones, "ids", "lease")
      unlink("\(folder)/\(lease)")
      symlink("a", "\(folder)/\(lease)")
      #expect(try audit(zones).asAsked)
    }
  }

  /// A record that names another process.
  @Test(arguments: everybody) func anotherProcessOnDiskIsTold(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      for name in ["a", "b"] { try zones.make(name) }
      let path = zones.root + "/run/a/keeper.json"
      let right = try #require(contents(path))
      let mine = try #require(try zones.status("a")?.pid)
      // Another zone's command; and our own init, so that the command would not be looked at.
      for other in ["\(try #require(try zones.status("b")?.pid))", try first(zones)] {
        try right.replacingOccurrences(of: "\"process\":\(mine)", with: "\"process\":\(other)").write(
          toFile: path, atomically: false, encoding: .utf8)
        let found = try audit(zones)
        #expect(found.differing.contains("processes"), "\(found)")
        try right.write(toFile: path, atomically: false, encoding: .utf8)
      }
      #expect(try audit(zones).asAsked)
    }
  }

  // MARK: networks

  /// Changes by root's nft and ip in a network's and a zone's namespace.
  private func networks(
    _ zones: Zonectl, table: String, outside: [String], _ body: (_ nft: (String...) throws -> Void) throws -> Void
  ) throws {
    let pid = try first(zones)
    let ip = { (words: [String]) in try Command(["nsenter", "-t", pid, "-n", "--", "ip"] + words).run() }
    for (change, back, what) in [
      (["addr", "add", "10.99.0.1/24", "dev", "eth0"], ["addr", "del", "10.99.0.1/24", "dev", "eth0"], "addresses"),
      (["route", "add", "10.98.0.0/24", "dev", "eth0"], ["route", "del", "10.98.0.0/24"], "routes"),
      (["link", "set", "lo", "down"], ["link", "set", "lo", "up"], "lo"),
      (["link", "add", "extra", "type", "veth", "peer", "extra2"], ["link", "del", "extra"], "extra"),
    ] {
      #expect(try ip(change).status == 0)
      if what == "extra" { #expect(try ip(["link", "set", "extra", "up"]).status == 0) }
      try expect(zones, "network", what)
      #expect(try ip(back).status == 0)
      let found = try audit(zones)
      #expect(found.asAsked, "after \(back): \(found)")
    }
    let nft = { (words: String...) in
      let outcome = try Command(outside + ["nft"] + words).run()
      #expect(outcome.status == 0, "\(outcome)")
    }
    // More than is asked for.
    try nft("add", "rule", "inet", table, "wall", "accept")
    try expect(zones, "firewall", "nft chain wall")
    let rules = try Command(outside + ["nft", "-a", "list", "chain", "inet", table, "wall"]).run().lines
    let handle = rules.last { $0.contains("accept # handle") }?.split(separator: " ").last.map(String.init)
    try nft("delete", "rule", "inet", table, "wall", "handle", try #require(handle))
    #expect(try audit(zones).asAsked)
    // Another rule in the place of one.
    let begin = try Command(outside + ["nft", "-a", "list", "chain", "inet", table, "begin"]).run().lines
    let drop = begin.last { $0.contains("drop # handle") }?.split(separator: " ").last.map(String.init)
    try nft("replace", "rule", "inet", table, "begin", "handle", try #require(drop), "accept")
    try expect(zones, "firewall", "rule 3 of nft chain begin")
    try nft("replace", "rule", "inet", table, "begin", "handle", try #require(drop), "drop")
    #expect(try audit(zones).asAsked)
    try nft("add", "table", "inet", table, "{ flags dormant ; }")
    try expect(zones, "firewall", "nft table inet")
    try nft("add", "table", "inet", table)
    try body(nft)
    // Less.
    try nft("flush", "set", "bridge", table, "own4")
    try expect(zones, "firewall", "nft set own4")
  }

  @Test(.needs(.program("nft"), .program("ip"))) func aNetworkThatWasChangedIsTold() throws {
    try Zonectl.with { zones in
      try zones.make("a", "running", ["-p", "18974:80"])
      #expect(try audit(zones).asAsked)
      let table = "zones-\(Directories.tag(of: zones.root))"
      let address = try #require(try zones.status("a")?.addresses?.first)
      try networks(zones, table: table, outside: []) { nft in
        // A port that nobody asked for, and one that was and is gone.
        try nft("add", "element", "inet", table, "tcp4", "{ 18975 . \(address) . 81 }")
        try expect(zones, "firewall", "nft set tcp4")
        try nft("delete", "element", "inet", table, "tcp4", "{ 18975 . \(address) . 81 }")
        #expect(try audit(zones).asAsked)
        try nft("delete", "element", "inet", table, "tcp4", "{ 18974 . \(address) . 80 }")
        try expect(zones, "firewall", "nft set tcp4")
        try nft("add", "element", "inet", table, "tcp4", "{ 18974 . \(address) . 80 }")
        #expect(try audit(zones).asAsked)
      }
    }
  }

  @Test(.needs(.program("nft"), .program("ip"), .program("pasta"), .path("/dev/net/tun")))
  func aUsersNetworkThatWasChangedIsTold() throws {
    try Zonectl.withTun { zones in
      try zones.make("a", "running", ["-p", "18976:80"])
      let found = try audit(zones)
      #expect(found.asAsked, "\(found)")
      let helper = try #require(try Served(zones).pids.first)
      let namespace = "/proc/\(helper)/fd/\(HelperProcess.namespaceDescriptor)"
      try networks(zones, table: "zones", outside: ["nsenter", "--net=\(namespace)", "--"]) { _ in }
    }
  }
}
