import Foundation
import Glibc
import Testing

/// What systemd knows.
enum SystemdUnits {
  /// In front of systemctl: the manager of the ordinary user, as one of his logins asks it.
  static func prefix(_ who: Zonectl.Who) -> [String] { who == .root ? [] : OrdinaryUser.prefix }

  static func environment(_ who: Zonectl.Who) -> [String: String] {
    who == .root ? [:] : ["XDG_RUNTIME_DIR": "/run/user/\(OrdinaryUser.found?.uid ?? 0)"]
  }

  static func ask(_ words: [String], _ who: Zonectl.Who = .root) throws -> Outcome {
    var command = Command(prefix(who) + ["systemctl"] + (who == .root ? [] : ["--user"]) + ["--no-pager"] + words)
    command.environment.merge(environment(who)) { $1 }
    return try command.run()
  }

  /// Units of that name, a pattern, that are loaded, whatever has become of them.
  static func loaded(_ name: String, _ who: Zonectl.Who = .root) throws -> [String] {
    try ask(["list-units", "--all", "--full", "--no-legend", "--plain", name], who).lines
  }

  static func property(_ unit: String, _ name: String, _ who: Zonectl.Who = .root) throws -> String {
    try ask(["show", "--value", "-p", name, "--", unit], who).text
  }
}

/// `zone-oci --systemd-cgroup`: systemd makes the group, root's or an ordinary user's, and nothing is left of it.
@Suite(
  .serialized, .machine,
  .needs(.root, .ordinaryUser, .program("busybox"), .program("busctl"), .path("/run/systemd/system")),
  .ends(within: 10))
struct ContainerSystemdTests {
  /// A bundle whose container is `zonestest-ID.scope`; nothing of it is loaded or in the tree afterwards.
  private func with(_ who: Zonectl.Who = .root, _ body: (OCIBundle, _ unit: String) throws -> Void) throws {
    let name = "zonestest-\(getpid())"
    try OCIBundle.with(who) { (bundle) throws in
      bundle.options = ["--systemd-cgroup"]
      bundle.environment = SystemdUnits.environment(who)
      bundle["linux.cgroupsPath"] = ":zonestest:\(getpid())"
      bundle["process.args"] = ["sleep", "1000"]
      try body(bundle, "\(name).scope")
      for id in try bundle.left() { try bundle.ok("delete", "--force", id) }
    }
    #expect(try eventually { try SystemdUnits.loaded("\(name)*", who).isEmpty })
    let walk = FileManager.default.enumerator(atPath: "/sys/fs/cgroup")
    let left = walk?.compactMap { $0 as? String }.filter { $0.hasSuffix("\(name).scope") }
    #expect(left == [])
  }

  private func group(_ bundle: OCIBundle, _ id: String = "a") throws -> String {
    let text = try #require(contents("\(bundle.folder)/state/\(id)/state.json"))
    let record = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    return try #require(record?["unified"] as? String)
  }

  private func values(_ group: String, _ files: String...) -> [String] {
    files.map { (contents("\(group)/\($0)") ?? "none").trimmingCharacters(in: .whitespacesAndNewlines) }
  }

  private let limits: [String: Any] = [
    "memory": ["limit": 64 << 20, "reservation": 8 << 20], "pids": ["limit": 33],
    "cpu": ["shares": 512, "quota": 33333, "period": 100_000, "cpus": "0-1"],
  ]
  private let files = ["memory.max", "memory.low", "pids.max", "cpu.weight", "cpuset.cpus", "cpu.max"]
  private let wanted = ["\(64 << 20)", "\(8 << 20)", "33", "20", "0-1", "33333 100000"]

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func allVerbsOnAScope(who: Zonectl.Who) throws {
    try with(who) { (bundle, unit) throws in
      bundle["linux.resources"] = limits
      try bundle.create()
      let group = try group(bundle)
      #expect(
        group.hasSuffix(
          who == .root ? "/system.slice/\(unit)" : "user@\(OrdinaryUser.found!.uid).service/user.slice/\(unit)"))
      let pid = try #require(try bundle.state()?["pid"] as? Int)
      #expect(values(group, "cgroup.procs") == ["\(pid)"], "it waits in its group")
      #expect(files.map { values(group, $0)[0] } == wanted)
      let known = try [
        "MemoryMax", "MemoryLow", "TasksMax", "CPUWeight", "AllowedCPUs", "CPUQuotaPerSecUSec", "Delegate",
      ].map {
        try SystemdUnits.property(unit, $0, who)
      }
      #expect(known == ["\(64 << 20)", "\(8 << 20)", "33", "20", "0-1", "340ms", "yes"])
      try bundle.ok("start", "a")
      #expect(
        try bundle.ok("exec", "a", "cat", "/proc/self/cgroup").text == "0::/", "its namespace begins at the group")
      let pidFile = bundle.folder + "/pid"
      _ = try bundle.command([]).through("\"$@\" exec -d --pid-file \(pidFile) a sleep 999 </dev/null >/dev/null 2>&1")
        .run()
      let second = try #require(Int(contents(pidFile) ?? ""))
      #expect(contents("\(group)/cgroup.procs") == "\(pid)\n\(second)\n", "processes that come later are in it")
      #expect(try bundle.ok("ps", "--format", "json", "a").text == "[\(pid),\(second)]")
      try bundle.ok("pause", "a")
      #expect(try bundle.status() == "paused" && values(group, "cgroup.freeze") == ["1"])
      try bundle.ok("resume", "a")
      try bundle.ok("update", "--memory", "\(32 << 20)", "--pids-limit", "44", "--cpu-quota", "44444", "a")
      #expect(values(group, "memory.max", "pids.max", "cpu.max") == ["\(32 << 20)", "44", "44444 100000"])
      #expect(try SystemdUnits.property(unit, "TasksMax", who) == "44")
      let stats = try bundle.ok("events", "--stats", "a").text
      #expect(stats.contains("\(32 << 20)"), "\(stats)")
      try bundle.ok("kill", "--all", "a", "KILL")
      #expect(try eventually { try bundle.status() == "stopped" })
      try bundle.ok("delete", "a")
    }
  }

  /// When it reads its units again it writes what it knows into their groups.
  @Test func systemdTakesNothingBack() throws {
    try with { (bundle, unit) throws in
      bundle["linux.resources"] = limits
      bundle["linux.resources.memory"] = ["limit": 64 << 20, "reservation": 8 << 20]
      bundle["linux.resources.unified"] = ["memory.high": "40M", "io.weight": "default 55"]
      bundle["linux.resources.devices"] = [["allow": false, "access": "rwm"]]
      bundle["linux.devices"] = [["type": "c", "path": "/dev/log2", "major": 1, "minor": 11, "fileMode": 0o666]]
      // With a list of units it is written to disk, and read again.
      bundle["annotations"] = [
        "org.systemd.property.After": "['dbus.service']", "org.systemd.property.TimeoutStopSec": "7",
      ]
      try bundle.create()
      try bundle.ok("start", "a")
      let group = try group(bundle)
      let more = ["memory.high", "io.weight"]
      for step in [["daemon-reload"], ["set-property", "--runtime", unit, "CPUWeight=20"], ["daemon-reexec"]] {
        #expect(try SystemdUnits.ask(step).status == 0)
        // The question comes after what the step brought about.
        #expect(try SystemdUnits.property(unit, "TimeoutStopUSec") == "7s")
        #expect(try SystemdUnits.property(unit, "After").contains("dbus.service"))
        #expect(files.dropLast().map { values(group, $0)[0] } == Array(wanted.dropLast()), "\(step)")
        // Whole percents is all that it has of this one.
        #expect(["33333 100000", "34000 100000"].contains(values(group, "cpu.max")[0]), "\(step)")
        #expect(more.map { values(group, $0)[0] } == ["\(40 << 20)", "default 55"], "\(step)")
        let refused = try bundle.run("exec", "a", "sh", "-c", "(: > /dev/log2) 2>&1; echo > /dev/null && echo fine")
        #expect(refused.out.contains("not permitted") && refused.text.hasSuffix("fine"), "\(step): \(refused)")
      }
      #expect(try bundle.status() == "running")
    }
  }

  @Test func nothingOfTheBundlesRunsOutsideOfIt() throws {
    try with { (bundle, unit) throws in
      bundle["hooks"] = [
        "createRuntime": [
          [
            "path": "/bin/sh",
            "args": [
              "sh", "-c", "cat /proc/$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/')/cgroup > \(bundle.folder)/seen",
            ],
          ]
        ]
      ]
      bundle["linux.namespaces"] = (bundle["linux.namespaces"] as? [[String: Any]])?.filter {
        $0["type"] as? String != "cgroup"
      }
      #expect(try bundle.printed("cat /proc/self/cgroup") == "0::/system.slice/\(unit)")
      #expect(contents(bundle.folder + "/seen") == "0::/system.slice/\(unit)\n")
    }
  }

  @Test func aSliceLiesWhereItsNameSays() throws {
    try with { (bundle, _) throws in
      defer { _ = try? SystemdUnits.ask(["stop", "zonestest.slice"]) }
      bundle["linux.cgroupsPath"] = "zonestest-a.slice:box:x+y"
      bundle["linux.namespaces"] = (bundle["linux.namespaces"] as? [[String: Any]])?.filter {
        $0["type"] as? String != "cgroup"
      }
      #expect(try bundle.printed("cat /proc/self/cgroup") == "0::/zonestest.slice/zonestest-a.slice/box-x\\x2by.scope")
      bundle["linux.cgroupsPath"] = "::zonestest-b.slice"
      bundle["linux.resources.pids"] = ["limit": 33]
      #expect(
        try bundle.printed("cat /proc/self/cgroup /sys/fs/cgroup/pids.max")
          == "0::/zonestest.slice/zonestest-b.slice\n33")
      #expect(try eventually { try SystemdUnits.loaded("zonestest-b.slice").isEmpty })
    }
  }

  @Test func whatFailsLeavesNoUnit() throws {
    try with { (bundle, unit) throws in
      let prefix = "org.systemd.property."
      for (annotation, words) in [("NoSuchThing", "unknown property"), ("No-Name", "is no name of a property")] {
        bundle["annotations"] = [prefix + annotation: "true"]
        #expect(try bundle.refusal().contains(words))
      }
      bundle["annotations"] = nil
      bundle["linux.cgroupsPath"] = "/zonestest"
      #expect(try bundle.refusal().contains("SLICE:PREFIX:NAME"))
      bundle["linux.cgroupsPath"] = ":zonestest:\(getpid())"
      // After the unit was made: a limit that the kernel refuses, a mount, a program that is not there.
      bundle["linux.resources.unified"] = ["memory.oom.group": "what"]
      #expect(try bundle.refusal().contains("memory.oom.group"))
      bundle["linux.resources.unified"] = nil
      bundle.add("mounts", ["destination": "/tmp", "type": "bind", "source": "/nosuch", "options": ["bind"]])
      #expect(try bundle.refusal().contains("/nosuch"))
      bundle["mounts"] = (bundle["mounts"] as? [Any]).map { Array($0.dropLast()) }
      bundle["process.args"] = ["nosuch"]
      #expect(try bundle.refusal().contains("executable file not found"))
      #expect(try SystemdUnits.loaded(unit).isEmpty)
    }
  }

  @Test func aUnitOfAnothersIsLeftAlone() throws {
    try with { (bundle, unit) throws in
      let other = try Command("systemd-run", "--scope", "--unit", unit, "sleep", "1000").start()
      #expect(try eventually { try SystemdUnits.property(unit, "ActiveState") == "active" })
      #expect(try bundle.refusal().contains("cannot start the unit \(unit): "))
      #expect(other.isRunning)
      other.signal(SIGTERM)
      _ = try other.finish()
    }
  }

  @Test func whatSystemdEndsIsStopped() throws {
    try with { (bundle, unit) throws in
      bundle.shell("trap 'exit 5' TERM; while :; do sleep 0.05; done")
      try bundle.create()
      try bundle.ok("start", "a")
      #expect(try SystemdUnits.ask(["stop", unit]).status == 0)
      #expect(try eventually { try bundle.status() == "stopped" })
      try bundle.ok("delete", "a")
      // A unit that has failed stays until somebody resets it.
      let prefix = "org.systemd.property."
      bundle["annotations"] = [
        prefix + "CollectMode": "'inactive'", prefix + "RuntimeMaxSec": "1", prefix + "TimeoutStopSec": "1",
      ]
      bundle["process.args"] = ["sleep", "1000"]
      try bundle.create()
      try bundle.ok("start", "a")
      #expect(try eventually { try SystemdUnits.property(unit, "ActiveState") == "failed" })
      try bundle.ok("delete", "a")
      #expect(try SystemdUnits.loaded(unit).isEmpty, "delete has systemd forget it")
      // One that somebody else has left behind does not keep the name from the next.
      _ = try Command("systemd-run", "--scope", "--unit", unit, "-p", "RuntimeMaxSec=1", "sleep", "1000").run()
      #expect(try eventually { try SystemdUnits.property(unit, "ActiveState") == "failed" })
      bundle["annotations"] = nil
      bundle["process.args"] = ["true"]
      #expect(try bundle.start().status == 0)
    }
  }

  @Test func withoutABusTheUserIsToldWhy() throws {
    try with(.ordinaryUser) { (bundle, _) throws in
      bundle.environment["XDG_RUNTIME_DIR"] = "/nosuch"
      let line = try bundle.refusal()
      #expect(line.contains("systemd cannot be asked: ") && line.contains("dbus"), "\(line)")
    }
  }
}
