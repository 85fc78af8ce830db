import Foundation
import ResourceControl
import Testing
import ZoneRuntime

@testable import Orchestrator

/// `profile` of a service: from a manifest and a profile to a zone's spec, without the kernel.
@Suite struct ManifestProfileTests {
  private static let path = "/srv/fleet/conv.profile"

  private func manifest(
    _ profile: String, _ fields: String = "profile: conv.profile", environment: [String: String] = ["HOME": "/home/me"]
  ) throws(FleetError) -> Manifest {
    try read(
      WrongManifest.header + "  services:\n    a: {\(fields)}\n", environment: environment, files: [Self.path: profile])
  }

  private func zone(_ manifest: Manifest) throws -> ZoneSpec {
    let placement = Placement(zonesAreReachable: true, secretsDirectory: "/run/s")
    return try #require(manifest.fleet.zones(of: "a", on: placement).first).spec
  }

  private func refusal(_ profile: String, _ fields: String = "profile: conv.profile") -> String {
    do {
      _ = try manifest(profile, fields, environment: [:])
      return "taken"
    } catch { return error.description }
  }

  private static let whole = """
    # zonectl learn, runs: 1
    only
    ro ~/in
    rw ./out
    env TOKEN
    env MODE=own
    memory 64M
    cpus 1.5
    pids 100
    calls process,network
    cap-add NET_RAW
    nesting

    """

  @Test func aProfileIsTheServices() throws {
    let made = try zone(manifest(Self.whole, environment: ["HOME": "/home/me", "TOKEN": "t"]))
    #expect(
      made.volumes == [
        VolumeMount(source: .path("/home/me/in"), target: "/home/me/in", readOnly: true),
        VolumeMount(source: .path("/srv/fleet/out"), target: "/srv/fleet/out"),
      ])
    #expect(made.environment == ["TOKEN": "t", "MODE": "own"] && made.calls == ["process", "network"])
    #expect(made.limits == ResourceLimits(cpus: 1.5, memory: 64 << 20, pids: 100))
    #expect(made.capAdd == ["NET_RAW"] && made.nesting && made.network == .none)
  }

  @Test func theServicesOwnFieldsWinAndVolumesAreJoined() throws {
    let fields = """
      profile: ./conv.profile, environment: {MODE: mine}, mem_limit: 1m, cap_add: [], nesting: false, networks: default,
      deploy: {resources: {limits: {pids: 5}}}, volumes: ["/else:/home/me/in", "/top:/home"]
      """
    let made = try zone(manifest(Self.whole, fields))
    #expect(made.volumes.map(\.text) == ["/top:/home", "/else:/home/me/in", "/srv/fleet/out:/srv/fleet/out"])
    #expect(made.environment == ["MODE": "mine"] && made.limits == ResourceLimits(cpus: 1.5, memory: 1 << 20, pids: 5))
    #expect(made.capAdd.isEmpty && !made.nesting && made.network == .named("f"))
  }

  @Test func theNetworkIsTheProfilesWhereNothingElseIsSaid() throws {
    #expect(try zone(manifest("network host\n")).network == .host)
    #expect(try zone(manifest("network none\n")).network == .none)
    #expect(try zone(manifest("memory 1G\n")).network == .named("f"))
    // Ports are a word about the network.
    #expect(try zone(manifest("only\n", "profile: conv.profile, ports: [\"80:80\"]")).network == .named("f"))
    #expect(try zone(manifest("network host\n", "profile: conv.profile, network_mode: none")).network == .none)
  }

  @Test(arguments: [
    ("hide /x", "'hide' is a sandbox's alone"), ("home agent", "'home' is a sandbox's alone"),
    ("ids many", "'ids' is a sandbox's alone"), ("require landlock", "'require' is a sandbox's alone"),
    ("network allow=a.org:443", "'network' allow= is a sandbox's alone"), ("network full", "'network' full is"),
    ("network lan", "the networks of a service are the manifest's"), ("review", "is of one run"),
    ("memory lots", "'memory' 'lots'"), ("calls netwrk", "did you mean network?"), ("cap-add X", "'cap-add' 'X'"),
    ("ro ~/x", "set HOME"), ("ro x", "nor one that begins with ~/ or ./"),
  ]) func whatAServiceCannotHaveIsRefusedAtBothPlaces(line: String, words: String) {
    let told = refusal("only\n\(line)\n")
    #expect(told.hasPrefix("fleet.yaml:6:18: spec.services.a.profile: profile \(Self.path), line 2: "), "\(told)")
    #expect(told.contains(words) && !told.contains("\n"), "\(told)")
  }

  @Test func aProfileThatIsNotThereIsNamed() {
    #expect(refusal("", "profile: other").hasPrefix("fleet.yaml:6:18: cannot read /srv/fleet/other"))
    #expect(refusal("", "profile: [a]").hasPrefix("fleet.yaml:6:18: spec.services.a.profile wants text"))
    #expect(refusal("", "profle: a").contains("did you mean 'profile'?"))
  }

  /// What was applied is compared with what the file says now.
  @Test func aChangeOfTheFileIsAChange() throws {
    let old = try manifest(Self.whole).fleet
    var machine = Machine()
    machine.carryOut(try plan(old, on: machine))
    #expect(try plan(manifest(Self.whole).fleet, after: old, on: machine).changes.isEmpty)
    for (from, to, reason, effect) in [
      ("rw ./out", "ro ./out", "volumes", Change.Effect.restart), ("memory 64M", "memory 32M", "limits", .live),
      ("env MODE=own", "env MODE=x", "environment", .restart),
      ("calls process,network", "calls process", "calls", .restart),
      ("cap-add NET_RAW", "cap-add SYS_TIME", "cap_add", .restart), ("only", "network host", "network", .restart),
    ] {
      let new = try manifest(Self.whole.replacingOccurrences(of: from, with: to)).fleet
      let changes = try plan(new, after: old, on: machine).changes
      #expect(changes.map(\.reasons) == [[reason]] && changes.map(\.effect) == [effect], "\(from): \(changes)")
    }
  }

  /// What an earlier release kept has no field of these.
  @Test func aFleetThatWasKeptBeforeIsRead() throws {
    let fleet = try manifest(Self.whole).fleet
    let kept = try JSONEncoder().encode(fleet)
    #expect(try JSONDecoder().decode(FleetSpec.self, from: kept) == fleet)
    var object = try #require(try JSONSerialization.jsonObject(with: kept) as? [String: Any])
    var services = try #require(object["services"] as? [String: [String: Any]])
    for name in ["profileBinds", "calls"] { #expect(services["a"]?.removeValue(forKey: name) != nil) }
    object["services"] = services
    let old = try JSONDecoder().decode(FleetSpec.self, from: JSONSerialization.data(withJSONObject: object))
    #expect(old.services["a"]?.profileBinds == nil && old.services["a"]?.environment == ["MODE": "own"])
  }
}
