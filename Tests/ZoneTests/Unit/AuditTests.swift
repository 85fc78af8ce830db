import LinuxNS
import Testing
import VirtualNet

@testable import ResourceControl
@testable import ZoneRuntime

/// What the audit compares, where the kernel cannot be made to differ from outside, or not in every way.
@Suite struct AuditTests {
  // MARK: processes

  static let status = """
    Name:\tsleep
    PPid:\t25938
    TracerPid:\t0
    Uid:\t2053242880\t2053242880\t2053242880\t2053242880
    Gid:\t2053242880\t2053242880\t2053242880\t2053242880
    Groups:\t2053242880 2053242885 
    NSpid:\t25940\t2
    CapInh:\t0000000000000000
    CapPrm:\t00000000a00405fb
    CapEff:\t00000000a00405fb
    CapBnd:\t00000000a00405fb
    CapAmb:\t0000000000000000
    NoNewPrivs:\t1
    Seccomp:\t2
    Seccomp_filters:\t1
    """

  @Test func aProcessIsRead() throws {
    let status = try ProcessStatus(Array(Self.status.utf8))
    #expect(status.parent == 25938 && status.tracer == 0 && status.pids == [25940, 2])
    #expect(status.uids == [UInt32](repeating: 2_053_242_880, count: 4))
    #expect(status.groups == [2_053_242_880, 2_053_242_885])
    #expect(status.effective == .zoneDefault && status.bounding == .zoneDefault && status.inheritable.isEmpty)
    #expect(status.noNewPrivileges && status.seccompMode == 2 && status.seccompFilters == 1)
  }

  /// What cannot be read is not taken for harmless.
  @Test func aLineThatIsMissingOrNoneIsAnError() throws {
    let lines = Self.status.split(separator: "\n").map(String.init)
    for gone in lines.indices where !lines[gone].hasPrefix("Name") {
      for line in [nil, lines[gone].prefix { $0 != ":" } + ":\tx y"] {
        var changed = lines
        if let line { changed[gone] = String(line) } else { changed.remove(at: gone) }
        #expect(throws: SyntaxError.self, "\(lines[gone]) as \(line ?? "nothing")") {
          _ = try ProcessStatus(Array(changed.joined(separator: "\n").utf8))
        }
      }
    }
  }

  private func processes(
    _ spec: ZoneSpec = ZoneSpec(name: "web"), command: (inout ProcessStatus) -> Void = { _ in },
    first: (inout ProcessStatus) -> Void = { _ in }
  ) throws -> ProcessAudit {
    var facts = try PlanTests.facts()
    facts.uids = [try IdMap(inside: 0, outside: 2_053_242_880, count: 65536)]
    facts.gids = facts.uids
    if spec.user != nil { facts.user.uid = 1000 }
    var its = try ProcessStatus(Array(Self.status.utf8))
    var inits = its
    inits.effective = CapabilitySet([.kill])
    inits.permitted = inits.effective
    inits.bounding = CapabilitySet(rawValue: .max)
    (inits.seccompMode, inits.seccompFilters) = (0, 0)
    command(&its)
    first(&inits)
    return ProcessAudit(
      wanted: ProcessAudit.Wanted(LaunchPlanner.plan(spec, facts)), first: spec.ownInit ? nil : inits, command: its)
  }

  @Test func aProcessAsItWasMadeIsAsAsked() throws {
    let audit = try processes()
    for finding in [audit.capabilities(), audit.seccomp(), audit.noNewPrivileges()] {
      #expect(finding.isAsAsked, "\(finding)")
    }
    let maps = (uids: "0 2053242880 65536", gids: "0 2053242880 65536", setgroups: "allow")
    #expect(audit.ids(maps, denied: false).isAsAsked)
  }

  static var sets: [(name: String, path: WritableKeyPath<ProcessStatus, CapabilitySet>)] {
    [
      ("effective", \.effective), ("permitted", \.permitted), ("inheritable", \.inheritable),
      ("bounding", \.bounding), ("ambient", \.ambient),
    ]
  }

  @Test func aCapabilityMoreIsToldForEachSet() throws {
    for (name, path) in Self.sets {
      let ofCommand = try processes(command: { $0[keyPath: path].formUnion(CapabilitySet([.sysAdmin])) }).capabilities()
      #expect(ofCommand.differences.map(\.what) == ["\(name) of the command"])
      #expect(ofCommand.differences.first?.found.contains("CAP_SYS_ADMIN") == true)
      let ofInit = try processes(first: { $0[keyPath: path].formUnion(CapabilitySet([.sysAdmin])) }).capabilities()
      #expect(ofInit.differences.map(\.what) == (name == "bounding" ? [] : ["\(name) of the init"]))
    }
  }

  /// A command may give up what it has; another user than root has nothing to begin with.
  @Test func fewerCapabilitiesAreNoDifference() throws {
    #expect(try processes(command: { $0.effective = [] }).capabilities().isAsAsked)
    var spec = ZoneSpec(name: "web")
    spec.user = "1000"
    #expect(try !processes(spec).capabilities().isAsAsked)
    let user = try processes(spec) { ($0.effective, $0.permitted) = ([], []) }
    #expect(user.capabilities().isAsAsked)
  }

  @Test func aMissingFilterIsTold() throws {
    #expect(try !processes(command: { $0.seccompMode = 0 }).seccomp().isAsAsked)
    #expect(try !processes(command: { $0.seccompFilters = 0 }).seccomp().isAsAsked)
    // The command may add its own.
    #expect(try processes(command: { $0.seccompFilters = 3 }).seccomp().isAsAsked)
    // One that both have is the launcher's.
    let inherited = try processes(first: { ($0.seccompMode, $0.seccompFilters) = (2, 1) })
    #expect(inherited.seccomp().differences.map(\.wanted) == ["mode 2, filters 2"])
  }

  @Test func newPrivilegesAreTold() throws {
    #expect(
      try processes(command: { $0.noNewPrivileges = false }).noNewPrivileges().differences.map(\.what) == ["command"])
    #expect(try processes(first: { $0.noNewPrivileges = false }).noNewPrivileges().differences.map(\.what) == ["init"])
    var system = ZoneSpec(name: "web")
    system.ownInit = true
    #expect(try processes(system, command: { $0.noNewPrivileges = false }).noNewPrivileges().isAsAsked)
  }

  @Test func anIdOfTheHostsIsTold() throws {
    let maps = (uids: "0 2053242880 65536", gids: "0 2053242880 65536", setgroups: "allow")
    for change: (inout ProcessStatus) -> Void in [{ $0.uids[1] = 0 }, { $0.gids[3] = 5 }, { $0.groups = [27] }] {
      #expect(try processes(command: change).ids(maps, denied: false).differences.count == 1)
      #expect(try processes(first: change).ids(maps, denied: false).differences.count == 1)
    }
    let audit = try processes()
    #expect(
      audit.ids((uids: "0 0 4294967295", gids: maps.gids, setgroups: "allow"), denied: false).differences.count == 1)
    #expect(audit.ids(maps, denied: true).differences.map(\.what) == ["setgroups"])
  }

  // MARK: namespaces

  static let host = Dictionary(uniqueKeysWithValues: KernelView.namespaces.map { ($0, "\($0):[1]") })
  static let own = Dictionary(uniqueKeysWithValues: KernelView.namespaces.map { ($0, "\($0):[2]") })
  static let all: NamespaceFlags = [.mount, .pid, .ipc, .uts, .cgroup, .net]

  @Test func aNamespaceOfTheHostsIsTold() {
    let clean = NamespaceAudit(host: Self.host, first: Self.own, command: Self.own, mayMake: false)
    #expect(clean.compare(Self.all).isAsAsked)
    for name in KernelView.namespaces {
      var shared = Self.own
      shared[name] = Self.host[name]
      let first = NamespaceAudit(host: Self.host, first: shared, command: shared, mayMake: false).compare(Self.all)
      #expect(first.differences.count == 1, "\(name): \(first)")
      for mayMake in [false, true] {
        let its = NamespaceAudit(host: Self.host, first: Self.own, command: shared, mayMake: mayMake).compare(Self.all)
        #expect(its.differences.count == 1, "\(name): \(its)")
      }
      var third = Self.own
      third[name] = "\(name):[3]"
      let further = NamespaceAudit(host: Self.host, first: Self.own, command: third, mayMake: true).compare(Self.all)
      #expect(further.isAsAsked)
      var unread = Self.own
      unread[name] = nil
      #expect(!NamespaceAudit(host: Self.host, first: unread, command: nil, mayMake: false).compare(Self.all).isAsAsked)
    }
    // The host's network, where that was asked for, and only then.
    var network = Self.own
    network["net"] = Self.host["net"]
    let host = NamespaceAudit(host: Self.host, first: network, command: network, mayMake: false)
    #expect(host.compare(Self.all.subtracting(.net)).isAsAsked)
    #expect(!clean.compare(Self.all.subtracting(.net)).isAsAsked)
  }

  // MARK: descriptors

  @Test func whatLeadsOutIsTold() {
    let audit = DescriptorAudit(mounts: [7], hostSockets: ["99"], hostNamespaces: ["net:[1]"], mayMount: false)
    let stays: [HeldFile] = [
      HeldFile(name: "0", link: "/dev/null", mount: 1, isNull: true), HeldFile(name: "1", link: "pipe:[5]", mount: 2),
      HeldFile(name: "3", link: "/etc/passwd", mount: 7), HeldFile(name: "4", link: "socket:[98]", mount: 3),
      HeldFile(name: "5", link: "anon_inode:[eventpoll]", mount: 4),
      HeldFile(name: "6", link: "/memfd:x (deleted)", mount: 5),
      HeldFile(name: "cwd", link: "/root", mount: 7, isDirectory: true), HeldFile(name: "8", link: "net:[2]"),
    ]
    #expect(audit.judge("command", stays).differences.isEmpty && audit.judge("command", stays).given.isEmpty)
    let leads: [HeldFile] = [
      HeldFile(name: "3", link: "/etc/shadow", mount: 1), HeldFile(name: "0", link: "/", mount: 1, isDirectory: true),
      HeldFile(name: "4", link: "socket:[99]"), HeldFile(name: "5", link: "net:[1]"),
      HeldFile(name: "cwd", link: "/", mount: 1, isDirectory: true),
      HeldFile(name: "6", link: "/dev/null", mount: 1, isNull: true),
    ]
    for file in leads {
      #expect(audit.judge("command", [file]).differences.map(\.what) == ["\(file.name) of the command"])
    }
    // The keeper's end of the gate, and no other socket of its side.
    let gate = HeldFile(name: "3", link: "socket:[99]")
    #expect(audit.judge("init", [gate], gate: "3").differences.isEmpty)
    #expect(audit.judge("init", [gate], gate: "4").differences.count == 1)
    // What a launcher gave as input or output is said.
    let given = audit.judge("command", [HeldFile(name: "1", link: "/tmp/out", mount: 1)])
    #expect(given.differences.isEmpty && given.given.count == 1)
  }

  // MARK: groups

  @Test func membershipsAreRead() {
    let membership = GroupAudit.Membership(Array("4:memory:/zones/a\n2:cpu,cpuacct:/x:y\n0::/zones/a\nnonsense\n".utf8))
    #expect(membership.unified == "/zones/a")
    #expect(membership.v1["memory"] == "/zones/a" && membership.v1["cpuacct"] == "/x:y")
  }

  @Test func valuesAreTheSameAsTheKernelWritesThem() {
    let same = { (wanted: String, found: String, file: String) in
      GroupAudit.isSame(wanted, found, file: file, page: 4096)
    }
    #expect(same("100000", "98304", "memory.max") && !same("100000", "102400", "memory.max"))
    #expect(!same("98304", "max", "memory.max"))
    #expect(same("-1", "9223372036854771712", "memory.limit_in_bytes"))
    #expect(same("0,1", "0-1", "cpuset.cpus") && same("0-1,3", "0-1,3", "cpuset.cpus"))
    #expect(!same("0", "0-1", "cpuset.cpus") && !same("x", "y", "cpuset.cpus"))
    #expect(!same("50", "60", "pids.max") && same("50", "50", "pids.max"))
  }

  @Test func aGroupIsNamedAsTheKernelNamesIt() {
    let top = CgroupHierarchy.parse(
      mountinfo: "1 2 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", root: "/sys/fs/cgroup"
    ).unified
    #expect(GroupAudit.name("/sys/fs/cgroup/zones/a", in: top) == "/zones/a")
    let below = CgroupHierarchy.parse(
      mountinfo: "1 2 0:3 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", root: "/sys/fs/cgroup"
    ).unified
    #expect(GroupAudit.name("/sys/fs/cgroup/zones/a", in: below) == "/box/zones/a")
    #expect(GroupAudit.name("/elsewhere", in: top) == nil && GroupAudit.name("/sys/fs/cgroup/a", in: nil) == nil)
  }

  // MARK: what is printed

  @Test func programsGetTheSameFindings() throws {
    let audit = ZoneAudit(
      zone: "web",
      findings: [
        AuditFinding(name: "ids", seen: "x", differences: []),
        AuditFinding(name: "mounts", seen: "", differences: [AuditDifference("/usr", wanted: "ro", found: "rw")]),
      ], weaker: ["--nesting"])
    #expect(
      String(decoding: try JSON.encode(audit), as: UTF8.self)
        == #"{"asAsked":false,"findings":[{"asAsked":true,"differences":[],"name":"ids","seen":"x"},{"asAsked":false,"differences":[{"found":"rw","wanted":"ro","what":"/usr"}],"name":"mounts","seen":""}],"weaker":["--nesting"],"zone":"web"}"#
    )
  }
}
