/// A place that a registry is spoken to at, and where it sends us on: only http and https, and what of a URL these need.
public struct RegistryURL: Hashable, Sendable {
  public let isPlain: Bool
  /// In lower case; IPv6 in brackets.
  public let host: String
  /// nil is the scheme's own.
  public let port: UInt16?
  /// Path and query, from the slash on.
  public let target: String

  static let mostBytes = 8192

  public init(isPlain: Bool, host: String, port: UInt16?, target: String) {
    self.isPlain = isPlain
    self.host = host
    // `https://a` and `https://a:443` are one place.
    self.port = port == (isPlain ? 80 : 443) ? nil : port
    self.target = target
  }

  /// Of a registry's API.
  /// - Parameter path: below `/v2/`.
  public init(_ reference: ImageReference, _ path: String, isPlain: Bool) {
    let endpoint = reference.endpoint
    self.init(isPlain: isPlain, host: endpoint.host, port: endpoint.port, target: "/v2/\(path)")
  }

  /// An absolute one.
  /// - Throws: for other schemes, a name and password within, and what is no URL.
  public init(parsing text: String) throws(ImageError) {
    let refusal = ImageError("it was sent to \(shortened(text)), which is no plain URL of http or https")
    let lower = text.lowerASCII
    let isPlain = lower.hasPrefix("http://")
    guard isPlain || lower.hasPrefix("https://"), text.utf8.count <= Self.mostBytes, text.utf8.allSatisfy(Self.isFine)
    else { throw refusal }
    let rest = Array(text.utf8.dropFirst(isPlain ? 7 : 8).prefix { $0 != UInt8(ascii: "#") })
    let authority = rest.prefix { ![UInt8(ascii: "/"), UInt8(ascii: "?")].contains($0) }
    guard let place = Self.place(String(decoding: authority, as: UTF8.self).lowerASCII) else { throw refusal }
    var target = String(decoding: rest[authority.count...], as: UTF8.self)
    if !target.hasPrefix("/") { target = "/\(target)" }
    self.init(isPlain: isPlain, host: place.host, port: place.port, target: target)
  }

  public var text: String { "\(isPlain ? "http" : "https")://\(authority)\(target)" }
  /// What stands in `Host`.
  public var authority: String { host + (port.map { ":\($0)" } ?? "") }

  /// Whether a login for one is for the other.
  public func isSamePlace(as other: RegistryURL) -> Bool {
    isPlain == other.isPlain && host == other.host && port == other.port
  }

  /// Where a `Location` leads from here (RFC 9110 section 10.2.2): absolute, or without scheme, or of this place.
  /// - Throws: also where TLS would be lost on the way.
  public func following(_ location: String) throws(ImageError) -> RegistryURL {
    var next: RegistryURL
    if location.hasPrefix("//") {
      next = try RegistryURL(parsing: "\(isPlain ? "http" : "https"):\(location)")
    } else if location.hasPrefix("/") {
      next = try RegistryURL(parsing: "\(isPlain ? "http" : "https")://\(authority)\(location)")
    } else if location.hasPrefix("?") {
      let path = target.utf8.prefix { $0 != UInt8(ascii: "?") }
      next = try RegistryURL(
        parsing:
          "\(isPlain ? "http" : "https")://\(authority)\(String(decoding: Array(path), as: UTF8.self))\(location)")
    } else {
      // A path relative to ours would have to be walked: no registry sends one.
      next = try RegistryURL(parsing: location)
    }
    guard isPlain || !next.isPlain else {
      throw ImageError("it was sent from https to \(shortened(location)), without TLS (refused)")
    }
    return next
  }

  /// With a parameter more: the digest that ends an upload.
  public func adding(_ name: String, _ value: String) -> RegistryURL {
    let mark = target.utf8.contains(UInt8(ascii: "?")) ? "&" : "?"
    let parameter = "\(mark)\(TokenService.escaped(name))=\(TokenService.escaped(value))"
    return RegistryURL(isPlain: isPlain, host: host, port: port, target: target + parameter)
  }

  // MARK: grammar

  /// No blank, no control, nothing beyond ASCII: a line of HTTP is made of it.
  private static func isFine(_ byte: UInt8) -> Bool {
    byte > 32 && byte < 127 && ![34, 60, 62, 92, 94, 96, 123, 124, 125].contains(byte)
  }

  private static func place(_ authority: String) -> RegistryHost? {
    RegistryHost(authority) { host in
      // Names of services may have an underscore, which no registry's own has.
      let isName = host.utf8.allSatisfy {
        (48...57).contains($0) || (97...122).contains($0) || $0 == 45 || $0 == 46 || $0 == 95
      }
      return isName && !host.isEmpty && host.utf8.count <= 253
    }
  }
}
