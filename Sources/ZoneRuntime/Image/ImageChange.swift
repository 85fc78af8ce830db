/// One `--change` of commit: what of an image's configuration is said anew, in the words of a Dockerfile.
public enum ImageChange: Equatable, Sendable {
  case command([String])
  case entrypoint([String])
  /// `NAME=value`
  case environment(String)
  /// `8080/tcp`
  case port(String)
  case label(name: String, value: String)
  case stopSignal(String)
  case user(String)
  /// An absolute path.
  case volume(String)
  case workdir(String)

  private static let words = [
    "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
  ]

  /// - Parameter text: `WORD value`, or `WORD=value`. Commands are a list of JSON, or one text for /bin/sh.
  public init(parsing text: String) throws(SyntaxError) {
    let refuse = { (why: String) in SyntaxError(what: "change", value: shortened(text), why: why) }
    guard let end = text.utf8.firstIndex(where: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "=") }) else {
      throw refuse("it is WORD=value, with WORD one of \(Self.words.joined(separator: ", "))")
    }
    let word = String(text[..<end]).uppercased()
    let value = Self.trimmed(text[text.utf8.index(after: end)...])
    guard Self.words.contains(word) else {
      throw refuse("'\(shortened(word))' is not one of \(Self.words.joined(separator: ", "))")
    }
    guard !value.isEmpty || word == "CMD" || word == "ENTRYPOINT" || word == "USER" else {
      throw refuse("\(word) wants a value")
    }
    let absolute = { () throws(SyntaxError) -> String in
      guard value.hasPrefix("/") else { throw refuse("\(word) wants an absolute path") }
      return value
    }
    switch word {
    case "CMD": self = .command(try Self.command(value, refuse))
    case "ENTRYPOINT": self = .entrypoint(try Self.command(value, refuse))
    case "ENV": self = .environment(try Self.pair(value, refuse).joined(separator: "="))
    case "EXPOSE":
      guard Self.isPort(value) else { throw refuse("EXPOSE wants PORT or PORT/tcp, udp or sctp, from 1 to 65535") }
      self = .port(value.contains("/") ? value : "\(value)/tcp")
    case "LABEL":
      let pair = try Self.pair(value, refuse)
      self = .label(name: pair[0], value: pair[1])
    case "STOPSIGNAL":
      do throws(SyntaxError) { _ = try Signals.number(parsing: value) } catch { throw refuse(error.why) }
      self = .stopSignal(value)
    case "USER": self = .user(value)
    case "VOLUME": self = .volume(try absolute())
    default: self = .workdir(try absolute())
    }
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while text.utf8.first == 32 { text.removeFirst() }
    while text.utf8.last == 32 { text.removeLast() }
    return String(text)
  }

  private static func command(_ value: String, _ refuse: (String) -> SyntaxError) throws(SyntaxError) -> [String] {
    if value.isEmpty { return [] }
    guard value.hasPrefix("[") else { return ["/bin/sh", "-c", value] }
    do throws(JSONError) { return try JSON.decode([String].self, from: Array(value.utf8), name: "command") } catch {
      throw refuse("a list of words is [\"word\", …]")
    }
  }

  /// `name=value`, or `name value`.
  private static func pair(_ value: String, _ refuse: (String) -> SyntaxError) throws(SyntaxError) -> [String] {
    guard let end = value.utf8.firstIndex(where: { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: " ") }),
      end > value.startIndex
    else { throw refuse("it wants NAME=value") }
    return [String(value[..<end]), String(value[value.utf8.index(after: end)...])]
  }

  private static func isPort(_ value: String) -> Bool {
    let parts = value.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let port = UInt16(parts[0]), port > 0, parts[0].utf8.allSatisfy({ (48...57).contains($0) })
    else { return false }
    return parts.count == 1 || ["tcp", "udp", "sctp"].contains(parts[1])
  }
}

extension ImageExecution {
  /// With what is said anew. A new entrypoint forgets the image's command, which was a word to another (as Docker has it);
  /// one that is said beside it stays.
  public func changed(by changes: [ImageChange]) -> ImageExecution {
    var next = self
    let saysCommand = changes.contains { if case .command = $0 { true } else { false } }
    for change in changes {
      switch change {
      case .command(let words): next.command = words
      case .entrypoint(let words):
        next.entrypoint = words
        if !saysCommand { next.command = nil }
      case .environment(let entry):
        let name = entry.prefix { $0 != "=" }
        next.environment = (next.environment ?? []).filter { $0.prefix { $0 != "=" } != name } + [entry]
      case .port(let port): next.exposedPorts = Self.adding(port, to: next.exposedPorts)
      case .label(let name, let value):
        var labels = next.labels ?? [:]
        labels[name] = value
        next.labels = labels
      case .stopSignal(let signal): next.stopSignal = signal
      case .user(let user): next.user = user
      case .volume(let path): next.volumes = Self.adding(path, to: next.volumes)
      case .workdir(let path): next.workdir = path
      }
    }
    return next
  }

  private static func adding(_ key: String, to set: JSONKeySet?) -> JSONKeySet {
    let keys = set?.keys ?? []
    return JSONKeySet(keys.contains(key) ? keys : keys + [key])
  }
}
