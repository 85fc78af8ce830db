/// Which of the caller's variables a sandbox gets: those that tell tools how to work, none that could hold a secret.
enum SandboxEnvironment {
  private static let names: Set<String> = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM", "TERM_PROGRAM",
    "COLUMNS", "LINES", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "LS_COLORS", "EDITOR", "VISUAL",
    "PAGER", "LESS", "CI", "SOURCE_DATE_EPOCH", "DEBIAN_FRONTEND",
    "CC", "CXX", "CPP", "LD", "AR", "AS", "NM", "RANLIB", "STRIP", "MAKE", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS",
    "PKG_CONFIG_PATH", "LD_LIBRARY_PATH", "RUSTC", "RUSTFLAGS", "RUST_BACKTRACE", "RUST_LOG", "CARGO_HOME",
    "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS", "CARGO_TERM_COLOR", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN",
    "GOPATH", "GOROOT", "GOFLAGS", "GOCACHE", "GOMODCACHE", "GOOS", "GOARCH", "CGO_ENABLED",
    "PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV",
    "PYENV_ROOT", "PYENV_VERSION", "UV_CACHE_DIR", "UV_PYTHON", "PIP_CACHE_DIR",
    "NODE_ENV", "NODE_PATH", "NODE_OPTIONS", "NVM_DIR", "NVM_BIN", "VOLTA_HOME", "BUN_INSTALL", "DENO_INSTALL",
    "JAVA_HOME", "SDKMAN_DIR", "DOTNET_ROOT", "GEM_HOME", "GEM_PATH",
    "BUNDLE_PATH", "RBENV_ROOT", "ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR",
    "SWIFTLY_HOME_DIR", "SWIFTLY_BIN_DIR", "SWIFTLY_TOOLCHAINS_DIR", "TOOLCHAINS", "SDKROOT",
    "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
  ]
  private static let prefixes = ["LC_", "CMAKE_", "MESON_", "CARGO_PROFILE_", "CCACHE_", "SWIFT_", "OMP_"]
  /// Whatever its beginning, a variable with one of these in its name stays out.
  private static let secrets = ["TOKEN", "SECRET", "PASS", "CREDENTIAL", "KEY", "AUTH", "COOKIE", "SESSION", "STORAGE"]

  static func isAllowed(_ name: String) -> Bool {
    if names.contains(name) { return true }
    guard prefixes.contains(where: { name.hasPrefix($0) }) else { return false }
    return !secrets.contains { contains(name, $0) }
  }

  /// - Parameters:
  ///   - caller: `NAME=VALUE`, as environ(7) has them.
  ///   - ours: what the sandbox itself has to tell.
  ///   - asked: `--env`, which is stronger.
  static func made(
    from caller: [String], ours: [(name: String, value: String)] = [], asked: [String], _ account: SandboxAccount
  ) -> [String: String] {
    var made: [String: String] = [:]
    for (name, value) in ours { made[name] = value }
    for text in caller {
      // `scheme://user:password@host`, whatever the name.
      guard let (name, value) = split(text), isAllowed(name), !(contains(value, "://") && contains(value, "@")) else {
        continue
      }
      made[name] = value
    }
    made["HOME"] = account.home
    made["USER"] = account.name
    made["LOGNAME"] = account.name
    // What was installed for the caller's own shell may not be there.
    if made["SHELL"] == nil { made["SHELL"] = account.shell }
    for text in asked {
      if let (name, value) = split(text) { made[name] = value }
    }
    return made
  }

  static func split(_ text: String) -> (name: String, value: String)? {
    let bytes = text.utf8
    guard let mark = bytes.firstIndex(of: UInt8(ascii: "=")), mark != bytes.startIndex else { return nil }
    return (String(text[..<mark]), String(text[bytes.index(after: mark)...]))
  }

  private static func contains(_ text: String, _ part: String) -> Bool {
    let (text, part) = (Array(text.utf8), Array(part.utf8))
    guard text.count >= part.count else { return false }
    return (0...(text.count - part.count)).contains { text[$0..<($0 + part.count)].elementsEqual(part) }
  }
}
