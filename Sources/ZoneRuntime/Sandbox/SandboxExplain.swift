internal import LinuxNS
internal import ResourceControl

extension Zones {
  /// What a sandbox would be: each wall and each place with its reason, then the plan in the order in which the kernel would
  /// be asked. Runs nothing; makes what `explain(_:)` makes.
  public func explainSandbox(_ spec: ZoneSpec) throws(ZoneError) -> String {
    guard let sandbox = spec.sandbox else { return try explain(spec) }
    let standing = SandboxWalls.standing(spec)
    var lines = ["walls"]
    for wall in SandboxWalls.table where standing.contains(wall.name) {
      lines.append("  \(wall.name): \(Self.reason(wall, spec))")
    }
    lines.append("no walls")
    for wall in SandboxWalls.table where !standing.contains(wall.name) {
      lines.append("  \(wall.name): \(Self.absence(of: wall.name, spec))")
    }
    if let missing = SandboxWalls.missing(spec) { lines.append("  \(missing)") }
    lines.append("places")
    for place in sandbox.places {
      let source = place.source.map { " from \($0)" } ?? ""
      lines.append("  \(place.access.rawValue) \(place.path)\(source) (\(place.why))")
    }
    if !sandbox.allowed.isEmpty { lines.append("reached by name\n  " + sandbox.allowed.joined(separator: "\n  ")) }
    return lines.joined(separator: "\n") + "\n" + (try explain(spec))
  }

  private static func reason(_ wall: (name: String, why: String), _ spec: ZoneSpec) -> String {
    guard spec.sandbox?.bare != nil, wall.name == "net" else { return wall.why }
    return "it can make no socket but pairs, and no TCP connection by any other"
  }

  private static func absence(of wall: String, _ spec: ZoneSpec) -> String {
    switch wall {
    case "landlock":
      Landlock.refusal ?? "of signals and abstract sockets alone: one of files slows each open (--require landlock)"
    case "net": "--network host shares the machine's"
    case "limits": "nothing was limited (--memory, --cpus, --pids)"
    default: spec.sandbox?.bare?.why ?? "not of this sandbox"
    }
  }
}
