/// What a person calls an image: `NAME[:TAG][@DIGEST]`, where NAME may begin with the registry.
///
/// The grammar and what is left out are Docker's, which everybody has learnt: `debian` is `docker.io/library/debian:latest`,
/// and the first part of a name is a registry where it has a dot or a port, or is `localhost`.
public struct ImageReference: Hashable, Sendable {
  /// A host name, an IPv4 address or `[…]` with an IPv6 one, in lower case.
  public let host: String
  /// 1 to 65535; nil is the scheme's own.
  public let port: UInt16?
  /// `library/debian`: parts of `[a-z0-9]` with `.`, `_`, `__` or hyphens within.
  public let repository: String
  /// At most 128 of `[A-Za-z0-9_.-]`, the first no dot or hyphen; nil where only a digest was given.
  public let tag: String?
  /// Wins over the tag.
  public let digest: ContentDigest?

  public static let dockerHub = "docker.io"
  public static let latest = "latest"
  /// Of the registry, and of the repository.
  static let mostBytes = 255

  public init(host: String, port: UInt16? = nil, repository: String, tag: String?, digest: ContentDigest? = nil) {
    self.host = host
    self.port = port
    self.repository = repository
    self.tag = tag
    self.digest = digest
  }

  public init(parsing text: String) throws(SyntaxError) {
    let refuse = { (why: String) in SyntaxError(what: "image", value: shortened(text), why: why) }
    guard !text.isEmpty else { throw refuse("it has no name") }
    var name = text[...]
    var digest: ContentDigest?
    if let at = name.utf8.firstIndex(of: UInt8(ascii: "@")) {
      let after = name[name.utf8.index(after: at)...]
      do throws(SyntaxError) { digest = try ContentDigest(parsing: String(after)) } catch { throw refuse("\(error)") }
      name = name[..<at]
    }
    var tag: String?
    // A colon before the last slash is a port's.
    let slash = name.utf8.lastIndex(of: UInt8(ascii: "/")) ?? name.startIndex
    if let colon = name.utf8[slash...].lastIndex(of: UInt8(ascii: ":")) {
      let word = name[name.utf8.index(after: colon)...]
      guard Self.isTag(word) else {
        throw refuse("a tag is 1 to 128 of A-Z, a-z, 0-9, '_', '.' and '-', and begins with none of the last two")
      }
      tag = String(word)
      name = name[..<colon]
    }

    var (host, port, rest): (String, UInt16?, Substring) = (Self.dockerHub, nil, name)
    if let slash = name.utf8.firstIndex(of: UInt8(ascii: "/")) {
      let first = name[..<slash]
      if Self.looksLikeRegistry(first) {
        guard let place = Self.registry(first) else { throw refuse("'\(shortened(String(first)))' is no registry") }
        (host, port) = place
        rest = name[name.utf8.index(after: slash)...]
      }
    }
    if host == "index.docker.io" { host = Self.dockerHub }
    let parts = rest.split(separator: "/", omittingEmptySubsequences: false)
    for part in parts where !Self.isPart(part) {
      guard !part.utf8.contains(where: { (65...90).contains($0) }) else {
        throw refuse("'\(shortened(String(part)))' has capital letters")
      }
      throw refuse("'\(shortened(String(part)))' is no part of a name (a-z and 0-9, with one of . _ __ - within)")
    }
    var repository = String(rest)
    if parts.count == 1, host == Self.dockerHub, port == nil {
      // Docker takes 64 such digits for an image's id, never for a name.
      guard !(repository.utf8.count == 64 && repository.utf8.allSatisfy(Self.isHexDigit)) else {
        throw refuse("64 hexadecimal digits are no name; for a digest write NAME@sha256:…")
      }
      repository = "library/\(repository)"
    }
    guard host.utf8.count <= Self.mostBytes, repository.utf8.count <= Self.mostBytes else {
      throw refuse("a name has at most \(Self.mostBytes) bytes, and so has a registry")
    }
    self.init(
      host: host, port: port, repository: repository, tag: tag ?? (digest == nil ? Self.latest : nil), digest: digest)
  }

  /// As a tag alone would have it.
  public var byTag: ImageReference {
    ImageReference(host: host, port: port, repository: repository, tag: tag ?? Self.latest)
  }
  /// As the digest alone would have it, where there is one.
  public var byDigest: ImageReference {
    digest == nil ? self : ImageReference(host: host, port: port, repository: repository, tag: nil, digest: digest)
  }

  // MARK: telling

  /// With a port where one was given.
  public var registry: String { port.map { "\(host):\($0)" } ?? host }
  /// Registry and repository in full; what tags belong to.
  public var name: String { "\(registry)/\(repository)" }
  /// In full: two spellings of one image are the same text.
  public var text: String { name + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0.text)" } ?? "") }

  /// As a person writes it: `debian:12`.
  public var familiar: String {
    var short = name
    if host == Self.dockerHub, port == nil {
      short = repository
      let prefix = "library/"
      if repository.hasPrefix(prefix), !repository.utf8.dropFirst(prefix.utf8.count).contains(UInt8(ascii: "/")) {
        short = String(repository.dropFirst(prefix.count))
      }
    }
    return short + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0.text)" } ?? "")
  }

  /// Where the registry's API is: Docker Hub's has another name than its images have.
  public var endpoint: (host: String, port: UInt16?) {
    host == Self.dockerHub && port == nil ? ("registry-1.docker.io", nil) : (host, port)
  }

  /// What stands behind `/v2/NAME/manifests/`.
  public var pointer: String { digest?.text ?? tag ?? Self.latest }

  /// The registry is on this machine: plain HTTP is tried there without being asked for.
  public var isLocal: Bool {
    host == "localhost" || host == "[::1]" || (host.hasPrefix("127.") && host.utf8.allSatisfy { $0 < 58 })
  }

  // MARK: grammar

  private static func looksLikeRegistry(_ part: Substring) -> Bool {
    part == "localhost" || part.hasPrefix("[")
      || part.utf8.contains { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") }
  }

  private static func registry(_ text: Substring) -> (String, UInt16?)? {
    let place = RegistryHost(text.lowerASCII) { host in
      host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isDNSLabel(String($0)) }
    }
    return place.map { ($0.host, $0.port) }
  }

  /// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
  private static func isPart(_ part: Substring) -> Bool {
    var separator: [UInt8] = []
    var isFirst = true
    for byte in part.utf8 {
      if (48...57).contains(byte) || (97...122).contains(byte) {
        separator = []
      } else {
        separator.append(byte)
        let isFine: Bool
        switch byte {
        case UInt8(ascii: "."): isFine = separator.count == 1
        case UInt8(ascii: "_"): isFine = separator == [95] || separator == [95, 95]
        case UInt8(ascii: "-"): isFine = separator.allSatisfy { $0 == 45 }
        default: isFine = false
        }
        guard !isFirst, isFine else { return false }
      }
      isFirst = false
    }
    return !isFirst && separator.isEmpty
  }

  static func isTag(_ text: Substring) -> Bool {
    let isWord = { (byte: UInt8) in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 95
    }
    guard let first = text.utf8.first, isWord(first), text.utf8.count <= 128 else { return false }
    return text.utf8.allSatisfy { isWord($0) || $0 == 45 || $0 == 46 }
  }

  private static func isHexDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...102).contains(byte) }
}

extension ImageReference: JSONText {
  public var jsonText: String { text }
  public init(jsonText: String) throws(SyntaxError) { try self.init(parsing: jsonText) }
}
