import LinuxNS
import ResourceControl

@testable import ZoneRuntime

extension FuzzTarget {
  /// What is kept as JSON of zones and containers. What was read is written, and that reads as the same again; a zone's
  /// spec is planned, too.
  static let state = FuzzTarget("state") { (bytes) throws(Finding) in
    if let spec = try roundTrip(ZoneSpec.self, bytes) {
      try hold(spec.unsound(as: spec.name) == spec.unsound(as: spec.name), "sound or not, as it comes")
      if spec.unsound(as: spec.name) == nil { try plan(spec) }
    }
    if let record = try roundTrip(RunRecord.self, bytes), record.unsound(as: "web") == nil {
      for path in record.cgroup?.paths ?? [] {
        try hold(path.hasSuffix("web"), "\(path) would be cleaned up, and is not the zone's")
      }
    }
    if let keeper = try roundTrip(KeeperRecord.self, bytes), keeper.unsound == nil, let exit = keeper.exit {
      try hold((exit.code == nil) != (exit.signal == nil), "an end by both or none of status and signal")
      try hold((0...255).contains(exit.shellCode), "exit status \(exit.shellCode)")
    }
    if let exit = try roundTrip(ZoneExit.self, bytes), exit.unsound == nil { _ = exit.shellCode }
    if let record = try roundTrip(ContainerRecord.self, bytes) {
      let told = Timestamp.text(record.createdSeconds, record.createdNanoseconds)
      try hold(told.hasSuffix("Z"), "the time '\(told)'")
      try hold(!ContainerFiles.name(of: record.id).contains("/") || record.id.contains("/"), "a name of two parts")
    }
    _ = try roundTrip(ZoneStatus.self, bytes)
    _ = try roundTrip(SetOutcome.self, bytes)
    _ = try roundTrip(KernelFeatures.self, bytes)
  }

  private static func roundTrip<Value: JSONValue>(_ type: Value.Type, _ bytes: [UInt8]) throws(Finding) -> Value? {
    guard let read = accepted({ try JSON.decode(type, from: bytes, name: "x") }) else {
      return nil
    }
    do throws(JSONError) {
      let written = try JSON.encode(read)
      let again = try JSON.encode(JSON.decode(type, from: written, name: "written"))
      let pretty = try JSON.encode(read, pretty: true)
      let fromPretty = try JSON.encode(JSON.decode(type, from: pretty, name: "written"))
      guard again == written, fromPretty == written else {
        throw JSONError(why: "\(text(written)) reads as \(text(again)) and \(text(fromPretty))")
      }
    } catch { throw Finding("\(type): \(error)") }
    return read
  }

  private static func plan(_ spec: ZoneSpec) throws(Finding) {
    for tier in [WallTier.root, .subordinate, .single] {
      let plan = LaunchPlanner.plan(spec, facts(tier))
      for op in plan.tree + plan.zone + plan.process { try hold(!op.words.isEmpty, "an op without words") }
      try hold(plan.zone.count { $0.op.code == .pivot } == 1, "the root is not left once")
      for op in plan.tree where op.op.fd >= 0 && op.op.code == .attach {
        try hold(Int(op.op.fd) < plan.sources.count, "\(op.words): no source \(op.op.fd)")
      }
      _ = plan.explained(cgroup: nil, network: nil)
    }
  }

  private static func facts(_ tier: WallTier) -> HostFacts {
    let outside: UInt32 = tier == .root ? 0x7000_0000 : 1000
    // Three numbers that are in range.
    let map = [try! IdMap(inside: 0, outside: outside, count: tier == .single ? 1 : 65536)]
    var facts = HostFacts(
      tier: tier, uid: tier == .root ? 0 : 1000, gid: tier == .root ? 0 : 1000, uids: map, gids: map,
      runDirectory: "/run/zones/web", dataDirectory: "/var/lib/zones/web", dataRoot: "/var/lib/zones",
      etcTemplate: "/var/lib/zones/.shared/etc/1", volumeDirectory: "/var/lib/zones/.shared/volumes",
      user: ZoneUser(uid: 0, gid: 0, groups: [0], name: "root", home: "/root", shell: "/bin/sh"),
      capabilities: .zoneDefault, seccomp: [UInt8](repeating: 0, count: 16), resolvConf: "", hosts: "")
    facts.rootDirectories = ["usr"]
    facts.idmappable = ["/usr", "/srv"]
    return facts
  }
}
