/// What names a blob: the hash of its bytes (image-spec, descriptor.md, "Digests"). It becomes a file's name, so nothing
/// else than a whole hash in lower case is one.
public struct ContentDigest: Hashable, Comparable, Sendable {
  /// The registered ones. Another that fits the grammar is refused by its name.
  public enum Algorithm: String, Sendable {
    case sha256, sha512

    /// Of the hash in hexadecimal.
    public var digits: Int { self == .sha256 ? 64 : 128 }
  }

  public let algorithm: Algorithm
  /// Lower case, `algorithm.digits` long.
  public let hex: String

  /// Of a hash that was just computed.
  /// - Returns: nil where its length is not the algorithm's.
  public init?(_ algorithm: Algorithm = .sha256, hash: [UInt8]) {
    guard hash.count * 2 == algorithm.digits else { return nil }
    self.algorithm = algorithm
    var hex = ""
    for byte in hash {
      for digit in [byte >> 4, byte & 15] {
        hex.unicodeScalars.append(Unicode.Scalar(digit < 10 ? 48 + digit : 87 + digit))
      }
    }
    self.hex = hex
  }

  /// `sha256:` and 64 digits, or `sha512:` and 128.
  public init(parsing text: String) throws(SyntaxError) {
    let refuse = { (why: String) in SyntaxError(what: "digest", value: shortened(text), why: why) }
    guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
      throw refuse("no algorithm before it; one is sha256: and 64 hexadecimal digits")
    }
    guard let algorithm = Algorithm(rawValue: String(text[..<colon])) else {
      throw refuse("only sha256 and sha512 are known here")
    }
    let hex = text[text.utf8.index(after: colon)...]
    let isHex = hex.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    guard isHex, hex.utf8.count == algorithm.digits else {
      throw refuse("\(algorithm.rawValue) has \(algorithm.digits) digits of 0-9 and a-f")
    }
    self.algorithm = algorithm
    self.hex = String(hex)
  }

  /// `sha256:…`, as manifests have it.
  public var text: String { "\(algorithm.rawValue):\(hex)" }
  /// Twelve digits, for people.
  public var short: String { String(hex.prefix(12)) }
  /// Below a folder of blobs: `sha256/…` (image-layout.md).
  public var path: String { "\(algorithm.rawValue)/\(hex)" }

  public static func < (one: ContentDigest, other: ContentDigest) -> Bool {
    one.text.utf8.lexicographicallyPrecedes(other.text.utf8)
  }
}

extension ContentDigest: JSONText {
  public var jsonText: String { text }
  public init(jsonText: String) throws(SyntaxError) { try self.init(parsing: jsonText) }
}
