/// What is known of a named volume beside its files, `volume-records/NAME`. The file's time is when a zone last had it.
public struct VolumeRecord: Equatable, Sendable {
  public static let currentVersion = 1
  public var version = currentVersion
  /// When nobody wants it any more, in seconds since 1970; nil is never.
  public var expires: UInt64?
  /// What it was made of by an import of a zone that is not there yet.
  public var imported: ContentDigest?
  public var labels: [String: String] = [:]
  /// Nanoseconds since 1970.
  public var made: UInt64
  public var owner: UInt32
  /// In bytes: how large it may become; nil: as its file system has room.
  public var size: Int64?
  /// When its end was told.
  public var warned: UInt64?

  public init(owner: UInt32, made: UInt64, size: Int64? = nil) {
    self.owner = owner
    self.made = made
    self.size = size
  }
}

extension VolumeRecord: StoredRecord {
  public static var blank: VolumeRecord { VolumeRecord(owner: 0, made: 0) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("expires", &expires)
    try json.field("imported", &imported)
    try json.field("labels", &labels)
    try json.field("made", &made)
    try json.field("owner", &owner)
    try json.field("size", &size)
    try json.field("version", &version)
    try json.field("warned", &warned)
  }

  var unsound: String? {
    if let size, size <= 0 { return "a volume of \(size) bytes" }
    return nil
  }
}
