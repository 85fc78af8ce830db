/// A path below a root, as the kernel has it: bytes, which need not be text, names separated by single slashes, none of
/// them empty, `.` or `..`. Ordered so that a directory stands before what is in it, and that before its neighbours.
public struct BytePath: Hashable, Comparable, Sendable {
  public let bytes: [UInt8]
  public static let root = BytePath([])
  /// PATH_MAX less the byte at the end: longer ones cannot be told to the kernel in one piece.
  public static let mostBytes = 4095

  public init(_ bytes: [UInt8]) { self.bytes = bytes }
  public init(_ text: String) { bytes = Array(text.utf8) }

  public var isRoot: Bool { bytes.isEmpty }

  public var name: [UInt8] {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return bytes }
    return Array(bytes[(slash + 1)...])
  }

  public var parent: BytePath {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return .root }
    return BytePath(Array(bytes[..<slash]))
  }

  public func appending(_ name: [UInt8]) -> BytePath {
    isRoot ? BytePath(name) : BytePath(bytes + [UInt8(ascii: "/")] + name)
  }

  /// Whether the other one is this one, or below it.
  public func covers(_ other: BytePath) -> Bool {
    if isRoot { return true }
    guard other.bytes.count >= bytes.count, other.bytes.starts(with: bytes) else { return false }
    return other.bytes.count == bytes.count || other.bytes[bytes.count] == UInt8(ascii: "/")
  }

  public static func < (one: BytePath, other: BytePath) -> Bool {
    for (a, b) in zip(one.bytes, other.bytes) where a != b {
      if a == UInt8(ascii: "/") { return true }
      if b == UInt8(ascii: "/") { return false }
      return a < b
    }
    return one.bytes.count < other.bytes.count
  }

  /// For a call that takes a path; the root is the empty one.
  public func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result { bytes.withCString(body) }
}

extension [UInt8] {
  /// These bytes, which hold no NUL, as a C string for the time of `body`.
  public func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (self + [0]).withUnsafeBytes { body($0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
  }
}

extension BytePath {
  /// For a line that a person reads and can give back: as it is where that is plain, otherwise in double quotes with the
  /// escapes of C, bytes in octal. No name writes to a terminal, hides or turns the text around by it.
  public var words: String {
    if isRoot { return "." }
    if let text = String(validating: bytes, as: UTF8.self), text.unicodeScalars.allSatisfy(Self.isPlain),
      text.utf8.first != 32, text.utf8.last != 32
    {
      return text
    }
    var quoted = "\""
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\n"): quoted += "\\n"
      case UInt8(ascii: "\t"): quoted += "\\t"
      case UInt8(ascii: "\""): quoted += "\\\""
      case UInt8(ascii: "\\"): quoted += "\\\\"
      case 32..<127: quoted.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        quoted += "\\"
        for shift in [6, 3, 0] { quoted.unicodeScalars.append(Unicode.Scalar(48 + byte >> UInt8(shift) & 7)) }
      }
    }
    return quoted + "\""
  }

  private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 127 { return scalar.value >= 32 && scalar != "\"" && scalar != "\\" }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return false
    default: return true
    }
  }

  /// What `words` has put in quotes; nil where the text is no such thing.
  public init?(quoted text: String) {
    let all = Array(text.utf8)
    guard all.count >= 2, all.first == UInt8(ascii: "\""), all.last == UInt8(ascii: "\"") else { return nil }
    var rest = all[1..<(all.count - 1)]
    var bytes: [UInt8] = []
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        bytes.append(byte)
        continue
      }
      switch rest.popFirst() {
      case UInt8(ascii: "n"): bytes.append(10)
      case UInt8(ascii: "t"): bytes.append(9)
      case UInt8(ascii: "\""): bytes.append(UInt8(ascii: "\""))
      case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
      case let first? where (48...51).contains(first):
        guard let second = rest.popFirst(), let third = rest.popFirst(), (48...55).contains(second),
          (48...55).contains(third)
        else { return nil }
        bytes.append((first - 48) << 6 | (second - 48) << 3 | (third - 48))
      default: return nil
      }
    }
    self.init(bytes)
  }
}
