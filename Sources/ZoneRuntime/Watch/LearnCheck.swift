internal import LinuxNS
internal import VirtualNet

/// What a profile would have refused of a run.
public struct LearnCheck {
  /// As the profile makes it.
  private let spec: ZoneSpec
  private let ground: LearnedFiles.Ground

  public init(_ spec: ZoneSpec, _ ground: LearnedFiles.Ground) {
    self.spec = spec
    self.ground = ground
  }

  /// - Parameter hosts: what the run was connected with, `HOST:PORT`.
  /// - Returns: each once, in the order in which it was asked for.
  public func denials(_ notes: WatchNotes, hosts: [String]) -> [Denial] {
    guard let sandbox = spec.sandbox else { return [] }
    let verdict = FileVerdict(sandbox: sandbox)
    let made = Set(notes.sightings.filter { $0.access == .create && $0.kind == nil }.map { $0.path })
    var found: [Denial] = []
    var told: Set<String> = []
    for one in notes.sightings where !ground.isBase(one.path) {
      if !one.access.changes {
        // Looks at folders say nothing, and what the run made it may read.
        if one.kind == nil || one.kind == .link || made.contains(one.path) { continue }
        if one.kind == .directory, one.access == .look || ground.isBroad(one.path) { continue }
      }
      let folder = Paths.parent(one.path)
      let sight = FileSight(
        inside: isInside(one.path, sandbox) ? one.kind : nil, outside: one.kind,
        folderInside: isInside(folder, sandbox) || made.contains(folder), folderOutside: true)
      var rule = verdict.rule(one.path, one.access, sight)
      if rule == nil, one.access.changes, !sandbox.places.contains(where: { Paths.isOrLies(one.path, in: $0.path) }) {
        rule = "not given: what is written there goes with the sandbox (--rw PATH gives it)"
      }
      guard let rule, told.insert(one.path).inserted else { continue }
      found.append(
        Denial(kind: .file, name: Printable.text(one.path), call: one.access.rawValue, rule: rule))
    }
    found += hostDenials(hosts, sandbox)
    let groups = (try? CallGroups(named: spec.calls)) ?? .base
    for word in notes.groups.subtracting(groups).words {
      found.append(Denial(kind: .call, name: word, call: word, rule: "the group \(word) is not among --calls"))
    }
    return found
  }

  private func isInside(_ path: String, _ sandbox: SandboxSpec) -> Bool {
    if path == sandbox.account.home || Paths.isOrLies(spec.workdir ?? "/", in: path) { return true }
    if let place = sandbox.places.last(where: { Paths.isOrLies(path, in: $0.path) }) { return place.access != .hidden }
    return sandbox.places.contains { Paths.lies($0.path, in: path) }
  }

  private func hostDenials(_ hosts: [String], _ sandbox: SandboxSpec) -> [Denial] {
    if spec.network != .none { return [] }
    let rules = sandbox.allowed.isEmpty ? nil : try? EgressRules(sandbox.allowed.joined(separator: ","))
    return hosts.filter { rules?.permits(authority: $0) != true }.map { host in
      let rule =
        rules == nil ? "--network none" : "not allowed by --network allow=\(sandbox.allowed.joined(separator: ","))"
      return Denial(kind: .network, name: host, call: "connect", rule: rule)
    }
  }
}
