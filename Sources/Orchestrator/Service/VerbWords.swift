internal import CommandLineTable
internal import Foundation
internal import ZoneRuntime

/// A verb of two words, which is one row of zonectl's table: what may follow each second word.
struct VerbWords {
  struct Word {
    let name: String
    /// How many words follow it.
    let count: ClosedRange<Int>
    let grammar: String
    let options: [ZonectlOption]

    init(_ name: String, _ count: ClosedRange<Int>, _ grammar: String, _ options: [ZonectlOption]) {
      self.name = name
      self.count = count
      self.grammar = grammar
      self.options = options
    }
  }

  private let verb: String
  private let words: [Word]

  init(_ verb: String, _ words: [Word]) {
    self.verb = verb
    self.words = words
  }

  /// - Returns: the words behind the second.
  func checked(_ invocation: Invocation) throws(ZoneError) -> [String] {
    let (name, rest) = (invocation.operands[0], Array(invocation.operands.dropFirst()))
    guard let word = words.first(where: { $0.name == name }) else {
      throw .commandLine("\(verb): '\(shortened(name))' is not one of \(words.map { $0.name }.joined(separator: ", "))")
    }
    for setting in invocation.settings where setting.option != ZonectlOption.root.rawValue {
      guard !word.options.contains(where: { $0.rawValue == setting.option }) else { continue }
      let others = words.filter { $0.options.contains { $0.rawValue == setting.option } }.map { "\(verb) \($0.name)" }
      throw .commandLine("\(verb) \(name): --\(setting.option) is of \(others.joined(separator: " and "))")
    }
    guard word.count.contains(rest.count) else { throw .commandLine("it is: \(verb) \(word.grammar)") }
    return rest
  }
}

extension Invocation {
  /// `--label KEY=VALUE`, each.
  func labels() throws(ZoneError) -> [String: String] {
    var labels: [String: String] = [:]
    for text in values(.label) {
      guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
        throw .commandLine("label '\(shortened(text))': it is KEY=VALUE")
      }
      labels[String(text[..<equals])] = String(text[text.index(after: equals)...])
    }
    return labels
  }
}
