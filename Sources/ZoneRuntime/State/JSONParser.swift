internal import Glibc

/// Reads a text (RFC 8259) into a flat list of its values, in their order.
///
/// One list and no tree: a start reads a bundle of some four hundred values and `list` thousands of records, where a piece
/// of memory and an entry of a table for each value cost more than the reading. Stricter than the RFC where it leaves things
/// open: no key twice, no NUL and no invalid UTF-8 in strings, at most 2,048 levels, whole numbers of 64 bits.
struct JSONParser {
  /// A value, or a member's key, which lies before its value.
  struct Entry {
    var kind: JSONNode.Kind
    /// Of a string with escapes: it lies in `unescaped`, from `extra` on.
    var isUnescaped = false
    /// Of an object: its keys go up, byte by byte.
    var isSorted = true
    /// Of a whole number: `extra` is a `UInt64` above `Int64.max`.
    var isLarge = false
    /// Where the next one begins that does not lie in this one.
    var next: UInt32
    /// Of a key or string: its bytes in the text, or how many there are in `unescaped`.
    var start: UInt32
    var length: UInt32
    /// A whole number, a real one's bits, how many a list or object has, 1 for true.
    var extra: UInt64 = 0
  }

  private(set) var entries: [Entry] = []
  private(set) var unescaped: [UInt8] = []

  private struct Open {
    let entry: Int
    /// The key that was read last.
    var key: Int?
  }

  private static let mostLevels = 2048

  private let text: UnsafeBufferPointer<UInt8>
  private var at = 0
  private var open: [Open] = []

  /// - Parameter text: is there as long as this is.
  init(_ text: UnsafeBufferPointer<UInt8>) { self.text = text }

  // MARK: structure

  mutating func read() throws(JSONError) {
    guard text.count < Int(Int32.max) else { throw JSONError(why: "it is longer than 2 GiB") }
    entries.reserveCapacity(text.count / 12 + 4)
    skipSpace()
    while true {
      // A list or object with something in it is complete when that is.
      guard try value() else { continue }
      while let within = open.last {
        entries[within.entry].extra += 1
        skipSpace()
        let isList = entries[within.entry].kind == .array
        let end = isList ? UInt8(ascii: "]") : UInt8(ascii: "}")
        if take(UInt8(ascii: ",")) {
          skipSpace()
          if !isList { try key() }
          break
        }
        guard take(end) else { throw expected(isList ? "',' or ']'" : "',' or '}'") }
        try close()
      }
      guard open.isEmpty else { continue }
      skipSpace()
      guard at == text.count else { throw expected("the end") }
      return
    }
  }

  /// - Returns: whether it is complete: a list or an object with something in it is only open.
  private mutating func value() throws(JSONError) -> Bool {
    guard at < text.count else { throw expected("a value") }
    switch text[at] {
    case UInt8(ascii: "{"): return try begin(.object, UInt8(ascii: "}"))
    case UInt8(ascii: "["): return try begin(.array, UInt8(ascii: "]"))
    case UInt8(ascii: "\""): try string()
    case UInt8(ascii: "-"), 48...57: try number()
    case UInt8(ascii: "t"): try word("true", .boolean, 1)
    case UInt8(ascii: "f"): try word("false", .boolean, 0)
    case UInt8(ascii: "n"): try word("null", .null, 0)
    default: throw expected("a value")
    }
    return true
  }

  private mutating func begin(_ kind: JSONNode.Kind, _ end: UInt8) throws(JSONError) -> Bool {
    guard open.count < Self.mostLevels else { throw wrong("more than \(Self.mostLevels) levels", at) }
    open.append(Open(entry: entries.count))
    add(kind, start: at, end: at + 1)
    at += 1
    skipSpace()
    if take(end) {
      try close()
      return true
    }
    if kind == .object { try key() }
    return false
  }

  private mutating func close() throws(JSONError) {
    let closed = open.removeLast().entry
    entries[closed].next = UInt32(entries.count)
    if entries[closed].kind == .object, !entries[closed].isSorted { try refuseTwice(closed) }
  }

  private mutating func key() throws(JSONError) {
    guard at < text.count, text[at] == UInt8(ascii: "\"") else { throw expected("a key") }
    let key = entries.count
    try string()
    let object = open[open.count - 1]
    if let last = object.key {
      let order = compare(last, key)
      if order == 0 { throw twice(key) }
      if order > 0 { entries[object.entry].isSorted = false }
    }
    open[open.count - 1].key = key
    skipSpace()
    guard take(UInt8(ascii: ":")) else { throw expected("':'") }
    skipSpace()
  }

  /// Keys that are not in order: sorted, equal ones are neighbours.
  private func refuseTwice(_ object: Int) throws(JSONError) {
    var keys: [Int] = []
    keys.reserveCapacity(Int(entries[object].extra))
    var key = object + 1
    while key < entries[object].next {
      keys.append(key)
      key = Int(entries[key + 1].next)
    }
    keys.sort {
      let order = compare($0, $1)
      return order < 0 || order == 0 && $0 < $1
    }
    for (one, other) in zip(keys, keys.dropFirst()) where compare(one, other) == 0 { throw twice(other) }
  }

  private func compare(_ one: Int, _ other: Int) -> CInt {
    unescaped.withUnsafeBytes {
      Self.compare(
        Self.bytes(of: entries[one], UnsafeRawBufferPointer(text), $0),
        Self.bytes(of: entries[other], UnsafeRawBufferPointer(text), $0))
    }
  }

  /// Below, at or above 0, by bytes.
  static func compare(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> CInt {
    let both = min(one.count, other.count)
    if both > 0, let a = one.baseAddress, let b = other.baseAddress {
      let order = memcmp(a, b, both)
      if order != 0 { return order }
    }
    return one.count < other.count ? -1 : one.count == other.count ? 0 : 1
  }

  /// A string's or key's content.
  static func bytes(
    of entry: Entry, _ text: UnsafeRawBufferPointer, _ unescaped: UnsafeRawBufferPointer
  ) -> UnsafeRawBufferPointer {
    let (place, start) = entry.isUnescaped ? (unescaped, Int(entry.extra)) : (text, Int(entry.start))
    return UnsafeRawBufferPointer(rebasing: place[start..<start + Int(entry.length)])
  }

  private mutating func add(_ kind: JSONNode.Kind, start: Int, end: Int, extra: UInt64 = 0) {
    entries.append(
      Entry(
        kind: kind, next: UInt32(entries.count + 1), start: UInt32(start), length: UInt32(end - start), extra: extra))
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard at < text.count, text[at] == byte else { return false }
    at += 1
    return true
  }

  private mutating func skipSpace() {
    while at < text.count, text[at] == 0x20 || text[at] == 0x0a || text[at] == 0x09 || text[at] == 0x0d { at += 1 }
  }

  private mutating func word(
    _ word: StaticString, _ kind: JSONNode.Kind, _ extra: UInt64
  ) throws(JSONError) {
    let count = word.utf8CodeUnitCount
    guard text.count - at >= count, let here = text.baseAddress, memcmp(here + at, word.utf8Start, count) == 0 else {
      throw wrong("expected a value, found a word that is none of true, false and null", at)
    }
    add(kind, start: at, end: at + count, extra: extra)
    at += count
  }

  // MARK: numbers

  private mutating func number() throws(JSONError) {
    let start = at
    let isNegative = take(UInt8(ascii: "-"))
    let first = at
    var value: UInt64 = 0
    var fits = true
    while at < text.count, (48...57).contains(text[at]) {
      let (tens, tooMany) = value.multipliedReportingOverflow(by: 10)
      let (sum, carried) = tens.addingReportingOverflow(UInt64(text[at] - 48))
      if tooMany || carried { fits = false }
      value = sum
      at += 1
    }
    guard at > first else { throw expected("a digit") }
    guard at == first + 1 || text[first] != 48 else { throw wrong("a number begins with 0", start) }
    if at < text.count, text[at] == UInt8(ascii: ".") || text[at] | 0x20 == UInt8(ascii: "e") {
      return try real(from: start)
    }
    guard fits, !isNegative || value <= UInt64(Int64.max) + 1 else {
      throw wrong("a whole number that 64 bits do not hold", start)
    }
    add(.integer, start: start, end: at, extra: isNegative ? 0 &- value : value)
    entries[entries.count - 1].isLarge = !isNegative && value > UInt64(Int64.max)
  }

  private mutating func real(from start: Int) throws(JSONError) {
    if take(UInt8(ascii: ".")) { try digits() }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits()
    }
    // No program of ours sets a locale, so its point is a point.
    var digits = Array(text[start..<at])
    digits.append(0)
    let value = digits.withUnsafeBytes { strtod($0.baseAddress!.assumingMemoryBound(to: CChar.self), nil) }
    guard value.isFinite else { throw wrong("a number that 64 bits do not hold", start) }
    add(.number, start: start, end: at, extra: value.bitPattern)
  }

  private mutating func digits() throws(JSONError) {
    let first = at
    while at < text.count, (48...57).contains(text[at]) { at += 1 }
    guard at > first else { throw expected("a digit") }
  }

  // MARK: strings

  private mutating func string() throws(JSONError) {
    at += 1
    let start = at
    while at < text.count {
      let byte = text[at]
      if byte == UInt8(ascii: "\"") {
        add(.string, start: start, end: at)
        at += 1
        return
      }
      if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
      // Most of what there is needs no closer look.
      if (0x20...0x7f).contains(byte) { at += 1 } else { try character() }
    }
    throw expected("'\"'")
  }

  /// One that is written as it is: its bytes.
  private mutating func character() throws(JSONError) {
    let byte = text[at]
    if byte < 0x80 {
      guard byte >= 0x20 else { throw wrong("a control character in a string, which JSON has escaped", at) }
      at += 1
      return
    }
    // Table 3-7 of the Unicode standard: what may follow which byte.
    let (more, second): (Int, ClosedRange<UInt8>)
    switch byte {
    case 0xc2...0xdf: (more, second) = (1, 0x80...0xbf)
    case 0xe0: (more, second) = (2, 0xa0...0xbf)
    case 0xed: (more, second) = (2, 0x80...0x9f)
    case 0xe1...0xef: (more, second) = (2, 0x80...0xbf)
    case 0xf0: (more, second) = (3, 0x90...0xbf)
    case 0xf1...0xf3: (more, second) = (3, 0x80...0xbf)
    case 0xf4: (more, second) = (3, 0x80...0x8f)
    default: throw wrong("a byte that is no UTF-8", at)
    }
    guard text.count - at > more, second.contains(text[at + 1]),
      more < 2 || (0x80...0xbf).contains(text[at + 2]), more < 3 || (0x80...0xbf).contains(text[at + 3])
    else { throw wrong("a byte that is no UTF-8", at) }
    at += more + 1
  }

  private mutating func escapedString(from start: Int) throws(JSONError) {
    let place = unescaped.count
    unescaped.append(contentsOf: text[start..<at])
    while at < text.count {
      let byte = text[at]
      if byte == UInt8(ascii: "\"") {
        add(.string, start: start, end: start + unescaped.count - place, extra: UInt64(place))
        entries[entries.count - 1].isUnescaped = true
        at += 1
        return
      }
      if byte == UInt8(ascii: "\\") {
        try escape()
      } else {
        let first = at
        try character()
        unescaped.append(contentsOf: text[first..<at])
      }
    }
    throw expected("'\"'")
  }

  private mutating func escape() throws(JSONError) {
    let start = at
    at += 1
    guard at < text.count else { throw expected("an escape") }
    let letter = text[at]
    at += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(letter)
    case UInt8(ascii: "b"): unescaped.append(8)
    case UInt8(ascii: "t"): unescaped.append(9)
    case UInt8(ascii: "n"): unescaped.append(10)
    case UInt8(ascii: "f"): unescaped.append(12)
    case UInt8(ascii: "r"): unescaped.append(13)
    case UInt8(ascii: "u"):
      var number = try fourDigits()
      if (0xd800...0xdbff).contains(number), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
        let low = try fourDigits()
        if (0xdc00...0xdfff).contains(low) { number = 0x10000 + (number - 0xd800) << 10 + (low - 0xdc00) }
      }
      // A half of a pair is none, and a NUL would end the string where it becomes a C string.
      guard number != 0, let scalar = Unicode.Scalar(number) else {
        throw wrong(number == 0 ? "a NUL in a string" : "half of a pair of UTF-16", start)
      }
      unescaped.append(contentsOf: UTF8.encode(scalar)!)
    default: throw wrong("an escape that JSON has not", start)
    }
  }

  private mutating func fourDigits() throws(JSONError) -> UInt32 {
    var number: UInt32 = 0
    for _ in 0..<4 {
      guard at < text.count, let digit = Self.hexDigit(text[at]) else { throw expected("four hexadecimal digits") }
      number = number << 4 | digit
      at += 1
    }
    return number
  }

  private static func hexDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 48...57: UInt32(byte - 48)
    case 65...70: UInt32(byte - 55)
    case 97...102: UInt32(byte - 87)
    default: nil
    }
  }

  // MARK: errors

  /// Of the text a character at most is told: it may be somebody's secret.
  private func expected(_ what: String) -> JSONError {
    let found =
      if at >= text.count {
        "the end"
      } else if (0x21...0x7e).contains(text[at]) {
        "'\(Character(Unicode.Scalar(text[at])))'"
      } else {
        "byte \(text[at])"
      }
    return wrong("expected \(what), found \(found)", at)
  }

  private func twice(_ key: Int) -> JSONError {
    wrong("a key is there twice", Int(entries[key].start))
  }

  private func wrong(_ why: String, _ place: Int) -> JSONError {
    var (line, column) = (1, 1)
    for byte in text[..<min(place, text.count)] {
      if byte == 0x0a {
        (line, column) = (line + 1, 1)
      } else if byte & 0xc0 != 0x80 {
        column += 1
      }
    }
    return JSONError(position: .syntax(line: line, column: column), why: why)
  }
}
