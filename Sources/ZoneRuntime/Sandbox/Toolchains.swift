/// The caller's programs and what belongs to them, found from his PATH and environment: read-only at their places; the
/// caches of package managers copy-on-write.
struct Toolchains {
  let account: SandboxAccount
  let environment: [String: String]
  let look: PathLook

  /// What the root has anyway.
  private static let covered = ["/usr", "/opt", "/bin", "/sbin", "/lib", "/lib64"]
  /// Of the kernel, and where sockets are.
  private static let never = ["/proc", "/sys", "/dev", "/etc", "/run"]
  /// Variables that name a tool's own tree.
  private static let roots = [
    "RUSTUP_HOME", "NVM_DIR", "PYENV_ROOT", "GOROOT", "JAVA_HOME", "CONDA_PREFIX", "SWIFTLY_HOME_DIR",
    "SWIFTLY_TOOLCHAINS_DIR", "VOLTA_HOME", "BUN_INSTALL", "DENO_INSTALL", "SDKMAN_DIR", "RBENV_ROOT", "ASDF_DIR",
    "ASDF_DATA_DIR", "MISE_DATA_DIR", "DOTNET_ROOT", "GEM_HOME", "VIRTUAL_ENV",
  ]
  /// Where a tool of the home has more than the folder that PATH names, by that folder. All relative to the home.
  private static let companions: [(folder: String, roots: [String])] = [
    (".cargo/bin", [".rustup"]),
    (".local/bin", [".local/lib", ".local/share/uv", ".local/pipx", ".local/share/pipx", ".local/share/swiftly"]),
    (".local/share/swiftly/bin", [".local/share/swiftly"]),
    (".local/share/mise/shims", [".local/share/mise", ".config/mise"]),
    (".pyenv/shims", [".pyenv"]), (".pyenv/bin", [".pyenv"]),
    (".rbenv/shims", [".rbenv"]), (".asdf/shims", [".asdf"]), (".volta/bin", [".volta"]),
    ("go/bin", []), ("bin", []),
  ]
  /// Of the home.
  private static let caches = [
    ".cargo", ".npm", ".cache/pip", ".cache/uv", ".cache/yarn", ".cache/pnpm", ".local/share/pnpm/store",
    ".cache/go-build", "go/pkg/mod", ".cache/ccache", ".ccache", ".cache/org.swift.swiftpm", ".swiftpm", ".gradle",
    ".m2/repository", ".cache/pypoetry", ".cache/pipenv", ".cache/deno", ".bun/install/cache", ".nuget/packages",
    ".cache/node-gyp", ".cache/ms-playwright", ".cache/zig",
  ]
  /// What lies in those trees and is nobody's but the caller's.
  private static let secrets = [
    ".cargo/credentials", ".cargo/credentials.toml", ".gradle/gradle.properties", ".npm/_logs", ".swiftpm/security",
    ".local/share/uv/credentials",
  ]

  private func home(_ name: String) -> String { Paths.join(account.home, name) }

  func places() -> [SandboxPlace] {
    var places: [SandboxPlace] = []
    for name in Self.caches where look(home(name)) == .directory {
      // The layers' options are one text, in which these have a meaning.
      guard !home(name).utf8.contains(where: { [58, 44, 92].contains($0) }) else { continue }
      places.append(SandboxPlace(home(name), .passing, why: "a cache of packages"))
    }
    for (path, why) in trees() where look(path) == .directory {
      if places.contains(where: { $0.path == path }) { continue }
      places.append(SandboxPlace(path, .readOnly, why: why))
    }
    for name in Self.secrets {
      guard let kind = look(home(name)), kind == .directory || kind == .file else { continue }
      guard places.contains(where: { Paths.lies(home(name), in: $0.path) }) else { continue }
      places.append(SandboxPlace(home(name), .hidden, isDirectory: kind == .directory, why: "credentials"))
    }
    return places
  }

  /// A tool's own trees, those that PATH names first.
  private func trees() -> [(path: String, why: String)] {
    var trees: [(path: String, why: String)] = []
    let add = { (path: String, why: String) in
      guard path.hasPrefix("/"), path != "/", path != account.home, !Paths.lies(account.home, in: path),
        !Self.never.contains(where: { Paths.isOrLies(path, in: $0) }), !isSecret(path),
        !Self.covered.contains(where: { Paths.isOrLies(path, in: $0) }),
        !trees.contains(where: { Paths.isOrLies(path, in: $0.path) })
      else { return }
      trees.removeAll { Paths.lies($0.path, in: path) }
      trees.append((path, why))
    }
    for part in (environment["PATH"] ?? "").split(separator: ":") {
      let folder = Self.plain(String(part))
      guard look(folder) == .directory else { continue }
      add(tree(of: folder), "PATH names it")
      for (of, roots) in Self.companions where folder == home(of) {
        for root in roots { add(home(root), "belongs to \(folder)") }
      }
    }
    for name in Self.roots {
      if let path = environment[name], path.hasPrefix("/") { add(Self.plain(path), "\(name) names it") }
    }
    return trees
  }

  /// The folder that is installed as one: what is above its `bin`. A home's own folders, and those right below the top,
  /// hold more than one thing.
  private func tree(of folder: String) -> String {
    guard folder.hasSuffix("/bin") || folder.hasSuffix("/shims") || folder.hasSuffix("/sbin") else { return folder }
    let above = Paths.above(folder).last ?? "/"
    let many = ["/", account.home, home(".local"), home(".cargo"), home("go")]
    if many.contains(above) || Paths.above(above).isEmpty || isSecret(above) { return folder }
    // Something installed has more beside its programs; a project of the caller's has a repository.
    let isInstalled = ["lib", "libexec", "share"].contains { look(Paths.join(above, $0)) == .directory }
    return isInstalled && look(Paths.join(above, ".git")) == nil ? above : folder
  }

  /// What holds a secret of the home's, or is one.
  private func isSecret(_ path: String) -> Bool {
    Secrets.ofHome.contains { name in
      let secret = home(name)
      return Paths.isOrLies(path, in: secret) || (Paths.lies(secret, in: path) && !installed.contains(path))
    }
  }

  /// Trees of tools in which the secrets are hidden one by one.
  private var installed: [String] { [".cargo", ".local/share/uv", ".swiftpm", ".gradle"].map(home) }

  /// Without a slash at the end, and without what is not plain: then it is left out.
  private static func plain(_ path: String) -> String {
    let parts = path.split(separator: "/")
    guard path.hasPrefix("/"), !parts.contains("."), !parts.contains("..") else { return "/" }
    return "/" + parts.joined(separator: "/")
  }
}
