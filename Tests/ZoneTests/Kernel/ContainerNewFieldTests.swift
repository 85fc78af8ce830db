import CLinuxNS
import Foundation
import Glibc
import LinuxNS
import Testing

/// The fields that came with versions 1.1 to 1.3 of the specification, seen from inside as those of ContainerFieldTests.
@Suite(.serialized, .machine, .needs(.root, .program("busybox"), .program("ip")), .ends(within: 10))
struct ContainerNewFieldTests {
  // MARK: process

  @Test func realTimePriorities() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["process.scheduler"] = ["policy": "SCHED_FIFO", "priority": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"]]
      bundle["process.ioPriority"] = ["class": "IOPRIO_CLASS_BE", "priority": 6]
      // proc_pid_stat(5): the 40th is the real-time priority, the 41st the policy.
      let lines = try bundle.printed("read -r line < /proc/1/stat; echo $line; ionice -p 1").split(separator: "\n")
      let stat = lines.first?.split(separator: " ").map(String.init) ?? []
      #expect(stat.count > 41 && stat[39] == "7" && stat[40] == "1", "\(lines)")
      #expect(lines.last == "best-effort: prio 6", "\(lines)")
      bundle["process.scheduler"] = ["policy": "SCHED_ISO"]
      #expect(try bundle.refusal().contains("process.scheduler.policy"))
      bundle["process.scheduler"] = ["policy": "SCHED_FIFO", "priority": 100]
      #expect(try bundle.refusal().contains("scheduler"))
    }
  }

  @Test func affinityOfWhatIsExecuted() throws {
    let processors = try Command("nproc", "--all").run().text
    try #require(Int(processors) ?? 1 > 1, "there is one processor alone")
    try OCIBundle.with { (bundle) throws in
      let list = "grep Cpus_allowed_list /proc/self/status | cut -f2"
      bundle["process.execCPUAffinity"] = ["initial": "1", "final": "0"]
      bundle.shell("\(list) > /cpus; sleep 1000")
      bundle["root.readonly"] = false
      try bundle.create()
      try bundle.ok("start", "a")
      let first = { contents(bundle.folder + "/rootfs/cpus") ?? "" }
      #expect(eventually { first().hasSuffix("\n") })
      #expect(first() != "0\n" && first() != "1\n", "the container's own process is not meant: \(first())")
      #expect(try bundle.ok("exec", "a", "sh", "-c", list).text == "0")
      func execute(_ affinity: [String: String]?) throws -> String {
        var process = bundle["process"] as? [String: Any] ?? [:]
        process["args"] = ["sh", "-c", list]
        process["execCPUAffinity"] = affinity
        let file = bundle.folder + "/process.json"
        try JSONSerialization.data(withJSONObject: process).write(to: URL(fileURLWithPath: file))
        return try bundle.ok("exec", "--process", file, "a").text
      }
      #expect(try execute(["initial": "0", "final": "1"]) == "1")
      #expect(try execute(["final": "0-1"]) == "0-1")
      // What the group's cpuset would not change stays.
      #expect(try execute(["initial": "1"]) == "1")
      #expect(try execute(nil) + "\n" == first())
    }
  }

  // MARK: memory

  @Test func memoryPolicy() throws {
    try OCIBundle.with { (bundle) throws in
      bundle["linux.memoryPolicy"] = ["mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]]
      bundle.shell("grep -h -o 'bind[^ ]*' /proc/self/numa_maps | sort -u")
      let outcome = try bundle.start()
      guard FileManager.default.fileExists(atPath: "/proc/self/numa_maps") else {
        #expect(outcome.status == 1 && outcome.err.contains("memory policy"), "\(outcome)")
        return
      }
      #expect(outcome.text == "bind=static:0", "\(outcome)")
      bundle["linux.memoryPolicy"] = ["mode": "MPOL_INTERLEAVE", "nodes": "0"]
      #expect(try bundle.printed("grep -h -o 'interleave[^ ]*' /proc/self/numa_maps | sort -u") == "interleave:0")
      for (policy, word) in [
        (["mode": "MPOL_BIND"], "memory policy"), (["mode": "MPOL_BIND", "nodes": "1000"], "memory policy"),
        (["mode": "MPOL_WHAT"], "linux.memoryPolicy.mode"), (["nodes": "0"], "linux.memoryPolicy.mode"),
        (["mode": "MPOL_BIND", "nodes": "x"], "linux.memoryPolicy.nodes"),
      ] {
        bundle["linux.memoryPolicy"] = policy
        let line = try bundle.refusal()
        #expect(line.contains(word), "\(policy): \(line)")
      }
    }
  }

  // MARK: mounts

  /// What /proc/self/mountinfo of the container says of two mounts, one below the other.
  private func options(_ bundle: OCIBundle, _ options: [String]) throws -> [String] {
    bundle.add("mounts", ["destination": "/mnt", "source": bundle.folder + "/data", "options": options])
    defer { bundle["mounts"] = (bundle["mounts"] as? [Any] ?? []).dropLast().map { $0 } }
    let lines = try bundle.printed("grep -E ' /mnt(/below)? ' /proc/self/mountinfo").split(separator: "\n")
    return lines.map { String($0.split(separator: " ")[5]) }
  }

  private func mount(_ path: String, _ options: [String] = []) throws {
    let outcome = try Command(["mount", "-t", "tmpfs"] + options + ["below", path]).run()
    try #require(outcome.status == 0, "\(outcome)")
  }

  @Test func attributesOfAllBelow() throws {
    try OCIBundle.with { (bundle) throws in
      let below = bundle.folder + "/data/below"
      try FileManager.default.createDirectory(atPath: below, withIntermediateDirectories: true)
      mkdir(bundle.folder + "/rootfs/mnt", 0o755)
      try mount(below, ["-o", "strictatime"])
      defer { umount2(below, CInt(MNT_DETACH)) }
      let plain = try options(bundle, ["rbind"])
      try #require(plain.count == 2 && plain.allSatisfy { $0.hasPrefix("rw") }, "\(plain)")
      for (option, shown) in [
        ("ro", "ro"), ("nosuid", "nosuid"), ("nodev", "nodev"), ("noexec", "noexec"), ("noatime", "noatime"),
        ("nodiratime", "nodiratime"), ("nosymfollow", "nosymfollow"), ("relatime", "relatime"),
      ] {
        let has = { (line: String) in line.split(separator: ",").contains { $0 == shown } }
        let one = try options(bundle, ["rbind", option])
        #expect(has(one[0]) && !has(one[1]), "\(option): \(one)")
        let all = try options(bundle, ["rbind", "r" + option])
        #expect(all.allSatisfy(has), "r\(option): \(all)")
      }
      // The mount's own word wins over what is said of all.
      let mixed = try options(bundle, ["rbind", "rro", "rnoexec", "rrw", "rexec"])
      #expect(mixed.allSatisfy { !$0.contains("noexec") && $0.hasPrefix("rw") }, "\(mixed)")
    }
  }

  @Test func idsAreMappedHereOrBelowToo() throws {
    try OCIBundle.with { (bundle) throws in
      let data = bundle.folder + "/data"
      let below = data + "/below"
      try FileManager.default.createDirectory(atPath: below, withIntermediateDirectories: true)
      mkdir(bundle.folder + "/rootfs/mnt", 0o755)
      try mount(below)
      defer { umount2(below, CInt(MNT_DETACH)) }
      for file in [data + "/file", below + "/file"] {
        try "x".write(toFile: file, atomically: false, encoding: .utf8)
        chown(file, 5, 5)
      }
      bundle.add("linux.namespaces", ["type": "user"])
      for key in ["uidMappings", "gidMappings"] {
        bundle["linux.\(key)"] = [["containerID": 0, "hostID": 300_000, "size": 65536]]
      }
      let plain = bundle["mounts"]
      func owners(_ options: [String], _ own: Bool = false) throws -> String {
        bundle["mounts"] = plain
        var mount: [String: Any] = ["destination": "/mnt", "source": data, "options": options]
        if own {
          for key in ["uidMappings", "gidMappings"] { mount[key] = [["containerID": 5, "hostID": 300_009, "size": 1]] }
        }
        bundle.add("mounts", mount)
        return try bundle.printed("stat -c %u /mnt/file /mnt/below/file").replacingOccurrences(of: "\n", with: " ")
      }
      let nobody = "65534"
      #expect(try owners(["rbind"]) == "\(nobody) \(nobody)")
      #expect(try owners(["rbind", "idmap"]) == "5 \(nobody)", "the container's own map, here alone")
      #expect(try owners(["rbind", "ridmap"]) == "5 5")
      #expect(try owners(["rbind"], true) == "9 \(nobody)")
      #expect(try owners(["rbind", "ridmap"], true) == "9 9")
    }
  }

  @Test func aMountsLabelNeedsItsModule() throws {
    try #require(!FileManager.default.fileExists(atPath: "/sys/fs/selinux/enforce"), "this kernel has SELinux")
    try OCIBundle.with { (bundle) throws in
      bundle["linux.mountLabel"] = "system_u:object_r:x:s0"
      #expect(try bundle.refusal().contains("linux.mountLabel: SELinux"))
    }
  }

  // MARK: groups

  @Test func filesOfTheUnifiedGroup() throws {
    try OCIBundle.with { (bundle) throws in
      // Of the group itself: there in a v2 tree without a controller, too.
      bundle["linux.resources.unified"] = ["cgroup.max.depth": "7", "cgroup.max.descendants": "9"]
      let printed = try bundle.printed(
        "cd /sys/fs/cgroup; test -d unified && cd unified; cat cgroup.max.depth cgroup.max.descendants")
      #expect(printed == "7\n9")
      bundle["linux.resources.unified"] = ["no.such": "7"]
      #expect(try bundle.refusal().contains("no.such"))
    }
  }

  @Test func hugePages() throws {
    let trees = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].compactMap { contents($0 + "/cgroup.controllers") }
    let hasThem =
      trees.contains { $0.split(whereSeparator: \.isWhitespace).contains("hugetlb") }
      || FileManager.default.fileExists(atPath: "/sys/fs/cgroup/hugetlb")
    try OCIBundle.with { (bundle) throws in
      bundle["linux.resources.hugepageLimits"] = [["pageSize": "2MB", "limit": 4 << 20]]
      guard hasThem else {
        #expect(try bundle.refusal().contains("hugetlb"))
        return
      }
      let values = try bundle.printed(
        "cd /sys/fs/cgroup; for f in max rsvd.max limit_in_bytes rsvd.limit_in_bytes; do cat $(find . -name hugetlb.2MB.$f); done </dev/null"
      )
      #expect(values == "4194304\n4194304", "the second is what is reserved")
      bundle["linux.resources.hugepageLimits"] = [["pageSize": "3MB", "limit": 4 << 20]]
      #expect(try bundle.refusal().contains("hugetlb.3MB"))
    }
  }

  // MARK: network devices

  /// A pair of links of the host's, the first of which is to be given away; `what` is what `ip` says of it.
  private func withDevice(_ body: (_ name: String, _ what: () throws -> [String]) throws -> Void) throws {
    let name = "zt\(getpid())a"
    func ip(_ words: String...) throws {
      let outcome = try Command(["ip"] + words).run()
      try #require(outcome.status == 0, "\(outcome)")
    }
    try ip("link", "add", name, "mtu", "1400", "type", "veth", "peer", "name", "zt\(getpid())b")
    defer { _ = try? Command("ip", "link", "delete", "zt\(getpid())b").run() }
    try ip("address", "add", "10.213.7.5/24", "dev", name)
    try ip("address", "add", "fd00:213:7::5/64", "nodad", "dev", name)
    // Not of the whole world: it stays.
    try ip("address", "add", "10.213.8.5/24", "scope", "link", "dev", name)
    for end in ["a", "b"] { try ip("link", "set", "zt\(getpid())\(end)", "up") }
    try ip("route", "add", "10.214.0.0/16", "via", "10.213.7.1", "dev", name)
    try body(name) {
      let link = try Command("ip", "-o", "link", "show", "dev", name).run()
      guard link.status == 0 else { return [] }
      let addresses = try Command.text("ip", "-o", "address", "show", "dev", name)
      let routes = try Command.text("ip", "route", "show", "dev", name)
      return [link.text.contains(",UP") ? "up" : "down", link.text.contains("mtu 1400") ? "1400" : "other"]
        + addresses.split(separator: "\n").compactMap { line in
          let words = line.split(separator: " ")
          return words[3].hasPrefix("fe80") ? nil : String(words[3])
        } + routes.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    }
  }

  @Test func networkDevices() throws {
    try OCIBundle.with { (bundle) throws in
      try withDevice { (name, what) throws in
        bundle["linux.netDevices"] = [name: ["name": "given%d"]]
        // What the device's settings are called is known when it is there: they are set after it.
        bundle["linux.sysctl"] = ["net.ipv4.conf.given0.forwarding": "1"]
        let printed = try bundle.printed(
          "cat /proc/sys/net/ipv4/conf/given0/forwarding; ip -o link show given0; ip -o address show given0; ls /sys/class/net"
        )
        #expect(printed.hasPrefix("1\n") && printed.contains(",UP") && printed.contains("mtu 1400"), "\(printed)")
        #expect(printed.contains("10.213.7.5/24") && printed.contains("fd00:213:7::5/64"), "\(printed)")
        #expect(!printed.contains("10.213.8.5"), "\(printed)")
        // network_namespaces(7): a virtual one goes with its namespace.
        #expect(try eventually { try what().isEmpty })
      }
      try withDevice { (name, what) throws in
        bundle["linux.sysctl"] = nil
        bundle["linux.netDevices"] = [name: [String: Any]()]
        #expect(try bundle.printed("ip -o link show \(name)").contains("UP"))
        #expect(try eventually { try what().isEmpty })
      }
    }
  }

  @Test func networkDevicesAreGivenBackWhereNothingCameOfIt() throws {
    try OCIBundle.with { (bundle) throws in
      try withDevice { (name, what) throws in
        let before = try what()
        try #require(before.count == 8, "\(before)")
        bundle["linux.netDevices"] = [name: ["name": "lo"]]
        #expect(try bundle.refusal().contains("netDevices.\(name)"), "the name is taken in there")
        #expect(try what() == before)
        bundle["linux.netDevices"] = [name: ["name": "one"], "nosuch0": ["name": "two"]]
        #expect(try bundle.refusal().contains("nosuch0"))
        #expect(try what() == before)
        bundle["linux.netDevices"] = [name: ["name": "one"]]
        bundle["hooks"] = ["createContainer": [["path": "/bin/false"]]]
        #expect(try bundle.refusal().contains("createContainer"))
        #expect(try what() == before)
        bundle["hooks"] = nil
        bundle["process.args"] = ["/no/such/command"]
        #expect(try bundle.start().status != 0)
        #expect(try what() == before)
        bundle["linux.namespaces"] = (bundle["linux.namespaces"] as? [[String: Any]])?.filter {
          $0["type"] as? String != "network"
        }
        #expect(try bundle.refusal().contains("linux.netDevices"))
        bundle.add("linux.namespaces", ["type": "network", "path": "/proc/self/ns/net"])
        #expect(try bundle.refusal().contains("network namespace"))
        #expect(try what() == before)
      }
    }
  }

  // MARK: seccomp

  @Test func seccompListener() throws {
    try OCIBundle.with { (bundle) throws in
      let socket = bundle.folder + "/listener.sock"
      bundle["linux.seccomp"] = [
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket, "listenerMetadata": "so much",
        "syscalls": [["names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"]],
      ]
      bundle.shell("mkdir /tmp/x 2>&1; echo $?")
      #expect(try bundle.refusal().contains(socket), "nobody listens")
      bundle["annotations"] = ["a.b": "c"]
      for noNew in [true, false] {
        bundle["process.noNewPrivileges"] = noNew
        bundle["process.capabilities.bounding"] = ["CAP_SYS_ADMIN"]
        let agent = try SeccompAgent(socket, answer: ENOTBLK)
        let outcome = try bundle.start()
        let heard = try #require(try agent.end(), "\(outcome)")
        #expect(outcome.text.contains("Block device required") && outcome.text.hasSuffix("1"), "\(outcome)")
        #expect(heard["metadata"] as? String == "so much" && heard["fds"] as? [String] == ["seccompFd"], "\(heard)")
        #expect(heard["ociVersion"] as? String == "1.3.0", "\(heard)")
        let state = heard["state"] as? [String: Any] ?? [:]
        #expect(state["id"] as? String == "a" && state["bundle"] as? String == bundle.folder, "\(heard)")
        #expect(state["annotations"] as? [String: String] == ["a.b": "c"], "\(heard)")
        #expect(state["status"] as? String == "creating" || state["status"] as? String == "created", "\(heard)")
        #expect((heard["pid"] as? Int ?? 0) > 1 && heard["pid"] as? Int == state["pid"] as? Int, "\(heard)")
      }
    }
  }

  /// Each process that is executed in there has a filter of its own, whose listener is told as well.
  @Test func seccompListenerOfAnExecution() throws {
    try OCIBundle.with { (bundle) throws in
      let socket = bundle.folder + "/listener.sock"
      bundle["linux.seccomp"] = [
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket,
        "syscalls": [["names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"]],
      ]
      bundle.shell("sleep 1000")
      let first = try SeccompAgent(socket, answer: ENOTBLK)
      try bundle.create()
      try bundle.ok("start", "a")
      let its = try #require(try first.hear())
      let agent = try SeccompAgent(socket, answer: ENOTTY)
      let outcome = try bundle.run("exec", "a", "mkdir", "/tmp/x")
      let heard = try #require(try agent.end(), "\(outcome)")
      #expect(outcome.err.contains("Inappropriate ioctl") || outcome.err.contains("tty"), "\(outcome)")
      #expect(heard["metadata"] as? String ?? "" == "" && heard["pid"] as? Int != its["pid"] as? Int, "\(heard)")
      #expect((heard["state"] as? [String: Any])?["pid"] as? Int == its["pid"] as? Int, "\(heard)")
      _ = try first.end()
    }
  }
}

/// Who listens for a container's notifications: takes one listener, and answers each call with an error.
private final class SeccompAgent: @unchecked Sendable {
  private let socket: CInt
  private let path: String
  private let answer: CInt
  private let stop: [CInt]
  private let told = NSCondition()
  // Under the condition.
  private var bytes: [UInt8]?
  private var hasEnded = false

  init(_ path: String, answer: CInt) throws {
    (self.path, self.answer) = (path, answer)
    unlink(path)
    socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let number = socket
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0, listen(socket, 1) == 0 else { throw SyscallError(call: "bind", errno: errno, path: path) }
    var ends: [CInt] = [-1, -1]
    pipe(&ends)
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    stop = ends
    Thread.detachNewThread {
      self.serve()
      self.told.lock()
      self.hasEnded = true
      self.told.broadcast()
      self.told.unlock()
    }
  }

  /// - Returns: whether `fd` has something, rather than that it is to end.
  private func wait(for fd: CInt) -> Bool {
    var both = [
      pollfd(fd: fd, events: Int16(POLLIN), revents: 0), pollfd(fd: stop[0], events: Int16(POLLIN), revents: 0),
    ]
    while poll(&both, 2, -1) < 0 && errno == EINTR {}
    return both[1].revents == 0 && both[0].revents & Int16(POLLIN) != 0
  }

  private func serve() {
    guard wait(for: socket) else { return }
    let peer = accept(socket, nil, nil)
    guard peer >= 0 else { return }
    var room = [UInt8](repeating: 0, count: 65536)
    var fds: [CInt] = [-1, -1]
    var count: CInt = 2
    let got = zns_receive_fds(peer, &room, room.count, &fds, &count, 0)
    close(peer)
    told.lock()
    bytes = got > 0 && count == 1 ? Array(room.prefix(Int(got))) : []
    told.broadcast()
    told.unlock()
    guard count >= 1 else { return }
    defer { close(fds[0]) }
    while wait(for: fds[0]) {
      // linux/seccomp.h: struct seccomp_notif (80 bytes), struct seccomp_notif_resp (24): id, value, error, flags
      var asked = [UInt64](repeating: 0, count: 10)
      guard asked.withUnsafeMutableBytes({ ioctl(fds[0], 0xc050_2100, $0.baseAddress!) }) == 0 else { continue }
      var said: [UInt64] = [asked[0], 0, UInt64(UInt32(bitPattern: -answer))]
      _ = said.withUnsafeMutableBytes { ioctl(fds[0], 0xc018_2101, $0.baseAddress!) }
    }
  }

  /// What it was told.
  func hear() throws -> [String: Any]? {
    told.lock()
    defer { told.unlock() }
    let deadline = Date() + 20
    while bytes == nil { guard told.wait(until: deadline) else { return nil } }
    return try JSONSerialization.jsonObject(with: Data(bytes ?? [])) as? [String: Any]
  }

  func end() throws -> [String: Any]? {
    let heard = try hear()
    close(stop[1])
    told.lock()
    while !hasEnded { told.wait() }
    told.unlock()
    close(stop[0])
    close(socket)
    unlink(path)
    return heard
  }
}
