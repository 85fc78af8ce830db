/// How a registry wants to be asked: what its 401 says in WWW-Authenticate (RFC 9110 section 11.6.1).
public enum RegistryChallenge: Equatable, Sendable {
  /// Name and password with every request (RFC 7617).
  case basic(realm: String)
  /// A token, from somebody else (distribution, "Token Authentication Specification").
  case bearer(TokenService)

  /// The challenge to answer: a token where one is asked for, for a password is then told to the token's service alone.
  /// - Parameter values: the header's, one for each time it was sent; each may hold several challenges.
  /// - Throws: where there is none that we can answer, with what there is.
  public static func choose(_ values: [String]) throws(ImageError) -> RegistryChallenge {
    var challenges: [AuthChallenge] = []
    for value in values {
      guard let found = AuthChallenge.all(in: value) else {
        throw ImageError("its registry asks for a login in a way that cannot be read: \(shortened(value))")
      }
      challenges += found
    }
    for challenge in challenges where challenge.scheme == "bearer" {
      guard let realm = challenge["realm"], !realm.isEmpty else {
        throw ImageError("its registry asks for a token and does not say whose (no realm)")
      }
      return .bearer(
        TokenService(
          realm: realm, service: challenge["service"],
          scopes: (challenge["scope"] ?? "").split(separator: " ").map(String.init)))
    }
    for challenge in challenges where challenge.scheme == "basic" { return .basic(realm: challenge["realm"] ?? "") }
    let schemes = challenges.prefix(4).map { shortened($0.scheme) }.joined(separator: ", ")
    throw ImageError(
      "its registry asks for a login by \(schemes.isEmpty ? "no scheme" : schemes); known are basic and bearer")
  }
}

/// Who gives tokens for a registry, and what for.
public struct TokenService: Equatable, Sendable {
  /// A URL.
  public var realm: String
  public var service: String?
  /// `repository:library/debian:pull`
  public var scopes: [String]

  public init(realm: String, service: String?, scopes: [String]) {
    self.realm = realm
    self.service = service
    self.scopes = scopes
  }

  /// What is asked for where the registry named nothing.
  public static func scope(of reference: ImageReference, push: Bool) -> String {
    "repository:\(reference.repository):\(push ? "pull,push" : "pull")"
  }

  /// The URL to GET, with name and password if there are any.
  /// - Parameters:
  ///   - scopes: what is wanted, where the challenge says less.
  ///   - plain: the registry itself is spoken to without TLS.
  /// - Throws: for a realm that is no URL of HTTP's, or that would have the password without TLS.
  public func url(wanting scopes: [String], plain: Bool) throws(ImageError) -> RegistryURL {
    var url = try RegistryURL(parsing: realm)
    guard plain || !url.isPlain else {
      throw ImageError("its registry sends us for a token to \(shortened(realm)), without TLS (refused)")
    }
    if let service { url = url.adding("service", service) }
    for scope in self.scopes + scopes.filter({ !self.scopes.contains($0) }) { url = url.adding("scope", scope) }
    return url
  }

  /// RFC 3986 section 2.3: what is not unreserved is escaped; slashes and colons may stay in a query, and do.
  public static func escaped(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case 48...57, 65...90, 97...122, 45, 46, 95, 126, 47, 58: bytes.append(byte)
      default: bytes += [37, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// The answer of a token's service.
public struct TokenAnswer: Equatable, Sendable, JSONOpenObject {
  /// One of the two is there; where both are, they are the same.
  public var token: String?
  public var accessToken: String?
  /// Seconds; 60 where nothing is said.
  public var expiresIn: Int64?
  public var others: [JSONTree.Member] = []

  public static var blank: TokenAnswer { TokenAnswer() }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("token", &token)
    try json.field("access_token", &accessToken)
    try json.field("expires_in", &expiresIn)
  }

  /// What goes into `Authorization: Bearer`.
  /// - Throws: where there is none, or one that would end the header.
  public func bearer() throws(ImageError) -> String {
    guard let text = token ?? accessToken, !text.isEmpty, text.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
      throw ImageError("its registry's token service answered without a token")
    }
    return text
  }
}

/// What a registry says went wrong (distribution-spec, "Error Codes").
public struct RegistryErrors: Equatable, Sendable, JSONOpenObject {
  public struct One: Equatable, Sendable, JSONOpenObject {
    public var code: String?
    public var message: String?
    public var others: [JSONTree.Member] = []
    public static var blank: One { One() }

    public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("code", &code)
      try json.field("message", &message)
    }
  }

  public var errors: [One]?
  public var others: [JSONTree.Member] = []
  public static var blank: RegistryErrors { RegistryErrors() }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) { try json.field("errors", &errors) }

  /// For the end of a line: `manifest unknown`; nil where the answer is no such thing.
  public static func words(_ body: [UInt8]) -> String? {
    guard let read = try? JSON.decode(RegistryErrors.self, from: body, name: "answer"), let first = read.errors?.first
    else { return nil }
    return (first.message ?? first.code).map(shortened)
  }
}
