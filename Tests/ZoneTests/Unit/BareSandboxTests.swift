import Foundation
import Glibc
import LinuxNS
import ResourceControl
import Testing

@testable import ZoneRuntime

/// Sandboxes without namespaces, and Landlock behind those with them, from values alone.
struct BareSandboxTests {
  // MARK: what Landlock can rule

  @Test(arguments: [
    (0, 0, UInt32(0), false), (1, 13, 0, false), (2, 14, 0, false), (3, 15, 0, false), (4, 15, 3, false),
    (5, 16, 3, false), (6, 16, 3, true), (9, 16, 3, true), (-38, 0, 0, false),
  ])
  func anABIHasItsAccesses(abi: Int, files: Int, network: UInt32, scopes: Bool) {
    let landlock = Landlock(abi: abi)
    #expect(landlock.files.rawValue == (1 << UInt64(files)) - 1)
    #expect(landlock.network == network && landlock.scopesSignals == scopes && landlock.scopesAbstractSockets == scopes)
    // Nothing is named in a rule that the domain does not rule, which is EINVAL.
    #expect(landlock.write.isSubset(of: landlock.files) && landlock.device.isSubset(of: landlock.files))
  }

  // MARK: the second wall

  private func plan(
    _ spec: ZoneSpec, abi: Int, tier: WallTier = .single, _ change: (inout HostFacts) -> Void = { _ in }
  ) throws -> LaunchPlan {
    var facts = try PlanTests.facts(.single)
    facts.tier = tier
    facts.landlock = Landlock(abi: abi)
    change(&facts)
    return LaunchPlanner.plan(spec, facts)
  }

  private func sandbox(_ change: (inout ZoneSpec) -> Void = { _ in }) -> ZoneSpec {
    var spec = ZoneSpec(name: "box")
    spec.sandbox = SandboxSpec(
      account: SandboxAccount(uid: 1000, gid: 1000, name: "me", home: "/home/me", shell: "/bin/sh"))
    spec.network = .none
    spec.command = ["true"]
    spec.workdir = "/home/me/project"
    change(&spec)
    return spec
  }

  @Test func aDomainIsEnteredWhenTheRootStands() throws {
    let ops = try plan(sandbox { $0.sandbox?.landlock = true }, abi: 6).process.map { $0.op }
    let first = try #require(ops.firstIndex { $0.code == .landlock })
    #expect(ops[first - 1].code == .changeDirectory, "which waits until the zone's root stands")
    let domain = ops.filter { $0.code == .landlock }
    #expect(domain.count == 3, "a few calls a start")
    #expect(domain[0].flags == .make && domain[0].a == 0xffff && domain[0].b == 3 << 32)
    #expect(domain[1].blocks == [Array("/".utf8)] && domain[1].a == 0xffff)
    #expect(domain[2] == StageOp(.landlock))
    #expect(try plan(sandbox(), abi: 0).process.allSatisfy { $0.op.code != .landlock })
    #expect(try plan(sandbox { $0.sandbox = nil }, abi: 6).process.allSatisfy { $0.op.code != .landlock })
    // One of files slows each open; of the host's network the abstract sockets are a part.
    let usual = try plan(sandbox(), abi: 6).process.map { $0.op }.filter { $0.code == .landlock }
    #expect(usual.count == 2 && usual[0].a == 0 && usual[0].b == 3 << 32)
    let host = try plan(sandbox { $0.network = .host }, abi: 6).process.map { $0.op }.filter { $0.code == .landlock }
    #expect(host[0].b == 2 << 32)
    #expect(try plan(sandbox(), abi: 5).process.allSatisfy { $0.op.code != .landlock })
  }

  // MARK: the tier without namespaces

  private func bare(_ change: (inout ZoneSpec) -> Void = { _ in }) -> ZoneSpec {
    sandbox { spec in
      spec.sandbox?.bare = BareSandbox(home: "/run/z/box/home", scratch: "/run/z/box/tmp", why: "x is 0")
      spec.sandbox?.places = [
        SandboxPlace("/home/me/project", .writable, why: "the current directory"),
        SandboxPlace("/home/me/file", .readOnly, isDirectory: false, why: "--ro"),
        SandboxPlace("/proc", .readOnly, why: "--ro"),
      ]
      change(&spec)
    }
  }

  @Test func nothingIsMountedAndNobodyMapped() throws {
    let plan = try plan(bare(), abi: 6, tier: .bare)
    #expect(plan.namespaces.isEmpty && plan.tree.isEmpty && plan.zone.isEmpty)
    let codes = plan.process.map { $0.op.code }
    let place = { (code: StageOp.Code) in codes.firstIndex(of: code) ?? -1 }
    #expect(place(.noNewPrivileges) == 0 && place(.landlock) == 1)
    // Whatever is done behind the filter needs no privilege, and the bounding set is not an ordinary user's to change.
    #expect(codes.lastIndex(of: .landlock)! < place(.seccomp) && !codes.contains(.bounding))
    #expect(codes.last == .capabilities)
    // The keeper's own domain is one of signals and nothing else: it is how the sandbox ends.
    let before = plan.before.map { $0.op }
    #expect(before.map { $0.code } == [.noNewPrivileges, .landlock, .landlock])
    #expect(before[1].a == 0 && before[1].b == 2 << 32)
    #expect(try self.plan(bare(), abi: 5, tier: .bare).before.isEmpty, "without scopes nobody may signal everybody")
  }

  @Test func rulesAreThePlaces() throws {
    let plan = try plan(bare { $0.terminal = true }, abi: 6, tier: .bare) { facts in
      facts.readable = [ReadablePath(path: "/etc/passwd", isDirectory: false, why: "x")]
    }
    var rules: [String: StageOp] = [:]
    for op in plan.process.map({ $0.op }) where op.code == .landlock {
      if let path = op.blocks.first ?? nil { rules[String(decoding: path, as: UTF8.self)] = op }
    }
    let landlock = Landlock(abi: 6)
    #expect(rules["/usr"]?.a == Landlock.Files.read.rawValue && rules["/usr"]?.flags == .straight)
    #expect(rules["/home/me/project"]?.a == landlock.write.rawValue)
    #expect(rules["/home/me/project"]!.a & Landlock.Files.ioctlDevice.rawValue == 0)
    // A right that only directories have is refused of a file.
    #expect(rules["/home/me/file"]?.a == 5 && rules["/etc/passwd"]?.a == 5)
    #expect(rules["/proc/self/fd/0"]?.a == landlock.device.rawValue && rules["/dev/tty"]?.flags == .optional)
    #expect(rules["/home/me"] == nil && rules["/"] == nil && rules["/tmp"] == nil && rules["/dev"] == nil)
    #expect(plan.zone.map { $0.op.code } == [.terminal])
    let domain = try #require(plan.process.map { $0.op }.first { $0.code == .landlock })
    #expect(domain.b == 3 << 32 | 3)
    let host = try self.plan(bare { $0.network = .host }, abi: 6, tier: .bare).process.map { $0.op }
    #expect(host.first { $0.code == .landlock }?.b == 3 << 32)
  }

  @Test func limitsAreAddedToWhatRuns() throws {
    let plan = try plan(
      bare {
        $0.limits.pids = 20
        $0.limits.memory = 1 << 26
      }, abi: 6, tier: .bare
    ) { $0.ownProcesses = 100 }
    let limits = plan.process.map { $0.op }.filter { $0.code == .rlimit }
    #expect(limits.map { $0.flags.rawValue } == [6, 2] && limits.map { $0.a } == [120, 1 << 26])
  }

  // MARK: places

  private let tree: [String: PathKind] = [
    "/t": .directory, "/t/a": .directory, "/t/a/key": .file, "/t/a/x": .file, "/t/b": .file, "/t/link": .link,
    "/p": .directory,
  ]

  private func places(_ planned: [SandboxPlace]) throws -> [String: SandboxPlace.Access] {
    let bare = BarePlaces(
      list: { [tree] folder in
        tree.keys.filter { FileSystem.parent(of: $0) == folder }.map { Paths.name($0) }
      }, look: { [tree] in tree[$0] })
    return Dictionary(uniqueKeysWithValues: try bare.places(planned).map { ($0.path, $0.access) })
  }

  @Test func aSecretInAToolsTreeDividesIt() throws {
    let found = try places([
      SandboxPlace("/t", .readOnly, why: "PATH names it"), SandboxPlace("/t/a/key", .hidden, why: "credentials"),
      SandboxPlace("/p", .writable, why: "p"), SandboxPlace("/c", .passing, why: "a cache"),
    ])
    #expect(found == ["/t/a/x": .readOnly, "/t/b": .readOnly, "/p": .writable])
  }

  @Test(arguments: [
    [SandboxPlace("/p", .writable, why: "p"), SandboxPlace("/p/v", .readOnly, why: "--ro")],
    [SandboxPlace("/p", .writable, why: "p"), SandboxPlace("/p/key", .hidden, why: "yours alone")],
    [SandboxPlace("/t", .readOnly, why: "--ro"), SandboxPlace("/t/b", .hidden, why: "--hide")],
    [SandboxPlace("/t", .readOnly, why: "--ro"), SandboxPlace("/t", .hidden, why: "--hide")],
  ])
  func whatWouldHaveToBeTakenOutIsRefused(planned: [SandboxPlace]) {
    #expect { try places(planned) } throws: { error in "\(error)".contains(planned[1].path) }
  }

  @Test func theHomeLeadsToWhatWasGiven() {
    let links = BarePlaces.links(
      [
        SandboxPlace("/home/me/.cargo/bin", .readOnly, why: ""), SandboxPlace("/home/me/p", .writable, why: ""),
        SandboxPlace("/home/me/p/sub", .writable, why: ""), SandboxPlace("/srv/x", .readOnly, why: ""),
      ], from: "/home/me", in: "/run/h")
    #expect(links == ["/run/h/.cargo/bin": "/home/me/.cargo/bin", "/run/h/p": "/home/me/p"])
  }

  // MARK: /etc

  @Test func ofEtcWhatIsEverybodys() throws {
    let folder = try makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Command.text(
      "sh", "-ec",
      """
      cd \(folder); umask 022; mkdir -p ssl/certs ssl/private alternatives deep/a/b sealed; echo x | tee passwd shadow hosts ssl/certs/c
      echo x > ssl/private/key; echo x > ssl/openssl.cnf; echo x > deep/a/f; echo x > deep/a/b/g; chmod 600 deep/a/b/g; chmod 700 sealed
      echo x > resolv.conf; ln -s /usr/bin/x alternatives/x
      """)
    let found = { (network: Bool) in
      Set(
        try PublicEtc(source: folder, network: network).paths().map {
          "\($0.path.dropFirst(folder.count))\($0.isDirectory ? "/" : "")"
        })
    }
    let public_: Set = ["/passwd", "/hosts", "/ssl/certs/", "/ssl/openssl.cnf", "/alternatives/", "/deep/a/f"]
    #expect(try found(false) == public_)
    #expect(try found(true) == public_.union(["/resolv.conf"]))
  }

  // MARK: the filter

  @Test func whatNamespacesKeepApartIsRefused() throws {
    let profile = SeccompProfile(capabilities: [], shared: .noNetwork)
    var plain: [String: SeccompAction] = [:]
    for rule in profile.plainRules() {
      #expect(plain[rule.call] == nil, "\(rule.call) twice")
      plain[rule.call] = rule.action
    }
    for call in ["shmget", "shmat", "msgget", "semget", "mq_open", "ipc", "socketcall"] {
      #expect(plain[call] == .refuse(.noSuchCall), "\(call)")
    }
    #expect(plain["prlimit64"] == .refuse(.notPermitted) && plain["socket"] == .refuse(.noSuchFamily))
    let tested = profile.argumentRules(sockets: true)
    #expect(!tested.contains { $0.call == "socket" && $0.action == .allow })
    #expect(tested.filter { $0.call == "prlimit64" }.map { $0.test?.value } == [0])
    #expect(tested.filter { $0.call == "socketpair" && $0.test?.argument == 1 }.map { $0.test?.value } == [2, 3])
    let network = SeccompProfile(capabilities: [], shared: .network).argumentRules(sockets: true)
    #expect(network.filter { $0.call == "socket" }.map { $0.test?.value } == [2, 10, 16], "no AF_UNIX")
    let names = [nil, SharedKernel.noNetwork, .network].map {
      SeccompKey(SeccompProfile(capabilities: [], shared: $0)).text
    }
    #expect(Set(names).count == 3)
    _ = try SeccompCompiler.compile(profile)
  }

  // MARK: who refused

  @Test func theLayerIsNamed() {
    let enter = PlannedOp.landlockEnter
    #expect(enter.hint(E2BIG)?.contains("sixteen domains") == true && enter.hint(EPERM)?.contains("Landlock") == true)
    #expect(PlannedOp.seccomp([]).hint(EINVAL)?.hasPrefix("seccomp:") == true)
    let mount = PlannedOp.mount("proc", on: "/proc")
    #expect(mount.hint(EPERM) != nil && mount.hint(ENOSPC)?.contains("mount-max") == true && mount.hint(EACCES) == nil)
    #expect(PlannedOp.hostname("a").hint(EPERM) == nil)
  }

  // MARK: walls by name

  @Test func aWallIsTheTiers() throws {
    var wish = SandboxWish()
    wish.bare = "x is 0"
    for wall in ["seccomp", "capabilities", "no-new-privs", "net"] { try SandboxWalls.require(wall, wish) }
    for wall in ["user", "mount", "pid", "ipc", "uts", "cgroup"] {
      #expect { try SandboxWalls.require(wall, wish) } throws: {
        "\($0)".contains("'\(wall)'") && "\($0)".contains("x is 0")
      }
    }
    wish.bare = nil
    for wall in ["user", "mount", "pid"] { try SandboxWalls.require(wall, wish) }
    #expect(
      SandboxWalls.standing(bare(), Landlock(abi: 6)) == ["net", "landlock", "seccomp", "capabilities", "no-new-privs"])
    // Of files where it was asked for; of signals and abstract sockets alone it is no wall of that name.
    #expect(!SandboxWalls.standing(sandbox(), Landlock(abi: 6)).contains("landlock"))
    let asked = sandbox { $0.sandbox?.landlock = true }
    #expect(SandboxWalls.standing(asked, Landlock(abi: 6)).contains("landlock"))
    #expect(!SandboxWalls.standing(asked, Landlock(abi: 0)).contains("landlock"))
    #expect(!SandboxWalls.standing(sandbox { $0.nesting = true }, Landlock(abi: 6)).contains("landlock"))
  }
}
