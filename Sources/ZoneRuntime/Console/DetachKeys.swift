/// The keys that leave a zone's terminal without ending its command: `ctrl-p,ctrl-q`, Docker's syntax.
public struct DetachKeys: Equatable, Sendable {
  public static let standard = DetachKeys(bytes: [0x10, 0x11])

  let bytes: [UInt8]

  private init(bytes: [UInt8]) { self.bytes = bytes }

  /// Keys separated by commas: a character, or `ctrl-` and one of `a-z @ [ \ ] ^ _`. Empty: no keys detach (nil).
  public static func parse(_ text: String) throws(SyntaxError) -> DetachKeys? {
    if text.isEmpty { return nil }
    var bytes: [UInt8] = []
    for key in text.split(separator: ",", omittingEmptySubsequences: false) {
      let characters = Array(key.utf8)
      if characters.count == 1 {
        bytes.append(characters[0])
      } else if key.lowercased().hasPrefix("ctrl-"), characters.count == 6, let control = control(characters[5]) {
        bytes.append(control)
      } else {
        throw SyntaxError(
          what: "detach-keys", value: text,
          why: "'\(key)' is neither a character nor ctrl-a to ctrl-z (or ctrl-@ [ \\ ] ^ _)")
      }
    }
    return DetachKeys(bytes: bytes)
  }

  private static func control(_ key: UInt8) -> UInt8? {
    switch key {
    case 0x40...0x5f: key - 0x40  // @ A-Z [ \ ] ^ _
    case 0x61...0x7a: key - 0x60
    default: nil
    }
  }
}

/// Looks for the detach keys in a stream that comes in arbitrary pieces.
struct DetachMatcher {
  let keys: [UInt8]
  /// The beginning of the keys that has been typed and is held back until it is clear what it was.
  private var held = 0

  init(_ keys: DetachKeys?) { self.keys = keys?.bytes ?? [] }

  /// Appends to `output` what was no part of the keys.
  /// - Returns: true where the keys are complete; what came after them is dropped.
  mutating func feed(_ input: some Sequence<UInt8>, into output: inout ByteQueue) -> Bool {
    guard !keys.isEmpty else {
      output.append(input)
      return false
    }
    for byte in input {
      var typed = Array(keys[0..<held]) + [byte]
      // The longest end of what was typed that is a beginning of the keys.
      while !keys.starts(with: typed) {
        output.append(CollectionOfOne(typed.removeFirst()))
      }
      held = typed.count
      if held == keys.count {
        held = 0
        return true
      }
    }
    return false
  }

  /// What is held back, at the end of the input.
  mutating func flush(into output: inout ByteQueue) {
    output.append(keys[0..<held])
    held = 0
  }
}

/// Bytes on their way: appended at the end, taken from the front.
struct ByteQueue {
  private var bytes: [UInt8] = []
  private var head = 0

  var count: Int { bytes.count - head }
  var isEmpty: Bool { head == bytes.count }

  mutating func append(_ more: some Sequence<UInt8>) {
    if isEmpty { removeAll() }
    bytes.append(contentsOf: more)
  }

  mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    head = 0
  }

  mutating func drop(_ count: Int) {
    head += count
    if head == bytes.count {
      removeAll()
    } else if head > 1 << 16 {
      bytes.removeFirst(head)
      head = 0
    }
  }

  /// At most `most` bytes from the front, for a call that takes some of them.
  func withFront<Result>(_ most: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[head..<min(head + most, $0.count)])) }
  }
}
