public import LinuxNS

/// What a file of a layer is given beside its content.
public struct LayerAttributes: Equatable, Sendable {
  /// The twelve bits of chmod(2).
  public var mode: UInt32
  /// As they are inside of zones, below `LayerLimits.ids`.
  public var uid: UInt32
  public var gid: UInt32
  /// Nanoseconds since 1970.
  public var modified: Int64
  public var xattrs: [Xattr]

  public init(mode: UInt32, uid: UInt32 = 0, gid: UInt32 = 0, modified: Int64 = 0, xattrs: [Xattr] = []) {
    self.mode = mode
    self.uid = uid
    self.gid = gid
    self.modified = modified
    self.xattrs = xattrs
  }
}

/// A step of unpacking a layer into an empty directory, which becomes a lower one of overlayfs.
///
/// Paths are below that directory. Who executes a step opens the parent by a descriptor, through no link
/// (`TreeFD`), and makes one name in it that is not there yet: a plan that were wrong fails, and writes nothing outside.
public enum LayerOp: Equatable, Sendable {
  case directory(BytePath, LayerAttributes)
  /// The archive does not tell of it. It is made as 0755 of root, and noted with the layer: what it looks like is said by
  /// the layers below.
  case parent(BytePath)
  /// A new one, with the content that the archive's reader gives next.
  case file(BytePath, size: Int64, LayerAttributes)
  case link(BytePath, target: [UInt8], LayerAttributes)
  case hardLink(BytePath, to: BytePath)
  case fifo(BytePath, LayerAttributes)
  /// Of a directory that is there: the top, or one that the archive tells of twice or late.
  case attributes(BytePath, LayerAttributes)
  /// What an earlier entry has made, with all below it.
  case remove(BytePath)
  /// The name is gone from the layers below.
  case whiteout(BytePath)
  /// Nothing of the layers below is seen in this directory. Of the top: of any of them.
  case opaque(BytePath)
  /// A directory's `system.posix_acl_default`, when nothing more is made in it: what is made there would inherit it.
  case defaultAccess(BytePath, [UInt8])
  /// A directory's time, when nothing more is made in it.
  case modified(BytePath, Int64)
  /// Nothing is made; told to who asked for the layer.
  case skipped(BytePath, LayerOmission)

  public var path: BytePath {
    switch self {
    case .directory(let path, _), .parent(let path), .file(let path, _, _), .link(let path, _, _),
      .hardLink(let path, _), .fifo(let path, _), .attributes(let path, _), .remove(let path), .whiteout(let path),
      .opaque(let path), .defaultAccess(let path, _), .modified(let path, _), .skipped(let path, _):
      path
    }
  }
}

/// What of an archive is left out, and why that takes nothing from a zone.
public enum LayerOmission: Equatable, Sendable {
  /// A zone's root is mounted without devices, and its /dev is its own. A node on the host's disk would only be a danger.
  case device
  /// Another machine's label or signature (`security.selinux`, `security.ima` …): by the attribute's name.
  case attribute([UInt8])
  /// AUFS's own files (`.wh..wh.plnk` and others).
  case bookkeeping
}

/// What a layer may hold.
public struct LayerLimits: Equatable, Sendable {
  /// Ids of files are below: a zone has so many.
  public var ids: UInt32 = 65536
  /// Why they are fewer than a zone has, and the mend: of who unpacks.
  public var fewIds: String?
  /// Folders above a name.
  public var depth = 1024
  /// Of a layer's archive, headers and holes included.
  public static let archiveBytes: Int64 = 1 << 36
  /// The same of a volume's: as much as an archive may have at all.
  public static let volumeBytes = TarLimits().contentBytes
  /// Names in the layer, whiteouts too.
  public var names = 4_000_000
  /// Folders that have to be looked for in other layers (`LayerNotes`).
  public var notes = 65536

  public init() {}
}

/// What of a layer cannot be unpacked: the end of a line that begins with the image's name.
public struct LayerError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The entry's name as the archive has it.
  public var path: [UInt8]
  public var why: String

  public var description: String { "entry \(BytePath(path).words): \(why)" }
}
