internal import Glibc
internal import LinuxNS

/// Where everything lies: `/var/lib/zones` and `/run/zones` for root; `$XDG_DATA_HOME/zones` and
/// `$XDG_RUNTIME_DIR/zones` for a user; DIR/data and DIR/run with `--root DIR`.
///
/// A zone has `data/NAME` (spec, root, log; what lasts) and `run/NAME` (state, socket; what a reboot ends). What zones
/// share lies in `.shared` of both, which is no zone's name.
public struct Directories: Sendable, Equatable {
  public var data: String
  public var run: String
  /// Empty for the standard places; otherwise a short word made from the place, part of the names of cgroups, links
  /// and tables, so that two places on one machine do not meet.
  public var tag: String
  /// What `--root` was, to pass it on.
  public var root: String?

  /// The caller's place.
  /// - Parameter root: `--root`, absolute.
  /// - Throws: also where somebody else than root and the caller could redirect it (`checkTrust`).
  public static func standard(root: String? = nil) throws(ZoneError) -> Directories {
    let directories = try named(root: root)
    try directories.checkTrust()
    return directories
  }

  private static func named(root: String?) throws(ZoneError) -> Directories {
    if let root {
      guard root.hasPrefix("/"), !climbs(root), root.utf8.count < 200 else {
        throw .usage("--root wants an absolute path of less than 200 bytes, not '\(root)'")
      }
      return Directories(data: "\(root)/data", run: "\(root)/run", tag: tag(of: root), root: root)
    }
    let uid = geteuid()
    if uid == 0 { return Directories(data: "/var/lib/zones", run: "/run/zones", tag: "", root: nil) }
    let environment = { (name: String) -> String? in
      guard let value = getenv(name).map({ String(cString: $0) }), value.hasPrefix("/") else { return nil }
      return value
    }
    guard let data = environment("XDG_DATA_HOME") ?? environment("HOME").map({ "\($0)/.local/share" }) else {
      throw .usage("HOME and XDG_DATA_HOME are not set; name a place with --root DIR")
    }
    let run = environment("XDG_RUNTIME_DIR") ?? runs(of: uid).first { isOwn($0) } ?? runs(of: uid)[1]
    return Directories(data: "\(data)/zones", run: "\(run)/zones", tag: uid == 0 ? "" : "u\(uid)", root: nil)
  }

  /// Where a user's run directory may be: the login session's, which cron and sudo have no variable for; without one /tmp,
  /// which is cleared by a reboot too.
  private static func runs(of uid: UInt32) -> [String] { ["/run/user/\(uid)", "/tmp/zones-\(uid)"] }

  private static func isOwn(_ path: String) -> Bool {
    guard let status = try? FileSystem.status(path, followingLinks: false) else { return false }
    return status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid()
  }

  /// The run directories that zones of the same data may have from another session of the same user.
  var otherRuns: [String] {
    guard root == nil, geteuid() != 0 else { return [] }
    return Self.runs(of: geteuid()).map { "\($0)/zones" }.filter { $0 != run && Self.isOwn($0) }
  }

  public func data(of zone: String) -> String { "\(data)/\(zone)" }
  public func run(of zone: String) -> String { "\(run)/\(zone)" }
  public var shared: String { "\(data)/.shared" }
  public var sharedRun: String { "\(run)/.shared" }
  public var volumes: String { "\(shared)/volumes" }
  /// What is known of volumes, a file each (`VolumeRecord`).
  public var volumeRecords: String { "\(shared)/volume-records" }

  /// Makes the places, closed to everybody else, and refuses those that somebody else could change.
  package func make() throws(ZoneError) {
    try attempt("make the directories of the zones") { () throws(SyscallError) in
      for path in [data, shared, run, sharedRun] { try FileSystem.makeDirectories(path, mode: 0o700) }
    }
    // Who was faster, in a sticky directory say, is seen now.
    try checkTrust()
  }

  /// Refuses places that somebody else could redirect: by a directory on the way that is his or that he may write to, or
  /// by a link. And the data must be closed to others as a whole: a zone of root's may leave a set-uid file of uid 0 in
  /// its root or in a volume, and only what lies above keeps a host user from running it.
  ///
  /// Every verb asks: what was right when the place was made may have been changed since.
  func checkTrust() throws(ZoneError) {
    for place in [data, run] {
      let found = try attempt("look at the way to \(place)") { () throws(SyscallError) in
        try FileSystem.distrust(of: place)
      }
      switch found {
      case nil: continue
      case .open? where place == run: continue  // what is to be closed there has its own mode
      case let found?: throw .refused("cannot keep zones in \(place): \(found.words)")
      }
    }
  }

  /// FNV-1a, four letters and digits: names of links have 15 bytes at most.
  static func tag(of path: String) -> String {
    var hash: UInt32 = 0x811c_9dc5
    for byte in path.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
    var text: [UInt8] = []
    for index in 0..<4 {
      let digit = UInt8((hash >> UInt32(index * 8)) % 36)
      text.append(digit < 10 ? 48 + digit : 87 + digit)
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Whether `/../` is in the path. The library's search makes a dozen types first, 0.04 ms.
  private static func climbs(_ path: String) -> Bool {
    var last: UInt32 = 0
    for byte in path.utf8 {
      last = last << 8 | UInt32(byte)
      if last == 0x2f2e_2e2f { return true }
    }
    return false
  }
}

extension PathDistrust {
  /// What is wrong with a place, and what to do.
  var words: String {
    switch self {
    case .owner(let uid, let path):
      "\(path) belongs to uid \(uid), not to uid \(geteuid()) (chown it, or name another place with --root)"
    case .link(let uid, let path):
      "the link \(path) belongs to uid \(uid), who could lead it elsewhere (remove it, or name another place with --root)"
    case .writable(let path): "others may write to \(path) (chmod go-w \(path))"
    case .notADirectory(let path): "\(path) is not a directory (move it away, or name another place with --root)"
    case .open(let path): "others may enter \(path), and could run what a zone leaves there (chmod 700 \(path))"
    }
  }
}
