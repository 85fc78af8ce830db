internal import ZoneRuntime

/// `volumes`, short and long (compose-spec, "volumes").
extension VolumeMount {
  /// `SOURCE:TARGET[:ro|rw]`: a path of the host (absolute, or beginning with `.` or `~`) or a declared volume's name.
  static func short(_ entry: ManifestNode, _ reading: ManifestReading) throws(ManifestProblem) -> VolumeMount {
    let text = try entry.text()
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard (2...3).contains(parts.count), !parts[0].isEmpty else {
      throw entry.problem("\(entry.name) '\(text)' wants SOURCE:TARGET[:ro], data:/var/lib/data say")
    }
    var mount = VolumeMount(source: source(parts[0], reading), target: parts[1])
    if parts.count == 3 {
      guard parts[2] == "ro" || parts[2] == "rw" else {
        throw entry.problem("\(entry.name) '\(text)': '\(parts[2])' is not ro or rw")
      }
      mount.readOnly = parts[2] == "ro"
    }
    try mount.check(entry)
    return mount
  }

  /// The long form's fields before they are put together.
  struct Long {
    var type: String?
    var source: String?
    var target: String?
    var readOnly = false
    var size: Int64?
  }

  static let long = FieldTable<Long>(
    "a volume mount",
    [
      Field("type", "bind, volume or tmpfs", "what is mounted") { (node, mount, _) throws(ManifestProblem) in
        mount.type = try node.choice(["bind", "volume", "tmpfs"])
      },
      Field("source", "path or name", "a path of the host or a declared volume") {
        (node, mount, _) throws(ManifestProblem) in
        mount.source = try node.text()
      },
      Field("target", "path", "the path inside") { (node, mount, _) throws(ManifestProblem) in
        mount.target = try node.text()
      },
      Field("read_only", "true or false", "mounted read-only") { (node, mount, _) throws(ManifestProblem) in
        mount.readOnly = try node.bool()
      },
      Field("tmpfs", "map: size", "how large the tmpfs may grow") { (node, mount, _) throws(ManifestProblem) in
        for (key, value) in try node.entries() {
          guard key.key == "size" else {
            throw key.problem("tmpfs has no field '\(key.key)'\(hint(for: key.key, in: ["size"]))")
          }
          mount.size = try value.bytes()
        }
      },
    ])

  init(_ long: Long, _ entry: ManifestNode, _ reading: ManifestReading) throws(ManifestProblem) {
    guard let target = long.target else { throw entry.problem("\(entry.name) has no target") }
    let source: Source
    switch (long.type, long.source) {
    case ("tmpfs", nil): source = .tmpfs(size: long.size)
    case ("tmpfs", _): throw entry.problem("\(entry.name): a tmpfs has no source")
    case ("bind", let path?): source = .path(reading.absolute(path))
    case ("volume", let name?): source = .volume(name)
    case (nil, _): throw entry.problem("\(entry.name) has no type; one of bind, volume, tmpfs")
    default: throw entry.problem("\(entry.name) has no source")
    }
    if long.size != nil, long.type != "tmpfs" { throw entry.problem("\(entry.name): only a tmpfs takes a size") }
    self.init(source: source, target: target, readOnly: long.readOnly)
    try check(entry)
  }

  private static func source(_ text: String, _ reading: ManifestReading) -> Source {
    text.hasPrefix("/") || text.hasPrefix(".") || text.hasPrefix("~") ? .path(reading.absolute(text)) : .volume(text)
  }

  private func check(_ entry: ManifestNode) throws(ManifestProblem) {
    guard target.hasPrefix("/"), !target.split(separator: "/").contains("..") else {
      throw entry.problem("\(entry.name): the target '\(target)' must be an absolute path")
    }
  }
}
