internal import Glibc
internal import LinuxNS

/// What overlayfs has noted in an entry of a review's layer, by extended attributes of its own: the layer is mounted with
/// `userxattr`, so they begin with `user.overlay.` (Documentation/filesystems/overlayfs.rst).
struct LayerEntry: Sendable, Equatable {
  var facts: FileFacts
  /// The name is deleted.
  var isWhiteout = false
  /// Nothing of the real directory is seen through this one.
  var isOpaque = false
  /// Empty files in it may stand for deleted names.
  var holdsXattrWhiteouts = false
  /// What the command sees as `user.*`.
  var xattrs: [Xattr] = []
  /// Of other kinds: access control lists, a file's capabilities.
  var powers: [Xattr] = []
  /// A link's text.
  var target: [UInt8] = []
}

extension LayerEntry {
  static let own = "user.overlay."
  /// What the command itself wrote as `user.overlay.*`.
  static let escaped = "user.overlay.overlay."
  /// Ours: a directory's true time and, of what its owner could not read, the true mode.
  static let timeNote = "user.overlay.zonectl-time"
  static let modeNote = "user.overlay.zonectl-mode"
  /// Notes that say nothing about what is seen.
  private static let silent = ["origin", "impure", "nlink", "uuid", "upper", "protattr"]

  /// An entry of the layer as the command saw it.
  /// - Parameter xattrs: all of it, as they lie on disk.
  /// - Throws: EPROTO for a note that we cannot read right.
  init(
    _ facts: FileFacts, onDisk xattrs: [Xattr], target: [UInt8] = [], amongXattrWhiteouts: Bool, _ path: BytePath
  ) throws(SyscallError) {
    self.init(facts: facts, isWhiteout: facts.isWhiteout, target: target)
    for attribute in xattrs {
      if attribute.has(prefix: Self.escaped) {
        let name = Self.own.utf8 + attribute.name.dropFirst(Self.escaped.utf8.count)
        self.xattrs.append(Xattr(name: Array(name), value: attribute.value))
      } else if attribute.has(prefix: Self.own) {
        try note(attribute, amongXattrWhiteouts, path)
      } else if attribute.has(prefix: "user.") {
        self.xattrs.append(attribute)
      } else if RealEntry.isPower(attribute) {
        powers.append(attribute)
      }
    }
    self.xattrs.sort { $0.name.lexicographicallyPrecedes($1.name) }
  }

  private mutating func note(_ attribute: Xattr, _ amongXattrWhiteouts: Bool, _ path: BytePath) throws(SyscallError) {
    let word = String(decoding: attribute.name.dropFirst(Self.own.utf8.count), as: UTF8.self)
    if attribute.isNamed(Self.timeNote), let time = Int64(String(decoding: attribute.value, as: UTF8.self)) {
      facts.modified = time
      return
    }
    if attribute.isNamed(Self.modeNote), let mode = UInt32(String(decoding: attribute.value, as: UTF8.self), radix: 8) {
      facts.mode = mode & 0o7777
      return
    }
    switch (word, attribute.value) {
    case ("opaque", [UInt8(ascii: "y")]): isOpaque = true
    case ("opaque", [UInt8(ascii: "x")]): holdsXattrWhiteouts = true
    case ("whiteout", _) where amongXattrWhiteouts && facts.kind == .file && facts.size == 0: isWhiteout = true
    case _ where Self.silent.contains(word): break
    default:
      throw SyscallError(
        call: "getxattr", errno: EPROTO, path: path.words,
        step: "understand overlayfs's note '\(BytePath(attribute.name).words)' (copy what you need from the layer)")
    }
  }

  /// Reads an entry. One that its own owner may not read is opened up to him first, and bears its true mode in a note from
  /// then on, so that a kill loses nothing.
  static func read(
    _ layer: borrowing TreeFD, _ path: BytePath, amongXattrWhiteouts: Bool = false
  ) throws(SyscallError) -> LayerEntry? {
    guard let look = try layer.look(path) else { return nil }
    let facts = try FileFacts.of(open: look)
    switch facts.kind {
    case .file, .directory:
      try openUp(look, facts, path)
      return try LayerEntry(
        facts, onDisk: try Xattr.all(of: look, path), amongXattrWhiteouts: amongXattrWhiteouts, path)
    case .link:
      return try LayerEntry(
        facts, onDisk: [], target: try RealEntry.target(of: look, path), amongXattrWhiteouts: false, path)
    default: return try LayerEntry(facts, onDisk: [], amongXattrWhiteouts: false, path)
    }
  }

  private static func openUp(_ file: borrowing OwnedFD, _ facts: FileFacts, _ path: BytePath) throws(SyscallError) {
    let needed: UInt32 = facts.kind == .directory ? 0o700 : 0o600
    // A file needs no right to be written but for its note.
    let missing = facts.kind == .directory ? facts.mode & 0o700 != 0o700 : facts.mode & 0o400 == 0
    guard missing, geteuid() != 0 else { return }
    try file.setMode(facts.mode | needed, path)
    try Xattr(Self.modeNote, String(facts.mode, radix: 8)).set(on: file, path)
  }
}

/// An entry of the real tree as it is now.
struct RealEntry: Sendable, Equatable {
  var facts: FileFacts
  /// `user.*`; nil where the caller may not read them.
  var xattrs: [Xattr]? = []
  var powers: [Xattr] = []
  var target: [UInt8] = []

  static func isPower(_ attribute: Xattr) -> Bool {
    attribute.isNamed("system.posix_acl_access") || attribute.isNamed("system.posix_acl_default")
      || attribute.isNamed("security.capability")
  }

  static func read(_ real: borrowing TreeFD, _ path: BytePath) throws(SyscallError) -> RealEntry? {
    guard let look = try real.look(path) else { return nil }
    var entry = RealEntry(facts: try FileFacts.of(open: look))
    switch entry.facts.kind {
    case .file, .directory:
      do throws(SyscallError) {
        let all = try Xattr.all(of: look, path)
        entry.xattrs = all.filter { $0.has(prefix: "user.") }
        entry.powers = all.filter(isPower)
      } catch {
        guard error.errno == EACCES || error.errno == EPERM else { throw error }
        entry.xattrs = nil
      }
    case .link: entry.target = try target(of: look, path)
    default: break
    }
    return entry
  }

  static func target(of link: borrowing OwnedFD, _ path: BytePath) throws(SyscallError) -> [UInt8] {
    var room = [UInt8](repeating: 0, count: 4096)
    let count = room.withUnsafeMutableBytes {
      readlinkat(link.raw, "", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    let error = errno
    guard count >= 0 else { throw SyscallError(call: "readlinkat", errno: error, path: path.words) }
    return Array(room[0..<count])
  }
}
