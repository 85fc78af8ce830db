internal import LinuxNS
internal import VirtualNet

/// From what was asked and what is there to the spec of a zone. Pure but for `facts.look`.
public struct SandboxPlanner {
  private let wish: SandboxWish
  private let facts: SandboxFacts

  /// - Throws: for a place that cannot be given or protected.
  public static func spec(_ wish: SandboxWish, _ facts: SandboxFacts, name: String) throws(ZoneError) -> ZoneSpec {
    try SandboxPlanner(wish: wish, facts: facts).spec(name)
  }

  private func spec(_ name: String) throws(ZoneError) -> ZoneSpec {
    var sandbox = SandboxSpec(account: facts.account)
    sandbox.places = try places()
    sandbox.allowed = wish.allowed
    if let text = GitIdentity(facts.gitConfigurations).configuration, wish.home == nil {
      sandbox.files[Paths.join(facts.account.home, ".gitconfig")] = text
    }
    var spec = ZoneSpec(name: name)
    spec.command = wish.command
    spec.environment = SandboxEnvironment.made(
      from: facts.environment, ours: proxies, asked: wish.environment, facts.account)
    spec.workdir = facts.folder
    spec.user = "\(facts.account.uid):\(facts.account.gid)"
    spec.hostname = facts.hostname
    spec.network = wish.network
    spec.limits = wish.limits
    spec.capDrop = ["ALL"]
    spec.nesting = wish.nesting
    spec.terminal = wish.terminal
    spec.ephemeral = true
    spec.sandbox = sandbox
    return spec
  }

  /// By which programs find the proxy. The caller's own would be out of reach, and may have a password in it.
  private var proxies: [(name: String, value: String)] {
    guard !wish.allowed.isEmpty, let rules = try? EgressRules(wish.allowed.joined(separator: ",")) else { return [] }
    return EgressProxy.environment(rules)
  }

  // MARK: places

  private func places() throws(ZoneError) -> [SandboxPlace] {
    var places: [SandboxPlace] = []
    if let home = wish.home {
      places.append(
        SandboxPlace(facts.account.home, .writable, source: Paths.join(facts.homes, home), why: "--home \(home)"))
    }
    places += Toolchains(account: facts.account, environment: variables, look: facts.look).places()
    let project = try project()
    if let project { places.append(project) }
    for path in wish.readOnly { places.append(try given(path, .readOnly, "--ro")) }
    for path in wish.writable { places.append(try given(path, .writable, "--rw")) }
    for folder in writableFolders(places, project) { places += try protections(of: folder) }
    places += secrets(in: places)
    for path in wish.hidden {
      guard let kind = facts.look(path), kind != .link else {
        throw .refused("cannot hide \(path): \(facts.look(path) == nil ? "there is no such file" : "it is a link")")
      }
      places.append(SandboxPlace(path, .hidden, isDirectory: kind == .directory, why: "--hide"))
    }
    return ordered(places)
  }

  private var variables: [String: String] {
    var all: [String: String] = [:]
    for text in facts.environment {
      if let (name, value) = SandboxEnvironment.split(text) { all[name] = value }
    }
    return all
  }

  /// Whole parts of the machine are no project.
  private static let noProjects = [
    "/", "/home", "/root", "/tmp", "/var", "/var/tmp", "/run", "/dev", "/proc", "/sys", "/etc", "/boot", "/srv", "/mnt",
    "/media", "/dev/shm",
  ]
  private static let inRoot = ["/usr", "/opt", "/bin", "/sbin", "/lib", "/lib64"]
  /// Of the kernel, or with a private one of the same name inside.
  private static let never = ["/proc", "/sys", "/dev", "/etc", "/run"]

  /// The folder that the caller is in, writable.
  private func project() throws(ZoneError) -> SandboxPlace? {
    let folder = facts.folder
    if (wish.readOnly + wish.writable).contains(where: { Paths.isOrLies(folder, in: $0) }) { return nil }
    if Self.inRoot.contains(where: { Paths.isOrLies(folder, in: $0) }) { return nil }
    let home = facts.account.home
    if folder == home || Paths.lies(home, in: folder) || Self.noProjects.contains(folder)
      || Self.never.contains(where: { Paths.lies(folder, in: $0) })
    {
      let why = folder == home ? "it is your home, with all that is yours" : "it is no project's folder"
      throw .refused(
        "cannot give \(folder) to the command: \(why) (cd to a project, or say which folder: --rw DIR, --ro DIR)")
    }
    if let ours = facts.ours.first(where: { Paths.isOrLies(folder, in: $0) }) {
      throw .refused("cannot give \(folder) to the command: zones are kept in \(ours)")
    }
    if let layer = wish.review {
      return SandboxPlace(folder, .reviewed, source: layer, why: "the current directory, for review")
    }
    return SandboxPlace(folder, .writable, why: "the current directory")
  }

  private func given(_ path: String, _ access: SandboxPlace.Access, _ option: String) throws(ZoneError) -> SandboxPlace
  {
    if path == "/" || Self.never.contains(where: { Paths.isOrLies(path, in: $0) }) {
      throw .refused("cannot give \(path) to the command (\(option)): it is the machine's, and the sandbox has its own")
    }
    guard let kind = facts.look(path) else {
      throw .refused("cannot give \(path) to the command (\(option)): there is no such file")
    }
    let real: String
    do throws(SyscallError) { real = kind == .link ? try Paths.real(path) : path } catch {
      throw .call("give \(path) to the command (\(option))", error)
    }
    if Self.never.contains(where: { Paths.isOrLies(real, in: $0) }) || real == "/" {
      throw .refused("cannot give \(path) to the command (\(option)): it leads to \(real)")
    }
    return SandboxPlace(
      path, access, source: real == path ? nil : real, isDirectory: facts.look(real) == .directory, why: option)
  }

  /// Folders that may hold a project: the current one, and those of --rw that are repositories.
  private func writableFolders(_ places: [SandboxPlace], _ project: SandboxPlace?) -> [String] {
    var folders: [String] = []
    if let project { folders.append(project.path) }
    for place in places where place.why == "--rw" && place.isDirectory && place.source == nil {
      let isHere = Paths.isOrLies(facts.folder, in: place.path) && place.path == facts.folder
      if isHere || facts.look(Paths.join(place.path, ".git")) != nil { folders.append(place.path) }
    }
    return folders
  }

  private func protections(of folder: String) throws(ZoneError) -> [SandboxPlace] {
    // What lies in a review's layer gets to the project by `apply` alone, which knows these names too.
    if wish.review != nil, folder == facts.folder { return [] }
    return try ProtectedPath.found(
      in: folder, lifted: wish.writable, facts.look, canMake: { facts.canWrite(FileSystem.parent(of: $0)) }
    ).map { path in
      switch path {
      case .present(let path, let isDirectory):
        SandboxPlace(path, .readOnly, isDirectory: isDirectory, why: SandboxPlace.protection)
      case .absent(let path): SandboxPlace(path, .readOnly, why: SandboxPlace.protection + ", and not there")
      case .repository(let path): SandboxPlace(path, .pinned, why: "a repository")
      }
    }
  }

  /// What is only the caller's, in folders that were given as a whole.
  private func secrets(in places: [SandboxPlace]) -> [SandboxPlace] {
    var hidden: [SandboxPlace] = []
    let named = wish.readOnly + wish.writable
    let shown = places.filter { $0.access != .hidden && $0.access != .passing && $0.source == nil && !$0.isProtection }
    let hide = { (path: String) in
      guard shown.contains(where: { Paths.lies(path, in: $0.path) }),
        !named.contains(where: { Paths.isOrLies($0, in: path) }), let kind = facts.look(path), kind != .link
      else { return }
      hidden.append(SandboxPlace(path, .hidden, isDirectory: kind == .directory, why: "yours alone"))
    }
    for name in Secrets.ofHome { hide(Paths.join(facts.account.home, name)) }
    for path in facts.ours { hide(path) }
    return hidden
  }

  /// Parents before what lies in them; of two for one path the later one counts.
  private func ordered(_ places: [SandboxPlace]) -> [SandboxPlace] {
    var kept: [SandboxPlace] = []
    for place in places {
      kept.removeAll { $0.path == place.path }
      kept.append(place)
    }
    return kept.enumerated().sorted { one, other in
      let (a, b) = (Paths.above(one.element.path).count, Paths.above(other.element.path).count)
      return a == b ? one.offset < other.offset : a < b
    }.map { $0.element }
  }
}

/// Names in a home that hold keys, credentials, histories and other people's words.
enum Secrets {
  static let ofHome = [
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".npmrc", ".yarnrc.yml", ".pypirc",
    ".git-credentials", ".password-store", ".vault-token", ".terraform.d", ".config/gcloud", ".config/gh",
    ".config/hub", ".config/glab-cli", ".config/git/credentials", ".config/op", ".config/containers",
    ".config/rclone", ".config/google-chrome", ".config/chromium", ".config/BraveSoftware", ".config/Code",
    ".config/Signal", ".config/Slack", ".mozilla", ".thunderbird", ".local/share/keyrings", ".local/share/kwalletd",
    ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".gradle/gradle.properties",
    ".m2/settings.xml", ".m2/settings-security.xml", ".bash_history", ".zsh_history", ".zhistory",
    ".local/share/fish/fish_history", ".python_history", ".node_repl_history", ".psql_history", ".mysql_history",
    ".sqlite_history", ".rediscli_history", ".lesshst", ".viminfo", ".wget-hsts", ".claude", ".claude.json", ".codex",
    ".gemini", ".cursor", ".Xauthority", ".ICEauthority", ".dbus", ".pki", ".swiftpm/security",
  ]
}
