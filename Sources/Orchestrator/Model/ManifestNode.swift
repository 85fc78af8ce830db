internal import Foundation
internal import Yams
internal import ZoneRuntime

/// A value of the manifest with the name it stands under, so that whatever is wrong can be told with its place.
struct ManifestNode {
  let node: Node
  /// The field, in the words of the file: `deploy.replicas`.
  let name: String
  let file: String

  func problem(_ why: String) -> ManifestProblem {
    ManifestProblem(file: file, line: node.mark?.line ?? 1, column: node.mark?.column ?? 1, why: why)
  }

  private func wrong(_ wanted: String) -> ManifestProblem { problem("\(name) wants \(wanted), not \(described)") }

  private var described: String {
    switch node {
    case .mapping: "a map"
    case .sequence: "a list"
    case .scalar(let scalar):
      switch kind {
      case .null: "nothing"
      case .text: "the text '\(scalar.string)'"
      case .bool: "\(scalar.string)"
      case .number: "the number \(scalar.string)"
      }
    case .alias: "an alias"
    }
  }

  // MARK: scalars

  private enum Kind { case text, number, bool, null }

  /// YAML 1.2's core schema for plain scalars (section 10.3.2): 1.1's `yes`, `on` and base-60 numbers are text.
  private var kind: Kind {
    guard let scalar = node.scalar, scalar.style == .plain || scalar.style == .any else { return .text }
    switch scalar.string {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE", "false", "False", "FALSE": return .bool
    default:
      let isNumber = scalar.string.utf8.allSatisfy { (48...57).contains($0) || [43, 45, 46, 69, 101].contains($0) }
      return isNumber && Double(scalar.string) != nil ? .number : .text
    }
  }

  var isNull: Bool { node.scalar != nil && kind == .null }
  var isMap: Bool { node.mapping != nil }
  var isList: Bool { node.sequence != nil }
  var isScalar: Bool { node.scalar != nil && kind != .null }

  /// Text; numbers and true/false must be quoted to be one.
  func text() throws(ManifestProblem) -> String {
    guard let scalar = node.scalar else { throw wrong("text") }
    switch kind {
    case .text: return scalar.string
    case .number, .bool: throw problem("\(name) wants text, not \(described) (quote it)")
    case .null: throw wrong("text")
    }
  }

  /// Text or a number as it stands.
  func textOrNumber() throws(ManifestProblem) -> String {
    guard let scalar = node.scalar, kind == .text || kind == .number else { throw wrong("text or a number") }
    return scalar.string
  }

  /// Any scalar as text; nil for nothing.
  func scalarText() throws(ManifestProblem) -> String? {
    guard let scalar = node.scalar else { throw wrong("text, a number, true or false") }
    return kind == .null ? nil : scalar.string
  }

  func bool() throws(ManifestProblem) -> Bool {
    guard let scalar = node.scalar, kind == .bool else { throw wrong("true or false") }
    return scalar.string.lowercased() == "true"
  }

  func whole(_ range: ClosedRange<Int64>) throws(ManifestProblem) -> Int64 {
    guard let scalar = node.scalar, kind == .number, let value = Int64(scalar.string) else {
      throw wrong("a whole number")
    }
    guard range.contains(value) else {
      throw problem("\(name) is \(value), outside of \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// A number, quoted or not: Compose writes `cpus: '0.50'`.
  func number(_ range: ClosedRange<Double>) throws(ManifestProblem) -> Double {
    guard let text = node.scalar?.string, let value = Double(text), value.isFinite else { throw wrong("a number") }
    guard range.contains(value) else {
      throw problem("\(name) is \(text), outside of \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// A span of time, of less than `Units.longest` seconds.
  func seconds() throws(ManifestProblem) -> Double {
    guard let scalar = node.scalar, let value = Units.seconds(scalar.string) else {
      throw wrong("a time such as 30s or 1m30s")
    }
    guard value < Units.longest else {
      throw problem("\(name) is \(scalar.string); it must be shorter than \(Units.text(seconds: Units.longest))")
    }
    return value
  }

  func bytes() throws(ManifestProblem) -> Int64 {
    guard let scalar = node.scalar, kind != .null, let value = Units.bytes(scalar.string) else {
      throw wrong("a size such as 64m or 1g")
    }
    return value
  }

  /// One of the names, and the nearest of them where it is none.
  func choice(_ names: [String]) throws(ManifestProblem) -> String {
    let text = try text()
    guard names.contains(text) else {
      let near = nearest(text, in: names).map { "; did you mean '\($0)'?" } ?? ""
      throw problem("\(name) '\(text)' is not one of \(names.joined(separator: ", "))\(near)")
    }
    return text
  }

  // MARK: collections

  /// The list's entries, each called by its number: `ports[0]`.
  func list() throws(ManifestProblem) -> [ManifestNode] {
    guard let sequence = node.sequence else { throw wrong("a list") }
    return sequence.enumerated().map { ManifestNode(node: $1, name: "\(name)[\($0)]", file: file) }
  }

  func texts() throws(ManifestProblem) -> [String] {
    var texts: [String] = []
    for entry in try list() { texts.append(try entry.text()) }
    return texts
  }

  /// A map's entries in the file's order: the key (for its place) and the value. `<<` merges (YAML 1.1's merge key) are
  /// filled in behind the map's own.
  func entries() throws(ManifestProblem) -> [(key: ManifestNode, value: ManifestNode)] {
    guard let mapping = node.mapping else { throw wrong("a map") }
    var entries: [(key: ManifestNode, value: ManifestNode)] = []
    var merged: [(key: ManifestNode, value: ManifestNode)] = []
    for (key, value) in mapping {
      let keyNode = ManifestNode(node: key, name: name, file: file)
      guard let text = key.scalar?.string else { throw keyNode.problem("a name in \(name) must be text") }
      if text == "<<", key.scalar?.style == .plain {
        let source = ManifestNode(node: value, name: "<<", file: file)
        for map in source.isList ? try source.list() : [source] { merged += try map.entries() }
      } else {
        entries.append((keyNode, ManifestNode(node: value, name: prefix + text, file: file)))
      }
    }
    var seen = Set(entries.map { $0.key.key })
    for entry in merged where seen.insert(entry.key.key).inserted {
      entries.append((entry.key, ManifestNode(node: entry.value.node, name: prefix + entry.key.key, file: file)))
    }
    return entries
  }

  /// The text of a map's key.
  var key: String { node.scalar?.string ?? "" }

  private var prefix: String { name.isEmpty ? "" : name + "." }
}

extension ManifestNode {
  /// Reads the one document of a YAML text.
  static func document(_ yaml: String, file: String) throws(ManifestProblem) -> ManifestNode {
    func problem(_ mark: Mark, _ why: String) -> ManifestProblem {
      ManifestProblem(file: file, line: mark.line, column: mark.column, why: why)
    }
    do {
      guard let node = try Yams.compose(yaml: yaml) else {
        throw ManifestProblem(file: file, line: 1, column: 1, why: "the manifest is empty")
      }
      return ManifestNode(node: node, name: "", file: file)
    } catch let error as ManifestProblem {
      throw error
    } catch YamlError.duplicatedKeysInMapping(let names, let context) {
      let name = names.first ?? ""
      let place = secondKey(name, after: context.mark, in: yaml) ?? (context.mark.line, context.mark.column)
      throw ManifestProblem(
        file: file, line: place.line, column: place.column,
        why: "'\(name)' is there twice, first on line \(context.mark.line)")
    } catch YamlError.scanner(_, let why, let mark, _), YamlError.parser(_, let why, let mark, _),
      YamlError.composer(_, let why, let mark, _)
    {
      throw problem(mark, "not YAML: \(why)")
    } catch {
      throw ManifestProblem(file: file, line: 1, column: 1, why: "not YAML: \("\(error)".prefix { $0 != "\n" })")
    }
  }

  /// Yams tells where a repeated key stands first. In a block map the others stand in the same column.
  private static func secondKey(_ name: String, after first: Mark, in yaml: String) -> (line: Int, column: Int)? {
    let lines = yaml.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated().dropFirst(first.line) {
      let scalars = line.unicodeScalars
      guard scalars.count >= first.column else { continue }
      guard scalars.prefix(first.column - 1).allSatisfy({ $0 == " " }) else { continue }
      let text = String(line).dropFirst(first.column - 1)
      for spelling in [name, "\"\(name)\"", "'\(name)'"] where text.hasPrefix(spelling) {
        let rest = text.dropFirst(spelling.count).drop { $0 == " " }
        if rest.first == ":" { return (index + 1, first.column) }
      }
    }
    return nil
  }
}
