public import LinuxNS
public import ZoneRuntime

/// A layer that was unpacked.
public struct UnpackReport: Equatable, Sendable {
  /// Of the archive, decoded.
  public var diffID: ContentDigest
  /// Of the archive, decoded.
  public var bytes: Int64
  /// Files, directories and deleted names that it told of, and parents that it did not.
  public var names: Int
  /// For the joint of each stack it is in.
  public var notes: LayerNotes
  /// The first few of those that were left out, and how many there were.
  public var omissions: [BytePath]
  public var omitted: Int
}

extension UnpackReport: JSONObject {
  public static var blank: UnpackReport {
    let nothing = ContentDigest(hash: [UInt8](repeating: 0, count: 32))!  // 32 bytes are what it takes
    return UnpackReport(diffID: nothing, bytes: 0, names: 0, notes: LayerNotes(), omissions: [], omitted: 0)
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("bytes", &bytes)
    try json.field("diffID", &diffID)
    try json.field("names", &names)
    try json.field("notes", &notes)
    try json.field("omissions", &omissions)
    try json.field("omitted", &omitted)
  }
}

/// What the unpacker tells its caller: one of the two; neither where a directory was emptied.
struct UnpackAnswer: Equatable, JSONObject {
  /// One line.
  var error: String?
  var layer: UnpackReport?
  /// Nothing was written: what is in the directory is somebody's.
  var isUntouched = false

  static var blank: UnpackAnswer { UnpackAnswer() }
  /// Bytes of it.
  static let most = 32 << 20

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("error", &error)
    try json.field("layer", &layer)
    try json.field("untouched", &isUntouched)
  }
}
