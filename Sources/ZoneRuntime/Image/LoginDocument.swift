/// `config.json` of docker-login(1) and `auth.json` of containers-auth.json(5), as far as they are about logins.
public struct LoginDocument: JSONObject, Equatable, Sendable {
  /// What is kept for one registry, or for a part of one.
  public struct Entry: JSONObject, Equatable, Sendable {
    /// Base64 of `NAME:PASSWORD`.
    public var auth: String?
    /// What a registry gave in place of a password, good for tokens alone.
    public var identity: String?
    public var name: String?
    public var password: String?
    public static var blank: Entry { Entry() }

    public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("auth", &auth)
      try json.field("identitytoken", &identity)
      try json.field("password", &password)
      try json.field("username", &name)
    }

    var isEmpty: Bool { [auth, identity, password].allSatisfy { ($0 ?? "").isEmpty } }
  }

  public enum Found: Equatable, Sendable {
    case nothing
    case entry(Entry)
    /// The program docker-credential-NAME keeps it.
    case helper(String)
  }

  private var auths: Table<Entry>?
  private var helpers: [String: String]?
  private var store: String?
  public static var blank: LoginDocument { LoginDocument() }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("auths", &auths)
    try json.field("credHelpers", &helpers)
    try json.field("credsStore", &store)
  }

  /// The entry that says the most of the image's name: `HOST/PART/PART` before `HOST`.
  public func find(for image: ImageReference) -> Found {
    for place in Self.places(of: image) {
      if let helper = helpers?.first(where: { Self.place($0.key) == place })?.value { return .helper(helper) }
      guard let entry = auths?.rows.first(where: { Self.place($0.key) == place })?.value else { continue }
      if !entry.isEmpty { return .entry(entry) }
      if let store { return .helper(store) }
    }
    return .nothing
  }

  /// Docker's keys may be URLs.
  private static func place(_ key: String) -> String {
    var text = Substring(key)
    for scheme in ["https://", "http://"] where text.hasPrefix(scheme) { text = text.dropFirst(scheme.utf8.count) }
    for end in ["/", "/v1", "/v2"] where text.hasSuffix(end) { text = text.dropLast(end.utf8.count) }
    return text == "index.docker.io" || text == "registry-1.docker.io" ? ImageReference.dockerHub : String(text)
  }

  private static func places(of image: ImageReference) -> [String] {
    var places = [image.name]
    while let last = places.last, let slash = last.utf8.lastIndex(of: UInt8(ascii: "/")) {
      places.append(String(last[..<slash]))
    }
    return places
  }

  /// An object with any keys.
  private struct Table<Value: JSONValue & Equatable & Sendable>: JSONValue, Equatable, Sendable {
    struct Row: Equatable, Sendable {
      var key: String
      var value: Value
    }
    var rows: [Row] = []

    init(json: JSONNode) throws(JSONError) {
      try json.expect(.object)
      for (key, node) in json.members {
        do throws(JSONError) { rows.append(Row(key: key, value: try Value(json: node))) } catch {
          throw error.below(key)
        }
      }
    }

    func write(to json: inout JSONWriter) throws(JSONError) {
      json.open("{")
      for row in rows { try json.member(row.key, row.value) }
      json.close("}")
    }
  }
}
