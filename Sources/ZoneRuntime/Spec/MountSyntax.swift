internal import ResourceControl

/// What is put into a zone's tree: the spellings of --volume, --tmpfs and --secret.

extension VolumeMount {
  /// `[SOURCE:]TARGET[:ro|rw]`: SOURCE an absolute path of the host or a volume's name.
  /// - Parameter zone: names the volume that a TARGET alone gets, `web-var-data`: the same each time.
  public init(parsing text: String, zone: String) throws(SyntaxError) {
    let refuse = { (why: String) in SyntaxError(what: "volume", value: text, why: why) }
    var parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    var readOnly = false
    if parts.count > 1, let last = parts.last, last == "ro" || last == "rw" {
      readOnly = last == "ro"
      parts.removeLast()
    }
    guard parts.count <= 2 else { throw refuse("too many colons; write [SOURCE:]TARGET[:ro]") }
    let target = try Self.target(parts[parts.count - 1], refuse)
    if parts.count == 1 {
      let words = target.lowercased().split { !$0.isASCII || !($0.isLetter || $0.isNumber) }
      let name = ([zone] + words.map(String.init)).joined(separator: "-")
      guard isDNSLabel(name) else { throw refuse("its name would be '\(name)', longer than 63; write NAME:TARGET") }
      self.init(source: .volume(name), target: target, readOnly: readOnly)
    } else if parts[0].hasPrefix("/") {
      self.init(source: .path(parts[0]), target: target, readOnly: readOnly)
    } else {
      guard isDNSLabel(parts[0]) else {
        throw refuse("'\(parts[0])' is neither an absolute path nor a volume's name (a-z, 0-9 and inner hyphens)")
      }
      self.init(source: .volume(parts[0]), target: target, readOnly: readOnly)
    }
  }

  /// `TARGET[:SIZE]`; Docker's `TARGET:size=SIZE` too.
  public init(parsingTmpfs text: String) throws(SyntaxError) {
    let refuse = { (why: String) in SyntaxError(what: "tmpfs", value: text, why: why) }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let target = try Self.target(parts[0], refuse)
    guard parts.count == 2 else {
      self.init(source: .tmpfs(size: nil), target: target)
      return
    }
    let size = parts[1].hasPrefix("size=") ? String(parts[1].dropFirst(5)) : parts[1]
    self.init(source: .tmpfs(size: try SpecValue.bytes(size, "tmpfs")), target: target)
  }

  public var text: String {
    let end = readOnly ? ":ro" : ""
    return switch source {
    case .path(let path): "\(path):\(target)\(end)"
    case .volume(let name): "\(name):\(target)\(end)"
    case .tmpfs(nil): target
    case .tmpfs(let size?): "\(target):\(ByteSize.text(size))"
    }
  }

  public var isTmpfs: Bool { if case .tmpfs = source { true } else { false } }

  /// An absolute path below the root, in its shortest spelling.
  private static func target(_ path: String, _ refuse: (String) -> SyntaxError) throws(SyntaxError) -> String {
    guard path.hasPrefix("/") else { throw refuse("TARGET must be an absolute path inside, not '\(path)'") }
    let parts = path.split(separator: "/").filter { $0 != "." }
    guard !parts.contains("..") else { throw refuse("TARGET must not contain ..") }
    guard !parts.isEmpty else { throw refuse("TARGET is the root itself; use --image dir:PATH for a root of your own") }
    return "/" + parts.joined(separator: "/")
  }
}

extension SecretMount {
  /// `NAME=FILE[,uid=N]`, FILE an absolute path of the host.
  public init(parsing text: String) throws(SyntaxError) {
    let refuse = { (why: String) in SyntaxError(what: "secret", value: text, why: why) }
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, isFileLabel(parts[0]) else {
      throw refuse("write NAME=FILE, NAME of letters, digits, _ . -")
    }
    var file = parts[1]
    var uid: UInt32 = 0
    if let comma = file.range(of: ",uid=") {
      let digits = file[comma.upperBound...]
      guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt32(digits), number < UInt32.max else {
        throw refuse("uid wants a number, not '\(digits)'")
      }
      uid = number
      file = String(file[..<comma.lowerBound])
    }
    guard file.hasPrefix("/") else { throw refuse("FILE must be an absolute path of the host, not '\(file)'") }
    self.init(name: parts[0], file: file, uid: uid)
  }

  public var text: String {
    // A file's own name may end as a uid does.
    let isPlain = uid == 0 && file.range(of: ",uid=") == nil
    return "\(name)=\(file)" + (isPlain ? "" : ",uid=\(uid)")
  }
}

/// A name that is one harmless file name: 1 to 64 letters, digits, `_`, `.` and `-`, beginning with a letter or digit.
func isFileLabel(_ text: String) -> Bool {
  let bytes = Array(text.utf8)
  let alphanumeric = { (byte: UInt8) in
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
  }
  guard (1...64).contains(bytes.count), alphanumeric(bytes[0]) else { return false }
  return bytes.allSatisfy { alphanumeric($0) || $0 == 95 || $0 == 46 || $0 == 45 }
}

extension String {
  /// The last place of `other`, without Foundation.
  fileprivate func range(of other: String) -> Range<String.Index>? {
    var at = endIndex
    while at > startIndex {
      at = index(before: at)
      if self[at...].hasPrefix(other) { return at..<index(at, offsetBy: other.count) }
    }
    return nil
  }
}
