public import ZoneRuntime

/// What a layer may cost, whatever it says of itself.
public struct UnpackLimits: Equatable, Sendable {
  /// Of the decoded archive: a bomb ends there, on a full disk at the latest.
  public var bytes: Int64
  /// Files, directories and deleted names.
  public var names: Int

  public init(bytes: Int64 = LayerLimits.archiveBytes, names: Int = LayerLimits().names) {
    self.bytes = bytes
    self.names = names
  }
}

/// What the unpacker is to do: its command line, behind `unpack`.
struct UnpackOrder: Equatable {
  enum Job: Equatable {
    case unpack
    /// Empties the directory.
    case remove
  }

  var job = Job.unpack
  /// What the media type says; nil: nothing does.
  var compression: MediaType.Compression?
  /// What the image says that the decoded archive is.
  var diffID: ContentDigest?
  var limits = UnpackLimits()

  /// Where it finds what it works on.
  static let (blob, directory, report): (CInt, CInt, CInt) = (3, 4, 5)

  init(_ job: Job = .unpack) { self.job = job }

  var arguments: [String] {
    if job == .remove { return ["--remove"] }
    var words = ["--bytes", String(limits.bytes), "--names", String(limits.names)]
    if let compression { words += ["--compression", compression.rawValue] }
    if let diffID { words += ["--diff-id", diffID.text] }
    return words
  }

  init(_ arguments: [String]) throws(SyntaxError) {
    var rest = arguments[...]
    while let word = rest.popFirst() {
      if word == "--remove" {
        guard arguments.count == 1 else { throw Self.refusal(word, "it stands alone") }
        job = .remove
        continue
      }
      guard ["--bytes", "--names", "--compression", "--diff-id"].contains(word) else {
        throw Self.refusal(word, "there is no such option")
      }
      guard let value = rest.popFirst() else { throw Self.refusal(word, "it wants a value") }
      switch word {
      case "--bytes": limits.bytes = try Self.number(value, word)
      case "--names": limits.names = Int(try Self.number(value, word))
      case "--compression":
        guard let known = MediaType.Compression(rawValue: value) else {
          throw Self.refusal(value, "it is none, gzip or zstd")
        }
        compression = known
      default: diffID = try ContentDigest(parsing: value)
      }
    }
  }

  private static func number(_ text: String, _ option: String) throws(SyntaxError) -> Int64 {
    guard let number = Int64(text), number >= 0 else { throw refusal(text, "\(option) wants a number from 0 on") }
    return number
  }

  private static func refusal(_ value: String, _ why: String) -> SyntaxError {
    SyntaxError(what: "unpack", value: value, why: why)
  }
}
