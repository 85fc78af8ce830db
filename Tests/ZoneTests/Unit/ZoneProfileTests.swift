import ResourceControl
import Testing

@testable import ZoneRuntime

/// From a profile to a zone's spec, from values alone.
struct ZoneProfileTests {
  /// In the home lie a key and links to two, one of them outside of the home; in the project, what a command could have put
  /// there: links to keys.
  private static let links = [
    "/home/me/.netrc": "/home/me/dots/netrc", "/home/me/p/led-to-keys": "/home/me/.ssh",
    "/home/me/p/led-to-id": "/home/me/.ssh/id", "/home/me/.pgpass": "/srv/dots/pgpass",
    "/home/me/p/led-out": "/srv/dots/pgpass",
  ]
  private static let kinds: [String: PathKind] = [
    "/home/me/.ssh": .directory, "/home/me/.netrc": .link, "/home/me/dots/netrc": .file,
    "/home/me/.pgpass": .link, "/srv/dots/pgpass": .file,
  ]

  private func ground(namesNetworks: Bool = true) -> ZoneProfile.Ground {
    var ground = ZoneProfile.Ground(
      homes: ["/home/me"], look: { Self.kinds[$0] }, real: { Self.links[$0] ?? $0 },
      variable: { $0 == "TOKEN" ? "t" : nil })
    ground.namesNetworks = namesNetworks
    return ground
  }

  private func zone(_ text: String, namesNetworks: Bool = true) throws -> ZoneProfile {
    let profile = try SandboxProfile(named: "p", text, home: "/home/me", folder: "/home/me/p")
    return try ZoneProfile([profile], ground(namesNetworks: namesNetworks))
  }

  private func spec(
    _ text: String, to base: ZoneSpec = ZoneSpec(name: "z"), networkIsNamed: Bool = false
  ) throws -> ZoneSpec {
    var spec = base
    let profile = try zone(text)
    try profile.apply(to: &spec, networkIsNamed: networkIsNamed)
    spec.volumes = ZoneProfile.joined(profile.binds, with: spec.volumes)
    return spec
  }

  @Test func eachLineIsASettingOfTheZone() throws {
    let made = try spec(
      """
      # zonectl learn, runs: 1
      only
      ro ~/in
      rw .
      ro ./conf/../key
      rw ~/in
      ro /srv/x y
      env TOKEN
      env MODE=a=b
      env NOBODYS
      network host
      memory 64M
      cpus 1.5
      pids 100
      calls process,network
      calls ipc
      cap-add NET_RAW
      cap-add CAP_SYS_TIME
      nesting
      """)
    var wanted = ZoneSpec(name: "z")
    let bind = { (path: String, readOnly: Bool) in
      VolumeMount(source: .path(path), target: path, readOnly: readOnly)
    }
    wanted.volumes = [
      bind("/srv/x y", true), bind("/home/me/in", false), bind("/home/me/p", false), bind("/home/me/p/key", true),
    ]
    wanted.environment = ["TOKEN": "t", "MODE": "a=b"]
    wanted.network = .host
    (wanted.limits.memory, wanted.limits.cpus, wanted.limits.pids) = (64 << 20, 1.5, 100)
    wanted.calls = ["process", "network", "ipc"]
    wanted.capAdd = ["NET_RAW", "CAP_SYS_TIME"]
    wanted.nesting = true
    #expect(made == wanted)
  }

  @Test func nothingButWhatIsNamedHasNoNetwork() throws {
    #expect(try spec("only\n").network == .none)
    #expect(try spec("only\n", networkIsNamed: true).network == .named("default"))
    #expect(try spec("only\nnetwork lan\n").network == .named("lan"))
    #expect(try spec("network host\n", networkIsNamed: true).network == .named("default"))
    #expect(try spec("memory 1G\n").network == .named("default"), "who says nothing of it changes nothing")
  }

  /// What else is mounted wins at its place, and covers nothing that lies in it.
  @Test func bindsAreJoinedParentsFirst() throws {
    var base = ZoneSpec(name: "z")
    base.volumes = [
      VolumeMount(source: .volume("deep"), target: "/home/me/p/out/deep"),
      VolumeMount(source: .path("/else"), target: "/home/me/p/in"), VolumeMount(source: .path("/h"), target: "/home"),
    ]
    let made = try spec("ro ~/p/in\nrw ~/p/out\nro ~/p\n", to: base)
    #expect(
      made.volumes.map { $0.target } == [
        "/home", "/home/me/p", "/home/me/p/in", "/home/me/p/out", "/home/me/p/out/deep",
      ])
    #expect(made.volumes[2].source == .path("/else") && !made.volumes[2].readOnly)
    #expect(ZoneProfile.joined([], with: base.volumes) == base.volumes, "without a profile all stays as it was given")
  }

  @Test(arguments: [
    ("hide ~/x", "'hide' is a sandbox's alone"), ("home agent", "'home' is a sandbox's alone"),
    ("ids many", "'ids' is a sandbox's alone"), ("require landlock", "'require' is a sandbox's alone"),
    ("network allow=a.org:443", "'network' allow= is a sandbox's alone"), ("network full", "write network default"),
    ("network A_b", "'A_b'"), ("memory lots", "'memory' 'lots'"), ("cpus 0", "'cpus' '0'"), ("pids x", "'pids' 'x'"),
    ("calls netwrk", "'calls' 'netwrk'"), ("cap-add NET_ADMN", "did you mean NET_ADMIN?"), ("env =x", "'env'"),
    ("ro /", "TARGET is the root itself"), ("ro /a:b", "too many colons"),
    ("ro ~", "'/home/me' has /home/me/.ssh in it"),
    ("ro ./led-to-keys", "'/home/me/p/led-to-keys' has /home/me/.ssh in it"),
    ("rw ./led-to-id", "'/home/me/p/led-to-id' has /home/me/.ssh in it"),
    ("ro /srv", "'/srv' has /home/me/.pgpass in it"),
    ("ro ./led-out", "'/home/me/p/led-out' has /home/me/.pgpass in it"),
    ("rw /home", "'/home' has /home/me/.ssh in it"), ("ro ~/dots", "has /home/me/.netrc in it"),
    ("review", "is of one run"), ("timeout 3", "is of one run"), ("hied ~/x", "did you mean hide?"),
    ("ro data", "nor one that begins with ~/ or ./"),
  ]) func whatAZoneDoesNotHaveIsRefusedWithItsLine(line: String, words: String) {
    #expect {
      try zone("only\n\n\(line)\n")
    } throws: {
      guard case ZoneError.commandLine(let text) = $0 else { return false }
      return text.hasPrefix("profile p, line 3: ") && text.contains(words) && !text.contains("\n")
    }
  }

  @Test func aSecretThatIsNamedItselfIsGiven() throws {
    #expect(try zone("ro ~/.ssh\nro ~/dots/netrc\nro ~/.ssh/id\nro ~/.netrc\nro ~/.pgpass\n").binds.count == 5)
  }

  @Test func aServicesNetworksAreTheManifests() throws {
    for word in ["none", "host", "default"] { _ = try zone("network \(word)\n", namesNetworks: false) }
    #expect { try zone("network lan\n", namesNetworks: false) } throws: { "\($0)".contains("write networks: there") }
  }

  @Test func withoutAHomeNothingIsBelowIt() throws {
    #expect { try SandboxProfile(named: "p", "ro ~/x\n", home: nil) } throws: { "\($0)".contains("set HOME") }
    #expect { try SandboxProfile(named: "p", "ro ./x\n", home: nil) } throws: { "\($0)".contains("./x") }
  }

  @Test func thoseThatShipAreSandboxes() throws {
    for name in SandboxProfile.shippedNames {
      let profile = try SandboxProfile.find(name, in: "/nowhere", home: "/home/me")
      #expect(throws: Never.self) { try profile.forSandbox() }
      #expect { try ZoneProfile([profile], ground()) } throws: {
        "\($0)".contains("'\(name)' comes with zonectl for sandboxes alone") && !"\($0)".contains("\n")
      }
    }
  }

  @Test func aSandboxHasNoCapabilityToAdd() throws {
    let profile = try SandboxProfile(named: "p", "only\ncap-add NET_RAW\n", home: "/home/me")
    #expect { try profile.forSandbox() } throws: { "\($0)".hasPrefix("profile p, line 2: 'cap-add' is a zone's alone") }
  }
}
