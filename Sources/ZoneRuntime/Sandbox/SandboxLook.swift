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
      canWrite: { access($0, W_OK) == 0 })
    // $XDG_CONFIG_HOME/git/config is read before ~/.gitconfig (git-config(1)).
    for path in ["\(configuration)/git/config", Paths.join(account.home, ".gitconfig")] {
      // One that is not there says nothing.
      if let bytes = try? FileSystem.read(path, limit: 1 << 20) { facts.gitConfigurations.append(bytes) }
    }
    for place in [directories.data, directories.run] {
      // Not made yet, at the first time.
      if let real = try? Paths.real(place) { facts.ours.append(real) }
    }
    return facts
  }

  /// Makes the home that lasts, and cleans up after sandboxes that were killed.
  public func prepare(_ wish: SandboxWish) throws(ZoneError) {
    try directories.make()
    try sweepSandboxes()
    guard let home = wish.home else { return }
    guard isDNSLabel(home) else {
      throw .commandLine("--home '\(home)': a name is a-z, 0-9 and inner hyphens, at most 63")
    }
    try attempt("make the home \(home)") { () throws(SyscallError) in
      try FileSystem.makeDirectories("\(directories.shared)/homes/\(home)", mode: 0o700)
    }
  }

  /// A sandbox ends with its launcher; where both it and the keeper were killed, nobody has cleaned up.
  private func sweepSandboxes() throws(ZoneError) {
    let points = MountPoints(directories)
    for name in try names() where points.has(name) {
      guard let files = try? files(name), let state = try? state(of: files), !state.isLive, state != .incomplete else {
        continue
      }
      do throws(ZoneError) { try halt(name) } catch {
        notice("could not clean up after the sandbox \(name): \(error)")
      }
    }
  }

  private func account() throws(ZoneError) -> SandboxAccount {
    let uid = geteuid()
    var account = SandboxAccount(uid: uid, gid: getegid(), name: "\(uid)", home: "", shell: "/bin/sh")
    for line in ((try? FileSystem.read("/etc/passwd")) ?? []).split(separator: 10) {
      let fields = line.split(separator: 58, omittingEmptySubsequences: false)
      guard fields.count == 7, StrictNumber.id(Array(fields[2])) == uid else { continue }
      account.name = String(decoding: fields[0], as: UTF8.self)
      account.home = String(decoding: fields[5], as: UTF8.self)
      account.shell = String(decoding: fields[6], as: UTF8.self)
      break
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
