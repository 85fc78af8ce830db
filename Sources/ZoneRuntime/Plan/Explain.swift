internal import Glibc
internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// A plan in words, in the order it is executed.
extension LaunchPlan {
  public func explained(cgroup: String?, network: String?) -> String {
    var lines: [String] = []
    let section = { (title: String, body: [String]) in
      guard !body.isEmpty else { return }
      lines.append(title)
      lines += body.map { "  \($0)" }
    }
    let walls: [String: String] = [
      "root": "an id range of its own", "subordinate": "the caller's range of /etc/subuid and /etc/subgid",
      "single": "the caller's id only", "bare": "no namespaces; Landlock and the filter alone",
    ]
    section("tier", ["\(tier.rawValue): \(walls[tier.rawValue] ?? "")"])
    section(
      "namespaces",
      [
        ((tier == .bare ? ["none"] : ["user"])
          + NamespaceFlags.table.filter { namespaces.contains($0.flag) && $0.name != "user" }.map { $0.name })
          .joined(separator: " ")
      ])
    section("user ids (inside outside count)", uids.map { "\($0)" })
    section("group ids", gids.map { "\($0)" })
    section("in the keeper, for all below it", before.map { $0.words })
    if let cgroup { section("control groups", cgroup.split(separator: "\n").map(String.init)) }
    section(
      tier == .root ? "root, put together by the host" : "root, put together in the first user namespace",
      tree.map { $0.words })
    section("in the zone", zone.map { $0.words })
    if let network { section("network", [network]) }
    section("at the gate", ["wait for start"])
    section("first process", process.map { $0.words })
    section(
      "command", [arguments.isEmpty ? "none: the zone's init waits" : arguments.map(Self.quoted).joined(separator: " ")]
    )
    // Values may be secret; names are not.
    section(
      "environment", [environment.compactMap { $0.split(separator: "=").first.map(String.init) }.joined(separator: " ")]
    )
    return lines.joined(separator: "\n") + "\n"
  }

  private static func quoted(_ word: String) -> String {
    let plain =
      !word.isEmpty
      && word.utf8.allSatisfy { byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
          || "/._-+=:,@%".utf8.contains(byte)
      }
    if plain { return word }
    return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}

extension Zones {
  /// What a start of `spec` would do; runs nothing, and makes nothing but what is only read again (the filter's and
  /// /etc's copies, the leases of ids and address).
  public func explain(_ spec: ZoneSpec) throws(ZoneError) -> String {
    try checked(spec)
    try directories.make()
    let ids = try ids(for: spec)
    let root = try explainedRoot(of: spec)
    let spec = spec.completed(by: root?.use)
    let owner = spec.isSystem ? CgroupOwner(ids) : nil
    let groups = spec.wantsGroup ? try cgroupPlan(spec.name, spec.limits, owner) : nil
    var facts = try facts(for: spec, on: ground(for: spec, ids), root: root)
    facts.hasGroups = groups?.record.isDelegated == true
    let plan = LaunchPlanner.plan(spec, facts)
    let network: String? =
      switch spec.network {
      case .none: nil
      case .host: "share the host's"
      case .named(let name):
        plan.tier == .root
          ? "attach to \(name) by a veth pair; publish \(spec.publish.isEmpty ? "nothing" : spec.publish.map { $0.text }.joined(separator: " "))"
          : "attach to \(name) of this user by a veth pair; out by pasta, one for the network; publish \(spec.publish.isEmpty ? "nothing" : spec.publish.map { $0.text }.joined(separator: " "))"
      }
    let text = plan.explained(cgroup: groups?.description, network: network)
    // Leases that only this question made are given back.
    let files = try files(spec.name)
    try giveBackIds(files, ids.uids)
    if !files.exists { try giveBackAddress(files) }
    return text
  }

  /// Of a zone that is there its own root; of one that is not, the one that it would be made of.
  private func explainedRoot(of spec: ZoneSpec) throws(ZoneError) -> RootRecord? {
    guard case .image(let name) = spec.brand else { return nil }
    let files = try files(spec.name)
    if let own = try RootRecord.read(in: files.data)?.named(by: spec), own.image?.name == name { return own }
    return try requireRoot(name, nil).root
  }
}
