internal import LinuxNS
internal import ResourceControl

/// `linux.cgroupsPath` as systemd's users write it, `SLICE:PREFIX:NAME` (runc's and crun's rules): the unit that is the
/// container's group.
struct ContainerUnit: Equatable, Sendable {
  /// `PREFIX-NAME.scope`, or NAME where that is a slice's.
  var name: String
  var slice: String
  /// The unit's group below that of its manager.
  var group: String

  var isSlice: Bool { name.hasSuffix(".slice") }

  /// - Parameters:
  ///   - path: nil: `:zone-oci:ID`.
  ///   - ofUser: an ordinary user's manager is to have it.
  static func parse(_ path: String?, id: String, ofUser: Bool) throws(ZoneError) -> ContainerUnit {
    let text = path ?? ":zone-oci:\(ContainerFiles.name(of: id))"
    func refused(_ why: String) -> ZoneError { .refused("config.json: linux.cgroupsPath: '\(text)': \(why)") }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3, !parts[2].isEmpty else {
      throw refused("with --systemd-cgroup it is SLICE:PREFIX:NAME, 'system.slice:box:1' say")
    }
    let slice = parts[0].isEmpty ? (ofUser ? "user.slice" : "system.slice") : parts[0]
    guard let above = nested(slice) else { throw refused("'\(slice)' is no name of a slice, 'a-b.slice' say") }
    guard !parts[1].utf8.contains(slash), !parts[2].utf8.contains(slash) else {
      throw refused("a unit's name has no '/'")
    }
    if parts[2].hasSuffix(".slice") {
      // A slice lies where its name says; runc would write where systemd has made nothing.
      guard let group = nested(parts[2]), group != "" else {
        throw refused("'\(parts[2])' is no name of a slice, 'a-b.slice' say")
      }
      guard parts[0].isEmpty || "\(above)/\(parts[2])" == group else {
        throw refused("the slice \(parts[2]) lies in \(FileSystem.parent(of: group)) by its name, not in \(slice)")
      }
      return ContainerUnit(name: parts[2], slice: slice, group: group)
    }
    let name = "\(escaped(parts[1]))-\(escaped(parts[2])).scope"
    // UNIT_NAME_MAX
    guard name.utf8.count < 256 else { throw refused("the unit's name would be longer than 255 bytes: \(name)") }
    return ContainerUnit(name: name, slice: slice, group: "\(above)/\(name)")
  }

  private static let slash = UInt8(ascii: "/")

  /// Where a slice lies (systemd.slice(5)): `a-b.slice` in `a.slice`, and `-.slice` is the top. nil: no name of one.
  static func nested(_ slice: String) -> String? {
    guard slice.hasSuffix(".slice"), slice.utf8.count < 256, slice.utf8.allSatisfy(isPlain) else { return nil }
    let name = slice.dropLast(6)
    if name == "-" { return "" }
    var (path, above) = ("", "")
    for part in name.split(separator: "-", omittingEmptySubsequences: false) {
      guard !part.isEmpty else { return nil }
      path += "/\(above)\(part).slice"
      above += "\(part)-"
    }
    return path
  }

  /// What a name may have (systemd.unit(5)); a backslash begins what was escaped already.
  private static func isPlain(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
      || [UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "\\")].contains(byte)
  }

  /// As systemd-escape(1): ids have a `+`, which a unit's name has not. An `@` would make it a template's instance.
  static func escaped(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if isPlain(byte) {
        bytes.append(byte)
      } else {
        bytes += Array("\\x\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension SystemdProperty {
  /// Of annotations `org.systemd.property.NAME: VALUE`, whose value is a GVariant's text (runc, docs/systemd.md).
  static func of(_ annotations: [(key: String, value: String)]) throws(ZoneError) -> [SystemdProperty] {
    let beginning = "org.systemd.property."
    var found: [SystemdProperty] = []
    for (key, text) in annotations where key.hasPrefix(beginning) {
      func refused(_ why: String) -> ZoneError { .refused("config.json: annotations: \(key): \(why)") }
      var name = String(key.dropFirst(beginning.utf8.count))
      guard name.utf8.count >= 3, name.utf8.allSatisfy({ (65...90).contains($0 & 0xdf) }) else {
        throw refused("'\(name)' is no name of a property: it is 3 or more letters")
      }
      guard var value = VariantText.parse(text) else {
        throw refused("'\(text)' is no value such as 'text', true, 5, uint64 5 or ['a', 'b']")
      }
      // As in unit files: on the bus times are microseconds.
      if name.hasSuffix("Sec"), let last = name.utf8.dropLast(3).last, (97...122).contains(last) {
        guard let microseconds = value.microseconds else { throw refused("'\(text)' is no number of seconds") }
        value = VariantText.Value(signature: "t", words: ["\(microseconds)"])
        name = "\(name.dropLast(3))USec"
      }
      found.append(SystemdProperty(name, value.signature, value.words))
    }
    return found
  }
}
