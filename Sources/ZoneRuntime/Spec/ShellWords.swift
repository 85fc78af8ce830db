/// A command in one line: words as a POSIX shell splits them (XCU 2.2, quoting), with nothing expanded.
public enum ShellWords {
  /// - Throws: where a quote is not closed or a backslash stands last.
  public static func split(_ text: String) throws(SyntaxError) -> [String] {
    var words: [String] = []
    var word: [UInt8]?
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"):
        if let finished = word { words.append(String(decoding: finished, as: UTF8.self)) }
        word = nil
      case UInt8(ascii: "'"):
        word = word ?? []
        guard let end = rest.firstIndex(of: byte) else { throw unfinished(text, "a ' is not closed") }
        word! += rest[..<end]
        rest = rest[(end + 1)...]
      case UInt8(ascii: "\""):
        word = word ?? []
        while true {
          guard let inner = rest.popFirst() else { throw unfinished(text, "a \" is not closed") }
          if inner == byte { break }
          if inner == UInt8(ascii: "\\"), let next = rest.first, "\"\\$`".utf8.contains(next) {
            word!.append(next)
            rest.removeFirst()
          } else {
            word!.append(inner)
          }
        }
      case UInt8(ascii: "\\"):
        guard let next = rest.popFirst() else { throw unfinished(text, "nothing follows the last \\") }
        word = (word ?? []) + [next]
      default: word = (word ?? []) + [byte]
      }
    }
    if let word { words.append(String(decoding: word, as: UTF8.self)) }
    return words
  }

  /// The line that `split` reads as these words.
  public static func join(_ words: [String]) -> String { words.map(quote).joined(separator: " ") }

  private static func quote(_ word: String) -> String {
    let plain = { (byte: UInt8) in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte >= 128
        || "_-./:=,@%+^".utf8.contains(byte)
    }
    if !word.isEmpty && word.utf8.allSatisfy(plain) { return word }
    return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }

  private static func unfinished(_ text: String, _ why: String) -> SyntaxError {
    SyntaxError(what: "command", value: text, why: why)
  }
}
