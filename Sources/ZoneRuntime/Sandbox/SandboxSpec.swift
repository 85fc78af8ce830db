/// What makes a zone a sandbox: the caller's own id inside, and places of his file tree at their own paths.
public struct SandboxSpec: Equatable, Sendable {
  /// Who the command is, inside and out.
  public var account: SandboxAccount
  /// In the order in which they are attached: parents before what lies in them.
  public var places: [SandboxPlace] = []
  /// Small files of the private home, by path.
  public var files: [String: String] = [:]
  /// `--ids many`: his subordinate ids too, each under its own number, and none of his groups.
  public var manyIds = false
  /// `--network allow=…`: what the proxy lets through; empty without one.
  public var allowed: [String] = []
  /// `--require landlock` beside namespaces: a Landlock domain of files too.
  public var landlock = false
  /// There are no namespaces (`--require landlock` where the machine has no user namespaces).
  public var bare: BareSandbox?

  /// Somebody looks on; nil: nobody does.
  public var watch: Watch?
  /// Of `learn`: what the proxy connects is told as well.
  public var learns: Bool { watch == .everything }

  /// What a watcher tells of.
  public enum Watch: String, Sendable {
    case denials
    case everything
  }

  public init(account: SandboxAccount) { self.account = account }

  /// What is covered so that it stays as it is, there or not.
  var protected: [SandboxPlace] {
    places.filter { $0.isProtection && ($0.isDirectory || $0.placeholder != nil) }
  }
}

/// The caller, as passwd(5) has him.
public struct SandboxAccount: Equatable, Sendable {
  public var uid: UInt32
  public var gid: UInt32
  public var name: String
  /// An absolute path without a link in it: the same inside, where it is a private one.
  public var home: String
  public var shell: String

  public init(uid: UInt32, gid: UInt32, name: String, home: String, shell: String) {
    self.uid = uid
    self.gid = gid
    self.name = name
    self.home = home
    self.shell = shell
  }
}

/// A path of the host's and what the sandbox gets there.
public struct SandboxPlace: Equatable, Sendable {
  public enum Access: String, Sendable {
    case readOnly = "read-only"
    case writable
    /// Writable, as a mount of its own: it cannot be renamed, removed or covered by another.
    case pinned
    /// What is written lies in memory and goes with the sandbox.
    case passing = "copy-on-write"
    /// What is written lies in a layer that `zonectl changes` shows (`--review`).
    case reviewed
    /// An empty directory or file.
    case hidden
  }

  public var path: String
  public var access: Access
  /// Where it comes from, if not from its own path; a review's layer for `reviewed`.
  public var source: String?
  public var isDirectory: Bool
  /// What a file has in it that is made where there is none, to be covered.
  public var placeholder: String?
  /// Why it is there, for people.
  public var why: String

  /// How the reason of such a place begins.
  static let protection = "protected"
  var isProtection: Bool { why.hasPrefix(Self.protection) }

  public init(
    _ path: String, _ access: Access, source: String? = nil, isDirectory: Bool = true, placeholder: String? = nil,
    why: String
  ) {
    self.path = path
    self.access = access
    self.source = source
    self.isDirectory = isDirectory
    self.placeholder = placeholder
    self.why = why
  }
}

extension SandboxSpec: JSONObject {
  public static var blank: SandboxSpec {
    SandboxSpec(account: .blank)
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("account", &account)
    try json.field("allowed", &allowed)
    try json.field("bare", &bare)
    try json.field("files", &files)
    try json.field("landlock", &landlock)
    try json.field("manyIds", &manyIds)
    try json.field("places", &places)
    try json.field("watch", &watch)
  }
}

extension SandboxAccount: JSONObject {
  public static var blank: SandboxAccount { SandboxAccount(uid: 0, gid: 0, name: "", home: "/", shell: "/bin/sh") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("gid", &gid)
    try json.field("home", &home)
    try json.field("name", &name)
    try json.field("shell", &shell)
    try json.field("uid", &uid)
  }
}

extension SandboxSpec.Watch: JSONText {}
extension SandboxPlace.Access: JSONText {}

extension SandboxPlace: JSONObject {
  public static var blank: SandboxPlace { SandboxPlace("/", .readOnly, why: "") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("access", &access)
    try json.field("isDirectory", &isDirectory)
    try json.field("path", &path)
    try json.field("placeholder", &placeholder)
    try json.field("source", &source)
    try json.field("why", &why)
  }
}
