/// A command line that cannot be taken; exit status 2.
public enum UsageError: Error, Equatable, Sendable, CustomStringConvertible {
  case unknownVerb(String, nearest: String?)
  /// - Parameter owner: another verb that takes it, where none of this verb's is near.
  case unknownOption(String, verb: String?, nearest: String?, owner: String?)
  case missingValue(option: String, metavar: String)
  case unwantedValue(option: String, value: String)
  case missingOperand(String, verb: String, grammar: String)
  case unwantedOperand(String, verb: String, grammar: String)
  case missingVerb
  /// A value that its verb refused, in the verb's words.
  case refused(String)

  public var description: String {
    switch self {
    case .unknownVerb(let verb, let nearest):
      "unknown verb '\(verb)'; " + (nearest.map { "did you mean \($0)?" } ?? "try --help")
    case .unknownOption(let option, let verb, let nearest, let owner):
      "unknown option '\(option)'" + (verb.map { " for \($0)" } ?? " before a verb")
        + "; "
        + (nearest.map { "did you mean \($0)?" } ?? owner.map { "it belongs to \($0)" }
          ?? (verb.map { "try \($0) --help" } ?? "try --help"))
    case .missingValue(let option, let metavar): "option '\(option)' wants a value: \(option) \(metavar)"
    case .unwantedValue(let option, let value): "option '\(option)' takes no value, not '\(value)'"
    case .missingOperand(let operand, let verb, let grammar): "\(verb) wants \(operand): \(verb) \(grammar)"
    case .unwantedOperand(let word, let verb, let grammar): "unexpected '\(word)' for \(verb): \(verb) \(grammar)"
    case .missingVerb: "no verb given; try --help"
    case .refused(let text): text
    }
  }
}

/// The word a person most likely meant.
public enum Nearest {
  /// The candidate at the least distance, if that is small for the word's length; else one that begins with the word.
  public static func of(_ word: String, among candidates: some Sequence<String>) -> String? {
    let most = max(1, (word.utf8.count + 1) / 3)
    var best: (word: String, distance: Int)?
    for candidate in candidates {
      let distance = distance(Array(word.utf8), Array(candidate.utf8))
      if distance <= most && distance < (best?.distance ?? Int.max) { best = (candidate, distance) }
    }
    return best?.word ?? (word.utf8.count > 1 ? candidates.first { $0.hasPrefix(word) } : nil)
  }

  /// Edits between two words: insert, delete, replace, and exchange of neighbours count one each
  /// (optimal string alignment).
  static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
    var beforeLast = [Int](repeating: 0, count: b.count + 1)
    var last = Array(0...b.count)
    for i in 1...a.count {
      var row = [i] + [Int](repeating: 0, count: b.count)
      for j in 1...b.count {
        let same = a[i - 1] == b[j - 1]
        row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1))
        if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
          row[j] = min(row[j], beforeLast[j - 2] + 1)
        }
      }
      beforeLast = last
      last = row
    }
    return last[b.count]
  }
}
