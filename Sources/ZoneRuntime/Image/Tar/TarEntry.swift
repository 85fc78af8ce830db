public import LinuxNS

/// One file of an archive, as the archive has it: names are bytes, and nothing is believed yet.
public struct TarEntry: Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    /// `size` counts holes too.
    case file(size: Int64)
    case directory
    /// Its text.
    case link([UInt8])
    /// The other name, as `path` is one.
    case hardLink([UInt8])
    case fifo
    case device(isBlock: Bool, major: UInt32, minor: UInt32)
  }

  /// Not empty, without NUL; it may begin with a slash and hold `..`.
  public var path: [UInt8]
  public var kind: Kind
  /// The twelve bits of chmod(2).
  public var mode: UInt32
  public var uid: UInt32
  public var gid: UInt32
  /// Nanoseconds since 1970.
  public var modified: Int64
  /// In the order of their names; no name twice.
  public var xattrs: [Xattr]

  public init(
    path: [UInt8], kind: Kind, mode: UInt32 = 0o644, uid: UInt32 = 0, gid: UInt32 = 0, modified: Int64 = 0,
    xattrs: [Xattr] = []
  ) {
    self.path = path
    self.kind = kind
    self.mode = mode
    self.uid = uid
    self.gid = gid
    self.modified = modified
    self.xattrs = xattrs
  }

  public init(_ path: String, _ kind: Kind, mode: UInt32 = 0o644) {
    self.init(path: Array(path.utf8), kind: kind, mode: mode)
  }
}

/// What of an archive cannot be taken, and where: the end of a line that begins with the archive's name.
public struct TarError: Error, Equatable, Sendable, CustomStringConvertible {
  /// In the archive before compression.
  public var offset: Int64
  /// The entry, if its name was known.
  public var path: [UInt8]?
  public var why: String

  public var description: String {
    (path.map { "entry \(BytePath($0).words)" } ?? "byte \(offset)") + ": \(why)"
  }
}

/// What an archive may cost, whatever it says of itself.
public struct TarLimits: Equatable, Sendable {
  /// Headers of all kinds.
  public var entries = 8_000_000
  /// Of one extended header or long name, in bytes.
  public var extensionBytes: Int64 = 1 << 20
  /// Of all files as they are stored, in bytes: a bomb ends there, on a full disk at the latest.
  public var contentBytes: Int64 = 1 << 44
  /// Of one sparse file.
  public var segments = 1 << 18

  public init() {}
}

/// A part of a format that cannot be read; `TarReader` adds the place.
struct TarFault: Error, Equatable {
  var why: String
  init(_ why: String) { self.why = why }
}
