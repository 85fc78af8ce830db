internal import LinuxNS
internal import ZoneRuntime

/// Shapes of values that several fields share.
extension ManifestNode {
  /// A value that the runtime's own spelling parses.
  func parsed<Value>(_ parse: (String) throws(SyntaxError) -> Value) throws(ManifestProblem) -> Value {
    let text = try text()
    do { return try parse(text) } catch { throw problem("\(name) '\(error.value)': \(error.why)") }
  }

  func has(_ key: String) throws(ManifestProblem) -> Bool { try entries().contains { $0.key.key == key } }

  /// Text, split into words, or a list.
  func commandLine() throws(ManifestProblem) -> [String] {
    var words: [String]
    if isList {
      words = []
      for entry in try list() { words.append(try entry.scalarText() ?? "") }
    } else {
      guard let split = Units.words(try text()) else { throw problem("\(name) has a quote that is not closed") }
      words = split
    }
    guard !words.isEmpty, !words[0].isEmpty else { throw problem("\(name) names no program") }
    if words.contains(where: { $0.utf8.contains(0) }) { throw problem("\(name) holds a zero byte") }
    return words
  }

  /// A map or a list of NAME[=VALUE].
  func pairs() throws(ManifestProblem) -> [(name: String, value: String?, place: ManifestNode)] {
    var pairs: [(name: String, value: String?, place: ManifestNode)] = []
    if isList {
      for entry in try list() {
        let parts = try entry.text().split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
          String.init)
        if pairs.contains(where: { $0.name == parts[0] }) {
          throw entry.problem("'\(parts[0])' is there twice in \(name)")
        }
        pairs.append((parts[0], parts.count == 2 ? parts[1] : nil, entry))
      }
    } else {
      for (key, value) in try entries() { pairs.append((key.key, try value.scalarText(), key)) }
    }
    return pairs
  }

  func labels() throws(ManifestProblem) -> [String: String] {
    Dictionary(uniqueKeysWithValues: try pairs().map { ($0.name, $0.value ?? "") })
  }

  func variables(_ outer: [String: String]) throws(ManifestProblem) -> [String: String] {
    var variables: [String: String] = [:]
    for (name, value, place) in try pairs() {
      guard !name.isEmpty, !name.contains("="), !name.utf8.contains(0), value?.utf8.contains(0) != true else {
        throw place.problem("'\(name)' cannot be a variable's name")
      }
      variables[name] = value ?? outer[name]
    }
    return variables
  }

  /// Lines of NAME=VALUE, `#` comments and empty lines; one pair of quotes around a value is taken off.
  func environmentFile(_ reading: ManifestReading) throws(ManifestProblem) -> [String: String] {
    let path = reading.absolute(try text())
    let bytes = try contents(of: path, reading)
    var variables: [String: String] = [:]
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      let line = line.drop { $0 == " " || $0 == "\t" }
      if line.isEmpty || line.hasPrefix("#") || line == "\r" { continue }
      guard let equals = line.firstIndex(of: "="), equals != line.startIndex else {
        throw problem("\(path):\(index + 1): not NAME=VALUE")
      }
      var value = line[line.index(after: equals)...]
      if value.hasSuffix("\r") { value = value.dropLast() }
      for quote in ["\"", "'"] where value.count >= 2 && value.hasPrefix(quote) && value.hasSuffix(quote) {
        value = value.dropFirst().dropLast()
        break
      }
      variables[String(line[..<equals])] = String(value)
    }
    return variables
  }

  func contents(of path: String, _ reading: ManifestReading) throws(ManifestProblem) -> [UInt8] {
    do { return try reading.readFile(path) } catch let error as SyscallError {
      throw problem("cannot read \(path): \(SyscallError.describe(error.errno))")
    } catch { throw problem("cannot read \(path): \(error)") }
  }

  /// A signal as signal(7) names it, with or without SIG, or its number.
  func signalName() throws(ManifestProblem) -> String {
    let text = try textOrNumber()
    do { return Signals.name(try Signals.number(parsing: text)) } catch {
      throw problem("\(name) '\(text)': \(error.why)")
    }
  }
}

extension ServiceSecret {
  static let table = FieldTable<ServiceSecret>(
    "a service's secret",
    [
      Field("source", "text", "the secret's name below `secrets`") { (node, secret, _) throws(ManifestProblem) in
        secret.source = try node.text()
      },
      Field("target", "text", "the file's name below /run/secrets; the source's without it") {
        (node, secret, _) throws(ManifestProblem) in
        secret.target = try node.text()
      },
      Field("uid", "number", "the file's owner inside; 0 without it") { (node, secret, _) throws(ManifestProblem) in
        guard let uid = UInt32(try node.textOrNumber()), uid < 65536 else {
          throw node.problem("\(node.name) wants a number from 0 to 65535")
        }
        secret.uid = uid
      },
    ])

  static func read(_ entry: ManifestNode, _ reading: inout ManifestReading) throws(ManifestProblem) -> ServiceSecret {
    var secret = ServiceSecret(source: "", target: "")
    if entry.isMap {
      guard try entry.has("source") else { throw entry.problem("\(entry.name) has no source") }
      table.read(entry, into: &secret, &reading)
    } else {
      secret.source = try entry.text()
    }
    if secret.target.isEmpty { secret.target = secret.source }
    // One path component: a target is a name below /run/secrets and leads nowhere else.
    guard !secret.target.contains("/"), secret.target != ".", secret.target != "..", !secret.target.utf8.contains(0)
    else {
      throw entry.problem(
        "\(entry.name): the target '\(secret.target)' must be a file name, it lies below /run/secrets")
    }
    return secret
  }
}
