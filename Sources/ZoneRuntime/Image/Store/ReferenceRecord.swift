/// What a name in the store means: `refs/HOST/PART/…/:TAG`. Its file's time is when it was last used.
public struct ReferenceRecord: Equatable, Sendable {
  public static let currentVersion = 1
  public var version = currentVersion
  public var manifest: ContentDigest
  /// The index that the manifest was chosen from: what a registry has under this name.
  public var index: ContentDigest?
  /// Who brought it: `pull`, `import`, `tag`, `commit`.
  public var origin: String
  public var owner: UInt32
  /// Nanoseconds since 1970.
  public var made: UInt64
  /// When nobody wants it any more, in seconds since 1970; nil is never.
  public var expires: UInt64?
  /// When that was told.
  public var warned: UInt64?

  public init(manifest: ContentDigest, index: ContentDigest? = nil, origin: String, owner: UInt32, made: UInt64) {
    self.manifest = manifest
    self.index = index
    self.origin = origin
    self.owner = owner
    self.made = made
  }
}

extension ReferenceRecord: StoredRecord {
  public static var blank: ReferenceRecord { ReferenceRecord(manifest: .ofNothing, origin: "", owner: 0, made: 0) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("expires", &expires)
    try json.field("index", &index)
    try json.field("made", &made)
    try json.field("manifest", &manifest)
    try json.field("origin", &origin)
    try json.field("owner", &owner)
    try json.field("version", &version)
    try json.field("warned", &warned)
  }

  var unsound: String? {
    ["pull", "import", "tag", "commit"].contains(origin) ? nil : "a name that came by '\(shortened(origin))'"
  }
}
