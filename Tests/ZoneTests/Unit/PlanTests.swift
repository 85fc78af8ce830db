import LinuxNS
import ResourceControl
import Testing
import VirtualNet

@testable import ZoneRuntime

/// The planner is a pure function: what it promises is checked on the plan, for many specs.
@Suite struct PlanTests {
  static func facts(_ tier: WallTier = .root) throws -> HostFacts {
    let outside: UInt32 = tier == .root ? 0x7000_0000 : 1000
    let map = [try IdMap(inside: 0, outside: outside, count: tier == .single ? 1 : 65536)]
    var facts = HostFacts(
      tier: tier, uid: tier == .root ? 0 : 1000, gid: tier == .root ? 0 : 1000, uids: map, gids: map,
      runDirectory: "/run/zones/web", dataDirectory: "/var/lib/zones/web", dataRoot: "/var/lib/zones",
      etcTemplate: "/var/lib/zones/.shared/etc/1", volumeDirectory: "/var/lib/zones/.shared/volumes",
      user: ZoneUser(uid: 0, gid: 0, groups: [0], name: "root", home: "/root", shell: "/bin/sh"),
      capabilities: .zoneDefault, seccomp: [UInt8](repeating: 0, count: 16), resolvConf: "nameserver 10.88.0.1\n",
      hosts: "")
    facts.rootDirectories = ["usr", "opt"]
    facts.rootLinks = [("bin", "usr/bin")]
    facts.idmappable = ["/usr", "/opt", "/var/lib/zones", "/srv", "/srv/root"]
    return facts
  }

  /// A spec made from a seed: every brand, tier and option meets every other over enough of them.
  static func spec(_ seed: Int) -> ZoneSpec {
    var spec = ZoneSpec(name: "web")
    let bit = { (n: Int) in seed >> n & 1 == 1 }
    spec.brand = [.sparse, .directory("/srv/root"), .empty, .sparse][seed & 3]
    spec.network = bit(2) ? .none : bit(3) ? .host : .named("default")
    spec.readOnly = bit(4)
    spec.ephemeral = bit(5)
    spec.nesting = bit(6)
    spec.terminal = bit(7)
    if bit(8) { spec.volumes = [VolumeMount(source: .path("/srv"), target: "/data", readOnly: bit(9))] }
    if bit(10) { spec.secrets = [SecretMount(name: "key", file: "/root/key")] }
    spec.command = ["/bin/true"]
    return spec
  }

  @Test(arguments: [WallTier.root, .subordinate, .single])
  func everyPlanKeepsTheOrderThatWithstoodAttack(_ tier: WallTier) throws {
    for seed in 0..<2048 {
      let spec = Self.spec(seed)
      let plan = LaunchPlanner.plan(spec, try Self.facts(tier))
      let codes = plan.zone.map(\.op.code)
      let place = { (code: StageOp.Code) in codes.firstIndex(of: code) }
      // Everything of the host's is attached before the clone; in the zone nothing of it can be.
      #expect(
        !plan.zone.contains { [.attach, .rootTree, .hostTree, .rootTmpfs, .overlay, .device].contains($0.op.code) })
      // Fresh proc while the host's is in sight; covers before the pivot; the pivot once.
      let pivot = try #require(place(.pivot))
      #expect(place(.enterRoot) == 0)
      #expect(codes.lastIndex(of: .mask)! < pivot)
      #expect(codes.lastIndex(of: .readOnlyPath)! < pivot)
      #expect(codes.filter { $0 == .pivot }.count == 1)
      // The root is read-only last of all, when no mount point is to be made any more.
      if spec.readOnly { #expect(plan.tree.last?.op.code == .readOnly) }
      // New user namespaces are closed before /proc/sys is.
      let closes = plan.zone.contains { $0.words == "write 0 to /proc/sys/user/max_user_namespaces" }
      #expect(closes == !spec.nesting)
      #expect(plan.namespaces.contains(.net) == (spec.network != .host))
      #expect(plan.namespaces.contains(.user) == (tier != .root))
    }
  }

  @Test(arguments: [WallTier.root, .subordinate, .single])
  func theFirstProcessLosesPowerInOrder(_ tier: WallTier) throws {
    let plan = LaunchPlanner.plan(Self.spec(0), try Self.facts(tier))
    let codes = plan.process.map(\.op.code)
    // What wants the root comes behind what does not, which is done while the root is still put in place.
    #expect(codes == [.noNewPrivileges, .seccomp, .bounding, .changeDirectory, .ids, .capabilities])
    let held = try #require(plan.process.first { $0.op.code == .capabilities })
    #expect(held.op.b == 0, "nothing inheritable, nothing ambient (CVE-2022-29162)")
    #expect(held.op.a == CapabilitySet.zoneDefault.rawValue)
    let ids = try #require(plan.process.first { $0.op.code == .ids })
    #expect(
      ids.op.flags.contains(.keepGroups) == (tier == .single), "setgroups always runs, but where the kernel forbids it")
  }

  @Test func hostTreesOfRootComeByDescriptorAndWithMappedIds() throws {
    for seed in 0..<2048 {
      let plan = LaunchPlanner.plan(Self.spec(seed), try Self.facts(.root))
      for op in plan.tree where [.attach, .rootTree, .hostTree].contains(op.op.code) {
        #expect(op.op.fd >= 0, "\(op.words): a path would be resolved twice")
        #expect(op.op.blocks[1] == nil)
        let source = plan.sources[Int(op.op.fd)].path
        if source == "/usr" || source == "/srv" { #expect(op.op.flags.contains(.idmap), "\(op.words)") }
      }
    }
  }

  @Test func usrAndOptAreReadOnlyInEveryTier() throws {
    for tier in [WallTier.root, .subordinate, .single] {
      let plan = LaunchPlanner.plan(Self.spec(0), try Self.facts(tier))
      for path in ["/usr", "/opt"] {
        let op = try #require(plan.tree.first { $0.words.hasPrefix("attach \(path) ") })
        #expect(op.op.a & MountFlag.readOnly != 0)
        #expect(op.op.a & MountFlag.noDev != 0)
      }
    }
  }

  @Test func aSecretIsNamedAndNeverShown() throws {
    var spec = Self.spec(0)
    spec.secrets = [SecretMount(name: "key", file: "/root/key", uid: 5)]
    spec.environment = ["TOKEN": "hunter2"]
    let plan = LaunchPlanner.plan(spec, try Self.facts(.root))
    let copy = try #require(plan.tree.first { $0.op.code == .copy })
    #expect(copy.op.b == 0o400)
    #expect(copy.op.a & 0xffff_ffff == 0x7000_0005)
    let text = plan.explained(cgroup: nil, network: nil)
    #expect(text.contains("TOKEN"))
    #expect(!text.contains("hunter2"), "explain tells names, not values")
  }

  @Test func theStageGetsWhatWasPlanned() throws {
    var stage = StagePlan(mode: .launch, tier: .host)
    stage.tree = [StageOp(.makeDirectory, blocks: [Array("srv".utf8)], a: 0o755)]
    stage.process = [StageOp(.bounding, a: 7)]
    stage.arguments = ["/bin/echo", "a b", ""]
    stage.descriptors.run = 40
    stage.descriptors.sources = [41, 42]
    stage.zone = [StageOp(.attach, fd: 1, blocks: [Array("data".utf8), nil])]
    let (block, fds) = stage.marshalled()
    #expect(fds == [40, 41, 42])
    #expect(block.count % 4 == 0 || !block.isEmpty)
    let text = String(decoding: block, as: UTF8.self)
    for word in ["srv\0", "data\0", "/bin/echo\0", "a b\0"] { #expect(text.contains(word)) }
    // Magic and version lead the block: a stage of another release refuses it.
    #expect(Array(block[0..<4]) == Array("ZONE".utf8))
  }
}

@Suite struct RestartPolicyTests {
  static let failed = ZoneExit(code: 1, signal: nil, oomKilled: false, at: 0)
  static let ended = ZoneExit(code: 0, signal: nil, oomKilled: false, at: 0)

  @Test(arguments: [
    (RestartPolicy.no, failed, 0, false), (.always, ended, 99, true), (.unlessStopped, ended, 0, true),
    (.onFailure(limit: nil), ended, 0, false), (.onFailure(limit: nil), failed, 1000, true),
    (.onFailure(limit: 3), failed, 2, true), (.onFailure(limit: 3), failed, 3, false),
  ])
  func wantsARestart(_ policy: RestartPolicy, _ exit: ZoneExit, _ restarts: Int, _ wanted: Bool) {
    #expect(policy.wants(exit, restarts: restarts) == wanted)
  }

  @Test(arguments: ["no", "always", "unless-stopped", "on-failure", "on-failure:5"])
  func isSpelledAsItIsRead(_ text: String) throws { #expect(try RestartPolicy(parsing: text).text == text) }

  @Test(arguments: ["", "never", "on-failure:", "on-failure:0", "on-failure:-1", "always:3", "on-failure:99999999"])
  func refusesWhatItDoesNotKnow(_ text: String) {
    #expect(throws: SyntaxError.self) { try RestartPolicy(parsing: text) }
  }
}
