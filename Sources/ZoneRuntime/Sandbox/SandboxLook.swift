internal import Glibc
internal import LinuxNS

extension Zones {
  /// Looks at the caller, his place and his environment.
  /// - Parameter environment: as environ(7) has it.
  public func sandboxFacts(environment: [String]) throws(ZoneError) -> SandboxFacts {
    let account = try account()
    guard let here = getcwd(nil, 0) else {
      throw .call("look at the current directory", SyscallError(call: "getcwd", errno: errno))
    }
    defer { free(here) }
    let configuration = Self.variable("XDG_CONFIG_HOME") ?? Paths.join(account.home, ".config")
    var facts = SandboxFacts(
      account: account, folder: String(cString: here), environment: environment, hostname: Self.hostname(),
      profiles: "\(configuration)/zones/profiles",
      homes: "\(directories.shared)/homes", look: Paths.look,
      real: { try? Paths.real($0) }, canWrite: Paths.canWrite)
    var limit = rlimit()
    if getrlimit(6 /* RLIMIT_NPROC */, &limit) == 0, limit.rlim_max < 1 << 40 {
      facts.mostProcesses = UInt64(limit.rlim_max)
    }
    if let home = Self.passwdHome().flatMap({ try? Paths.real($0) }), home != account.home { facts.otherHome = home }
    // $XDG_CONFIG_HOME/git/config is read before ~/.gitconfig (git-config(1)).
    for path in ["\(configuration)/git/config", Paths.join(account.home, ".gitconfig")] {
      // One that is not there says nothing.
      if let bytes = try? FileSystem.read(path, limit: 1 << 20) { facts.gitConfigurations.append(bytes) }
    }
    facts.runs = directories.run
    // What cannot be listed has nothing to give.
    facts.list = { (try? FileSystem.list($0)) ?? [] }
    for place in [directories.data, directories.run] {
      // Not made yet, at the first time.
      if let real = try? Paths.real(place) { facts.ours.append(real) }
    }
    return facts
  }

  /// Makes the home that lasts, and cleans up after sandboxes that were killed.
  public func prepare(_ wish: SandboxWish, _ facts: SandboxFacts) throws(ZoneError) {
    try directories.make()
    try sweepSandboxes()
    guard let home = wish.home else { return }
    guard isDNSLabel(home) else {
      throw .commandLine("--home '\(home)': a name is a-z, 0-9 and inner hyphens, at most 63")
    }
    let path = "\(directories.shared)/homes/\(home)"
    try attempt("make the home \(home)") { () throws(SyscallError) in
      try FileSystem.makeDirectories(path, mode: 0o700)
      // Who he is to git, until he says something else there. A link of the command's is not followed (O_EXCL).
      guard let text = GitIdentity(facts.gitConfigurations).configuration, Paths.look("\(path)/.gitconfig") == nil
      else { return }
      let file = try OwnedFD.open("\(path)/.gitconfig", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644)
      try FileSystem.write(Array(text.utf8), to: file, name: "\(path)/.gitconfig")
    }
  }

  /// A sandbox ends with its launcher; where both it and the keeper were killed, nobody has cleaned up.
  private func sweepSandboxes() throws(ZoneError) {
    let points = MountPoints(directories)
    let homes = BareHome(directories)
    for name in try names() where points.has(name) || homes.has(name) {
      guard let files = try? files(name), let state = try? state(of: files), !state.isLive else { continue }
      do throws(ZoneError) {
        // One that is being made is locked by who makes it.
        if state != .incomplete { try halt(name) } else if isAbandoned(files) { try cleanUp(files) }
      } catch {
        notice("could not clean up after the sandbox \(name): \(error)")
      }
    }
  }

  private func isAbandoned(_ files: ZoneFiles) -> Bool {
    guard let folder = try? OwnedFD.open(files.run, O_RDONLY | O_DIRECTORY) else { return false }
    return flock(folder.raw, LOCK_EX | LOCK_NB) == 0
  }

  private func account() throws(ZoneError) -> SandboxAccount {
    let uid = geteuid()
    var account = SandboxAccount(uid: uid, gid: getegid(), name: "\(uid)", home: "", shell: "/bin/sh")
    if let fields = Self.passwdFields() {
      (account.name, account.home, account.shell) = (fields[0], fields[5], fields[6])
    }
    if let home = Self.variable("HOME") { account.home = home }
    guard account.home.hasPrefix("/") else {
      throw .refused("cannot make a sandbox: it is not known where your home is (set HOME)")
    }
    // One that is not there has nothing to hide, and is made inside.
    account.home = (try? Paths.real(account.home)) ?? account.home
    if account.home == "/" { account.home = "/home/\(account.name)" }
    return account
  }

  /// The caller's line of passwd(5); nil where it has none of him.
  private static func passwdFields() -> [String]? {
    for line in ((try? FileSystem.read("/etc/passwd")) ?? []).split(separator: 10) {
      let fields = line.split(separator: 58, omittingEmptySubsequences: false)
      guard fields.count == 7, StrictNumber.id(Array(fields[2])) == geteuid() else { continue }
      return fields.map { String(decoding: $0, as: UTF8.self) }
    }
    return nil
  }

  private static func passwdHome() -> String? { passwdFields()?[5] }

  private static func variable(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.hasPrefix("/") ? text : nil
  }

  /// The machine's own name, where a zone can have it.
  private static func hostname() -> String {
    var name = [CChar](repeating: 0, count: 65)
    guard gethostname(&name, 64) == 0 else { return "sandbox" }
    let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let labels = text.split(separator: ".", omittingEmptySubsequences: false)
    return labels.allSatisfy { isDNSLabel($0.lowercased()) } ? text : "sandbox"
  }
}
