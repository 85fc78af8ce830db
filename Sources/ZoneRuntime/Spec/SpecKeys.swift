internal import VirtualNet

/// One setting of a zone by the name of its option: how `create` and `set` write it and `show` reads it.
public struct SpecKey: Sendable {
  public typealias Read<Value> = @Sendable (ZoneSpec) -> Value
  /// nil or nothing takes the setting away.
  public typealias Write<Value> = @Sendable (inout ZoneSpec, Value) throws(SyntaxError) -> Void

  public enum Access: Sendable {
    case value(Read<String?>, Write<String?>)
    /// - commas: parts may also be separated by commas in one text.
    case list(Read<[String]>, Write<[String]>, commas: Bool)
    /// `KEY.NAME=VALUE`; as an option `--KEY NAME=VALUE`.
    case map(
      Read<[String: String]>, @Sendable (inout ZoneSpec, _ name: String, _ value: String?) throws(SyntaxError) -> Void)
  }

  /// When a change of a live zone takes effect.
  public enum Effect: Equatable, Sendable {
    case live
    /// At the next start.
    case restart
    /// Never, once the zone was created; why.
    case refused(String)
  }

  public let name: String
  public let effect: Effect
  public let access: Access

  init(_ name: String, _ effect: Effect, _ access: Access) {
    self.name = name
    self.effect = effect
    self.access = access
  }

  /// The texts that write this setting again, without the key: lists and maps have several.
  public func texts(_ spec: ZoneSpec) -> [String] {
    switch access {
    case .value(let read, _): read(spec).map { [$0] } ?? []
    case .list(let read, _, _): read(spec)
    case .map(let read, _): read(spec).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }
  }

  /// Writes the values of the option, in their order: the last one, the whole list, or every entry.
  public func write(options: [String], into spec: inout ZoneSpec) throws(SyntaxError) {
    switch access {
    case .value(_, let write): try write(&spec, options.last)
    case .list(_, let write, let commas): try write(&spec, commas ? options.flatMap(SpecKey.parts) : options)
    case .map(_, let write):
      for option in options {
        guard let equals = option.utf8.firstIndex(of: UInt8(ascii: "=")) else {
          throw SyntaxError(what: name, value: option, why: "write NAME=VALUE")
        }
        try write(&spec, String(option[..<equals]), String(option[option.utf8.index(after: equals)...]))
      }
    }
  }

  static func parts(_ text: String) -> [String] {
    text.split(separator: ",").map(String.init)
  }
}

public enum SpecKeys {
  /// The key of that name; `env` of `env.MODE`.
  public static func find(_ name: String) -> SpecKey? {
    table.first { $0.name == name }
  }

  /// Applies `KEY=VALUE` words in order; `KEY=` takes the setting away. Lists are replaced: by the parts of one word, or
  /// of all words with that key.
  /// - Returns: the keys that were named, each once, as they were spelled (`env.MODE`).
  /// - Throws: for the first word that cannot be taken; `spec` may then be half changed.
  public static func apply(_ words: [String], to spec: inout ZoneSpec) throws(SyntaxError) -> [String] {
    var named: [String] = []
    var lists: [(key: SpecKey, values: [String])] = []
    for word in words {
      guard let equals = word.utf8.firstIndex(of: UInt8(ascii: "=")), equals != word.startIndex else {
        throw SyntaxError(what: "setting", value: word, why: "write KEY=VALUE, memory=512M say")
      }
      let name = String(word[..<equals])
      let value = String(word[word.utf8.index(after: equals)...])
      if !named.contains(name) { named.append(name) }
      let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
      guard let key = find(parts.first ?? name), parts.count == 1 || isMap(key) else { throw unknown(name) }
      switch key.access {
      case .value(_, let write): try write(&spec, value.isEmpty ? nil : value)
      case .list(_, _, let commas):
        let new = value.isEmpty ? [] : commas ? SpecKey.parts(value) : [value]
        if let at = lists.firstIndex(where: { $0.key.name == key.name }) {
          lists[at].values += new
        } else {
          lists.append((key, new))
        }
      case .map(_, let write):
        guard parts.count == 2 else {
          throw SyntaxError(what: "setting", value: word, why: "write \(key.name).NAME=VALUE")
        }
        try write(&spec, parts[1], value.isEmpty ? nil : value)
      }
    }
    for (key, values) in lists {
      guard case .list(_, let write, _) = key.access else { continue }
      try write(&spec, values)
    }
    return named
  }

  /// The keys whose settings differ.
  public static func changed(from old: ZoneSpec, to new: ZoneSpec) -> [SpecKey] {
    table.filter { $0.texts(old) != $0.texts(new) }
  }

  private static func isMap(_ key: SpecKey) -> Bool { if case .map = key.access { true } else { false } }

  private static func unknown(_ name: String) -> SyntaxError {
    let names = table.map { isMap($0) ? "\($0.name).NAME" : $0.name }
    return SyntaxError(what: "setting", value: name, why: "no such setting\(suggestion(for: name, in: names))")
  }
}
