public import LinuxNS

/// What is known of a layer in the store: `layers/NNNNNN/layer.json`.
public struct LayerRecord: Equatable, Sendable {
  public enum Kind: String, Sendable, JSONText {
    /// Unpacked from an archive.
    case image
    /// Made of a stack's own layers, above them (`JointPlan`).
    case joint
    /// What a zone wrote, frozen.
    case zone
  }

  public static let currentVersion = 1
  public var version = currentVersion
  public var kind: Kind
  /// Of an image's layer its DiffID, of a joint the ChainID of the stack; a zone's has none.
  public var digest: ContentDigest?
  /// Of the archive before compression.
  public var bytes: Int64
  public var names: Int
  /// Nanoseconds since 1970.
  public var made: UInt64
  public var notes: LayerNotes
  /// The first few of what was left out, and how many there were.
  public var omissions: [BytePath] = []
  public var omitted = 0

  public init(
    _ kind: Kind, digest: ContentDigest?, bytes: Int64 = 0, names: Int = 0, made: UInt64,
    notes: LayerNotes = LayerNotes()
  ) {
    self.kind = kind
    self.digest = digest
    self.bytes = bytes
    self.names = names
    self.made = made
    self.notes = notes
  }
}

extension LayerRecord: StoredRecord {
  public static var blank: LayerRecord { LayerRecord(.image, digest: nil, made: 0) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("bytes", &bytes)
    try json.field("digest", &digest)
    try json.field("kind", &kind)
    try json.field("made", &made)
    try json.field("names", &names)
    try json.field("notes", &notes)
    try json.field("omissions", &omissions)
    try json.field("omitted", &omitted)
    try json.field("version", &version)
  }

  var unsound: String? {
    if bytes < 0 || names < 0 || omitted < 0 { return "a layer of \(bytes) bytes, \(names) names, \(omitted) left out" }
    if omissions.count > omitted { return "more is told of what was left out than there was" }
    if (digest == nil) != (kind == .zone) {
      return "a layer of a \(kind.rawValue) \(digest == nil ? "without" : "with") a digest"
    }
    return nil
  }
}

/// A layer's number: six digits, from 1, the name of its folder and of the link that a mount is told.
enum LayerNumber {
  static let range = 1...999_999

  static func text(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 6 - digits.utf8.count)) + digits
  }

  /// - Returns: nil for a name that is no number of ours.
  static func parse(_ text: String) -> Int? {
    guard text.utf8.count == 6, text.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(text),
      range.contains(number)
    else { return nil }
    return number
  }

  static func unsound(_ numbers: [Int]) -> String? {
    for number in numbers where !range.contains(number) { return "a layer of number \(number)" }
    return Set(numbers).count == numbers.count ? nil : "one layer twice"
  }
}
