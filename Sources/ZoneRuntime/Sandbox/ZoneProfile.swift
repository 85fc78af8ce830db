internal import LinuxNS

/// Profiles as a zone takes them (`create --profile`, a manifest's `profile`): what is given of the caller's files is put at
/// its own place, the other lines are settings of the zone, and what only a sandbox has is refused by name. A value: what
/// the file says later changes nothing.
public struct ZoneProfile: Equatable, Sendable {
  /// Who asks, and where.
  public struct Ground {
    /// The caller's homes, absolute: what secrets may lie in.
    public var homes: [String]
    /// A variable of the caller's.
    public var variable: (String) -> String?
    /// What there is at a path, and the path without links.
    public var look: PathLook
    public var real: (String) -> String?
    /// `network NAME` is a network of this machine; a fleet has networks of its own.
    public var namesNetworks = true

    public init(
      homes: [String], look: @escaping PathLook, real: @escaping (String) -> String?,
      variable: @escaping (String) -> String?
    ) {
      self.homes = homes
      self.look = look
      self.real = real
      self.variable = variable
    }

    /// The caller's own, by this machine's files.
    public static func here(homes: [String], variable: @escaping (String) -> String?) -> Ground {
      Ground(homes: homes, look: Paths.look, real: { try? Paths.real($0) }, variable: variable)
    }
  }

  /// What is given, each at its own path.
  public private(set) var binds: [VolumeMount] = []
  /// Values by the names of `SpecKeys`, in their order.
  private var settings: [String: [String]] = [:]
  /// Nothing but what is named (`only`).
  private var isClosed = false

  /// - Throws: `.commandLine` with the profile's name and line, and what to do.
  public init(_ profiles: [SandboxProfile], _ ground: Ground) throws(ZoneError) {
    for profile in profiles {
      if profile.isShipped {
        throw .commandLine(
          "profile '\(profile.name)' comes with zonectl for sandboxes alone (zonectl sandbox --profile \(profile.name)); a zone takes a file of yours, and zonectl learn writes one"
        )
      }
      for line in profile.lines { try add(line, of: profile, ground) }
    }
  }

  private mutating func add(_ line: SandboxProfile.Line, of profile: SandboxProfile, _ ground: Ground) throws(ZoneError)
  {
    if let why = Self.refusal(line, ground) { throw profile.refusal(line, why) }
    switch line.option {
    case "only": isClosed = true
    case "ro", "rw": try addBind(line, of: profile, ground)
    case "env":
      // As --env: a NAME alone takes the caller's value, if there is one.
      if line.value.utf8.contains(UInt8(ascii: "=")) {
        try addSetting("env", line.value, line, of: profile)
      } else if let value = ground.variable(line.value) {
        try addSetting("env", "\(line.value)=\(value)", line, of: profile)
      }
    case "nesting": try addSetting("nesting", "true", line, of: profile)
    default: try addSetting(line.option, line.value, line, of: profile)
    }
  }

  /// Why a zone cannot have what the line says, and what to do; nil: it can.
  private static func refusal(_ line: SandboxProfile.Line, _ ground: Ground) -> String? {
    switch (line.option, line.value) {
    case ("hide", _): "is a sandbox's alone: a zone sees nothing of yours but what ro and rw name (name less there)"
    case ("home", _): "is a sandbox's alone: what a zone writes lasts as long as the zone (leave the line out)"
    case ("ids", _): "is a sandbox's alone: a zone has ids of its own (leave the line out)"
    case ("require", _):
      "is a sandbox's alone: a zone has all of its walls or does not start (leave the line out; zonectl audit tells them)"
    case ("network", let value) where value.hasPrefix("allow="):
      "allow= is a sandbox's alone: a zone has no proxy (write network none, host or the name of a network)"
    case ("network", "full"): "full is a sandbox's alone (write network default)"
    case ("network", let value) where !ground.namesNetworks && !["none", "host", "default"].contains(value):
      "'\(value)': the networks of a service are the manifest's (write networks: there, and none, host or no line here)"
    default: nil
    }
  }

  private mutating func addSetting(
    _ name: String, _ value: String, _ line: SandboxProfile.Line, of profile: SandboxProfile
  ) throws(ZoneError) {
    guard let key = SpecKeys.find(name) else { throw profile.refusal(line, "is nothing that a zone has") }
    var scratch = ZoneSpec(name: "zone")
    do throws(SyntaxError) { try key.write(options: [value], into: &scratch) } catch {
      throw profile.refusal(line, "'\(error.value)': \(error.why)")
    }
    settings[name, default: []].append(value)
  }

  private mutating func addBind(
    _ line: SandboxProfile.Line, of profile: SandboxProfile, _ ground: Ground
  ) throws(ZoneError) {
    let path = Paths.plain(line.value)
    var bind: VolumeMount
    do throws(SyntaxError) { bind = try VolumeMount(parsing: "\(path):\(path)", zone: "zone") } catch {
      throw profile.refusal(line, "'\(path)' cannot be given to a zone: \(error.why)")
    }
    // A zone's mounts cover nothing of what they show, and a sandbox shows no secret that is not named itself.
    if let secret = Self.secret(in: path, ground) {
      throw profile.refusal(
        line, "'\(path)' has \(secret) in it, which a sandbox hides and a zone would see (name less, or give it by -v)")
    }
    bind.readOnly = line.option == "ro"
    if let index = binds.firstIndex(where: { $0.target == bind.target }) {
      // As in a sandbox: who may write it anywhere may write it.
      if !bind.readOnly { binds[index].readOnly = false }
    } else {
      binds.append(bind)
    }
  }

  /// The first secret of the caller's that lies in a folder, or that a path which does not name it leads to by a link: what
  /// may write a project can put one there.
  private static func secret(in folder: String, _ ground: Ground) -> String? {
    let real = ground.real(folder) ?? folder
    for home in ground.homes {
      let home = ground.real(home) ?? home
      for secret in Secrets.ofHome {
        let path = Paths.join(home, secret)
        guard let kind = ground.look(path) else { continue }
        let place = kind == .link ? ground.real(path) ?? path : path
        if Paths.lies(place, in: real) { return path }
        let named = (ground.homes + [home]).map { Paths.join($0, secret) }
        let isNamed = real == folder || named.contains { Paths.isOrLies(folder, in: $0) }
        if Paths.isOrLies(real, in: place), !isNamed { return path }
      }
    }
    return nil
  }

  // MARK: what it makes of a spec

  /// Writes the settings; the binds are `joined` apart, since what else is mounted may come later.
  /// - Parameter networkIsNamed: something else says which network it is: `only` leaves it.
  public func apply(to spec: inout ZoneSpec, networkIsNamed: Bool) throws(ZoneError) {
    // A sandbox without a word about the network has none.
    if isClosed, !networkIsNamed { spec.network = .none }
    for key in SpecKeys.table {
      guard let values = settings[key.name], !(key.name == "network" && networkIsNamed) else { continue }
      do throws(SyntaxError) { try key.write(options: values, into: &spec) } catch { throw .syntax(error) }
    }
  }

  /// Binds beside other mounts, which win at the same place; parents before what lies in them, so that nothing is covered.
  public static func joined(_ binds: [VolumeMount], with others: [VolumeMount]) -> [VolumeMount] {
    guard !binds.isEmpty else { return others }
    let all = others + binds.filter { bind in !others.contains { $0.target == bind.target } }
    return all.enumerated().sorted { one, other in
      let (a, b) = (Paths.above(one.element.target).count, Paths.above(other.element.target).count)
      return a == b ? one.offset < other.offset : a < b
    }.map { $0.element }
  }
}

extension SandboxProfile {
  /// What a sandbox takes of it.
  /// - Throws: `.commandLine` for a line that is a zone's alone.
  public func forSandbox() throws(ZoneError) -> [Line] {
    for line in lines where line.option == "cap-add" {
      throw refusal(
        line, "is a zone's alone: a sandbox has no capability (leave the line out, or zonectl create --profile)")
    }
    return lines
  }

  /// `profile NAME, line N: 'OPTION' …`
  func refusal(_ line: Line, _ why: String) -> ZoneError {
    .commandLine("profile \(name), line \(line.number): '\(line.option)' \(why)")
  }
}

extension Zones {
  /// Profiles by name or path, as the caller's zone takes them; relative paths in them begin at the current directory.
  public func zoneProfile(_ words: [String], variable: @escaping (String) -> String?) throws(ZoneError) -> ZoneProfile {
    let facts = try sandboxFacts(environment: [])
    var profiles: [SandboxProfile] = []
    for word in words {
      profiles.append(
        try SandboxProfile.find(word, in: facts.profiles, home: facts.account.home, folder: facts.folder))
    }
    let homes = [facts.account.home] + (facts.otherHome.map { [$0] } ?? [])
    return try ZoneProfile(profiles, .here(homes: homes, variable: variable))
  }
}
