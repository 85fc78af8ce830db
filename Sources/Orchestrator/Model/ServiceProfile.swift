internal import ResourceControl
internal import ZoneRuntime

/// `profile` of a service: the same file that `zonectl create --profile` takes, by the same code.
extension ManifestNode {
  /// `.` in the profile is the manifest's folder, as in the manifest; `~` the caller's home.
  func profile(_ reading: ManifestReading) throws(ManifestProblem) -> ZoneProfile {
    let path = reading.absolute(try text())
    let bytes = try contents(of: path, reading)
    let home = reading.environment["HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
    let variables = reading.environment
    var ground = ZoneProfile.Ground.here(homes: home.map { [$0] } ?? []) { variables[$0] }
    ground.namesNetworks = false
    do throws(ZoneError) {
      let profile = try SandboxProfile(
        named: path, String(decoding: bytes, as: UTF8.self), home: home, folder: reading.directory)
      return try ZoneProfile([profile], ground)
    } catch { throw problem("\(name): \(error)") }
  }
}

extension Service {
  /// What the profile says where the service's own fields say nothing.
  mutating func take(_ profile: ZoneProfile, _ draft: inout Draft, _ node: ManifestNode) throws(ManifestProblem) {
    var zone = ZoneSpec(name: "service")
    let networkIsNamed = draft.networkMode != nil || draft.networks != nil || !ports.isEmpty
    do throws(ZoneError) { try profile.apply(to: &zone, networkIsNamed: networkIsNamed) } catch {
      throw node.problem("\(node.name).profile: \(error)")
    }
    profileBinds = profile.binds
    environment.merge(zone.environment) { own, _ in own }
    limits.memory = limits.memory ?? zone.limits.memory
    limits.cpus = limits.cpus ?? zone.limits.cpus
    limits.pids = limits.pids ?? zone.limits.pids
    if try !node.has("cap_add") { capAdd = zone.capAdd }
    if try !node.has("nesting") { nesting = zone.nesting }
    if !zone.calls.isEmpty { calls = zone.calls }
    switch zone.network {
    case .none: draft.networkMode = ServiceNetwork.none
    case .host: draft.networkMode = .host
    // The fleet's own, where nothing else is said.
    case .named: break
    }
  }
}
