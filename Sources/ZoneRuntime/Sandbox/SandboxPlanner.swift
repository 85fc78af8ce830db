internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// From what was asked and what is there to the spec of a zone. Pure but for `facts.look`.
public struct SandboxPlanner {
  private let wish: SandboxWish
  private let facts: SandboxFacts
  /// `--rw` as it was given, and without links: either lifts a protection.
  private let lifted: [String]

  /// - Throws: for a place that cannot be given or protected.
  public static func spec(_ wish: SandboxWish, _ facts: SandboxFacts, name: String) throws(ZoneError) -> ZoneSpec {
    var wish = wish
    let named = wish.writable
    // Compared as texts from here on: one path has one text.
    wish.readOnly = try real(wish.readOnly, facts, "--ro")
    wish.writable = try real(wish.writable, facts, "--rw")
    wish.hidden = try real(wish.hidden, facts, "--hide")
    if let pids = wish.limits.pids, let most = facts.mostProcesses {
      wish.limits.pids = min(pids, Int64(clamping: most))
    }
    return try SandboxPlanner(wish: wish, facts: facts, lifted: named + wish.writable).spec(name)
  }

  private static func real(_ paths: [String], _ facts: SandboxFacts, _ option: String) throws(ZoneError) -> [String] {
    var all: [String] = []
    for path in paths {
      guard let real = facts.real(path) else {
        throw .refused("cannot use \(path) (\(option)): there is no such file, or it is not yours to see")
      }
      all.append(real)
    }
    return all
  }

  private func spec(_ name: String) throws(ZoneError) -> ZoneSpec {
    var sandbox = SandboxSpec(account: facts.account)
    sandbox.places = try places()
    sandbox.allowed = wish.allowed
    sandbox.manyIds = wish.manyIds
    sandbox.landlock = wish.landlock && wish.bare == nil
    // Without namespaces of his own the watcher may not look into the command.
    sandbox.watch = wish.bare == nil ? wish.watch : nil
    if let why = wish.bare { try makeBare(&sandbox, name, why) }
    let home = sandbox.bare?.home ?? facts.account.home
    let gitconfig = Paths.join(home, ".gitconfig")
    let isPrivate =
      sandbox.bare == nil
      ? !sandbox.places.contains { $0.access != .hidden && Paths.isOrLies(gitconfig, in: $0.path) } : wish.home == nil
    if isPrivate, let text = GitIdentity(facts.gitConfigurations).configuration { sandbox.files[gitconfig] = text }
    var spec = ZoneSpec(name: name)
    spec.command = wish.command
    spec.environment = SandboxEnvironment.made(
      from: facts.environment, ours: proxies, asked: bareEnvironment(sandbox.bare) + wish.environment, facts.account)
    spec.workdir = facts.folder
    spec.user = "\(facts.account.uid):\(facts.account.gid)"
    spec.hostname = facts.hostname
    spec.network = wish.network
    spec.limits = wish.limits
    spec.capDrop = ["ALL"]
    spec.nesting = wish.nesting
    spec.calls = wish.calls
    spec.terminal = wish.terminal
    spec.ephemeral = true
    spec.sandbox = sandbox
    return spec
  }

  /// By which programs find the proxy. The caller's own would be out of reach, and may have a password in it.
  private var proxies: [(name: String, value: String)] {
    guard !wish.allowed.isEmpty, let rules = try? EgressRules(planned: wish.allowed) else { return [] }
    return EgressProxy.environment(rules)
  }

  // MARK: without namespaces

  private func makeBare(_ sandbox: inout SandboxSpec, _ name: String, _ why: String) throws(ZoneError) {
    let refusals: [(isAsked: Bool, what: String, because: String)] = [
      (wish.review != nil, "--review", "its layer is a mount"),
      (wish.nesting, "--nesting", "there are no namespaces to make inside"),
      (!wish.allowed.isEmpty, "--network allow=", "Landlock knows ports and no hosts (none, or host for all of it)"),
      (wish.limits.cpus != nil, "--cpus", "only a control group limits it, which goes with a namespace"),
      (wish.limits.pids != nil && facts.account.uid == 0, "--pids", "root's processes are not counted (RLIMIT_NPROC)"),
    ]
    if let refused = refusals.first(where: { $0.isAsked }) {
      throw .refused("cannot give \(refused.what) without namespaces: \(refused.because); \(why)")
    }
    if case .named = wish.network {
      throw .refused("cannot give --network full without namespaces: pasta needs one; \(why)")
    }
    let run = "\(facts.real(facts.runs) ?? facts.runs)/\(name)"
    var bare = BareSandbox(
      home: "\(run)/\(BareHome.names.home)", scratch: "\(run)/\(BareHome.names.scratch)", why: why)
    if let home = wish.home {
      let lasting = Paths.join(facts.homes, home)
      bare.home = facts.real(lasting) ?? lasting
      sandbox.places.removeAll { $0.path == facts.account.home }
    }
    for folder in writableFolders(sandbox.places, sandbox.places.first { $0.path == facts.folder }) {
      bare.uncovered += uncovered(in: folder)
    }
    sandbox.places = try BarePlaces(list: facts.list, look: facts.look).places(sandbox.places)
    bare.links = BarePlaces.links(sandbox.places, from: facts.account.home, in: bare.home)
    sandbox.places += [
      SandboxPlace(bare.home, .writable, why: "the private home"),
      SandboxPlace(bare.scratch, .writable, why: "TMPDIR"),
    ]
    sandbox.bare = bare
  }

  /// What is protected where there are mounts.
  private func uncovered(in folder: String) -> [String] {
    let hasRepository = facts.look(Paths.join(folder, ".git")) == .directory
    let names = (hasRepository ? ProtectedPaths.ofGit.map { ".git/\($0)" } : [".git"]) + ProtectedPaths.names
    return names.map { Paths.join(folder, $0) }.filter { path in
      !lifted.contains { Paths.lies($0, in: folder) && Paths.isOrLies(path, in: $0) }
        && (facts.look(path) != nil || facts.canWrite(FileSystem.parent(of: path)))
    }
  }

  private func bareEnvironment(_ bare: BareSandbox?) -> [String] {
    guard let bare else { return [] }
    return [
      "HOME=\(bare.home)", "TMPDIR=\(bare.scratch)", "XDG_RUNTIME_DIR=\(bare.scratch)",
      "XDG_CONFIG_HOME=\(bare.home)/.config", "XDG_CACHE_HOME=\(bare.home)/.cache",
      "XDG_DATA_HOME=\(bare.home)/.local/share", "XDG_STATE_HOME=\(bare.home)/.local/state",
    ]
  }

  // MARK: places

  private func places() throws(ZoneError) -> [SandboxPlace] {
    if wish.everything { return everything() }
    var places: [SandboxPlace] = []
    if let home = wish.home {
      let source = Paths.join(facts.homes, home)
      places.append(
        SandboxPlace(facts.account.home, .writable, source: facts.real(source) ?? source, why: "--home \(home)"))
    }
    if wish.only, wish.review != nil {
      throw .refused("cannot review: --only gives no current directory to write to")
    }
    let project = wish.only ? nil : try project()
    let own = [facts.folder] + wish.writable
    // What lies in the project is the project's: an activated virtual environment is written to.
    if !wish.only {
      places += Toolchains(account: facts.account, environment: variables, look: facts.look).places().filter { tool in
        tool.access == .hidden || !own.contains { Paths.isOrLies(tool.path, in: $0) }
      }
    }
    // Sources are opened without following a link, which another sandbox could have put there meanwhile. What else there is
    // has no link on its way.
    for index in places.indices where places[index].source == nil && places[index].access != .hidden {
      if let real = facts.real(places[index].path), real != places[index].path { places[index].source = real }
    }
    if let project { places.append(project) }
    for path in wish.readOnly { places.append(try given(path, .readOnly, "--ro")) }
    for path in wish.writable { places.append(try given(path, .writable, "--rw")) }
    if wish.bare == nil {
      for folder in writableFolders(places, project) { places += try protections(of: folder) }
    }
    places += secrets(in: places)
    for path in wish.hidden {
      places.append(SandboxPlace(path, .hidden, isDirectory: facts.look(path) == .directory, why: "--hide"))
    }
    return wish.bare == nil ? pinned(ordered(places)) : ordered(places)
  }

  /// The caller's files as they are, but for what every sandbox has of its own, and our own places.
  private func everything() -> [SandboxPlace] {
    let own = Set(Self.inRoot + Self.never + ["/lib32", "/libx32", "/tmp", "/var", "/boot", "/lost+found"])
    let tops = facts.tops.map { "/\($0)" }.filter {
      !own.contains($0) && facts.look($0) == .directory && facts.canWrite($0)
    }
    let folders = tops + [facts.account.home] + (facts.otherHome.map { [$0] } ?? []) + [facts.folder]
    var places: [SandboxPlace] = []
    for folder in folders {
      guard facts.look(folder) == .directory, !places.contains(where: { Paths.isOrLies(folder, in: $0.path) }),
        !Self.inRoot.contains(where: { Paths.isOrLies(folder, in: $0) }), folder != "/"
      else { continue }
      places.append(SandboxPlace(folder, .writable, why: "learn"))
    }
    for path in facts.ours where places.contains(where: { Paths.lies(path, in: $0.path) }) {
      places.append(SandboxPlace(path, .hidden, why: "zones"))
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
    let isGiven = (wish.readOnly + wish.writable).contains { Paths.isOrLies(folder, in: $0) }
    let isInRoot = Self.inRoot.contains { Paths.isOrLies(folder, in: $0) }
    if wish.review != nil {
      // The layers' options are one text, in which these bytes have a meaning.
      if isGiven || isInRoot || folder.utf8.contains(where: { [44, 58, 92].contains($0) }) {
        let why =
          isGiven
          ? "--rw or --ro gives it as it is"
          : isInRoot ? "it is the machine's" : "its path has a comma, colon or backslash"
        throw .refused("cannot review what is done in \(folder): \(why)")
      }
    }
    if isGiven || isInRoot { return nil }
    let homes = [facts.account.home] + (facts.otherHome.map { [$0] } ?? [])
    if homes.contains(where: { Paths.isOrLies($0, in: folder) }) || Self.noProjects.contains(folder)
      || Self.never.contains(where: { Paths.lies(folder, in: $0) })
    {
      let why = homes.contains(folder) ? "it is your home, with all that is yours" : "it is no project's folder"
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
    // Without namespaces there is no other: all processes' then, which the caller says knowingly.
    if wish.bare != nil, path == "/proc", access == .readOnly { return SandboxPlace(path, access, why: option) }
    if path == "/" || Self.never.contains(where: { Paths.isOrLies(path, in: $0) }) {
      throw .refused("cannot give \(path) to the command (\(option)): it is the machine's, and the sandbox has its own")
    }
    return SandboxPlace(path, access, isDirectory: facts.look(path) == .directory, why: option)
  }

  /// Folders that may hold a project: the current one, and those of --rw that are repositories.
  private func writableFolders(_ places: [SandboxPlace], _ project: SandboxPlace?) -> [String] {
    var folders: [String] = []
    if let project { folders.append(project.path) }
    for place in places where place.why == "--rw" && place.isDirectory {
      if Paths.isOrLies(facts.folder, in: place.path), !folders.contains(facts.folder) { folders.append(facts.folder) }
      if facts.look(Paths.join(place.path, ".git")) != nil, !folders.contains(place.path) { folders.append(place.path) }
    }
    return folders
  }

  private func protections(of folder: String) throws(ZoneError) -> [SandboxPlace] {
    // What lies in a review's layer gets to the project by `apply` alone, which knows these names too.
    if wish.review != nil, folder == facts.folder { return [] }
    return try ProtectedPath.found(
      in: folder, lifted: lifted, facts.look, canMake: { facts.canWrite(FileSystem.parent(of: $0)) }
    ).map { path in
      switch path {
      case .present(let path, let isDirectory):
        SandboxPlace(path, .readOnly, isDirectory: isDirectory, why: SandboxPlace.protection)
      case .absent(let path): SandboxPlace(path, .readOnly, why: SandboxPlace.protection + ", and not there")
      case .absentFile(let path, let text):
        SandboxPlace(
          path, .readOnly, isDirectory: false, placeholder: text, why: SandboxPlace.protection + ", and not there")
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
    for home in [facts.account.home] + (facts.otherHome.map { [$0] } ?? []) {
      // Of most sandboxes none of it is in sight: nothing is looked at then.
      guard shown.contains(where: { Paths.isOrLies(home, in: $0.path) || Paths.lies($0.path, in: home) }) else {
        continue
      }
      for name in Secrets.ofHome {
        let path = Paths.join(home, name)
        guard shown.contains(where: { Paths.lies(path, in: $0.path) }) else { continue }
        hide(facts.look(path) == .link ? facts.real(path) ?? path : path)
      }
    }
    for path in facts.ours { hide(path) }
    return hidden
  }

  /// Between a folder that the command may write and what is covered in it every directory is a mount of its own: else it
  /// would be moved away, with what is covered, and another put in its place.
  private func pinned(_ places: [SandboxPlace]) -> [SandboxPlace] {
    var all = places
    for place in places where place.access == .hidden || place.access == .readOnly {
      for folder in Paths.above(place.path) where !all.contains(where: { $0.path == folder }) {
        let holder = places.last { Paths.lies(folder, in: $0.path) }
        guard let holder, holder.source == nil, holder.access == .writable || holder.access == .pinned else { continue }
        all.append(SandboxPlace(folder, .pinned, why: "above \(place.path)"))
      }
    }
    return ordered(all)
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
    "snap", ".var/app", ".config/microsoft-edge", ".config/vivaldi", ".config/opera", ".config/VSCodium",
    ".config/Cursor", ".config/discord", ".config/github-copilot", ".config/sops", ".config/age", ".config/pip",
    ".config/pypoetry", ".config/doctl", ".config/hcloud", ".config/git", ".gitconfig", ".pgpass", ".my.cnf", ".s3cfg",
    ".boto", ".subversion/auth", ".local/share/opencode", ".local/share/uv/credentials", ".1password", ".irb_history",
  ]
}
