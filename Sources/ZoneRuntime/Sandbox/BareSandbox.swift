internal import Glibc
internal import LinuxNS

/// What a sandbox without namespaces has in place of a tree of its own.
public struct BareSandbox: Equatable, Sendable {
  /// The command's HOME: fresh and private, or one that lasts.
  public var home: String
  /// Its TMPDIR.
  public var scratch: String
  /// Links in its home, by path: to what was given of the caller's own.
  public var links: [String: String] = [:]
  /// Protected names of the project, that Landlock cannot take out of a folder which it gives.
  public var uncovered: [String] = []
  /// Why there are no user namespaces.
  public var why: String

  public init(home: String, scratch: String, why: String) {
    self.home = home
    self.scratch = scratch
    self.why = why
  }
}

extension BareSandbox: JSONObject {
  public static var blank: BareSandbox { BareSandbox(home: "/", scratch: "/", why: "") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("home", &home)
    try json.field("links", &links)
    try json.field("scratch", &scratch)
    try json.field("uncovered", &uncovered)
    try json.field("why", &why)
  }
}

/// Its own directories, below its run directory: they go with it.
struct BareHome {
  private let directories: Directories

  init(_ directories: Directories) { self.directories = directories }

  static let names = (home: "home", scratch: "tmp")

  func make(_ sandbox: SandboxSpec) throws(ZoneError) {
    guard let bare = sandbox.bare else { return }
    try attempt("make a private home") { () throws(SyscallError) in
      for path in [bare.home, bare.scratch] { try FileSystem.makeDirectories(path, mode: 0o700) }
      for (path, text) in sandbox.files where !FileSystem.exists(path) {
        try FileSystem.replace(path, with: Array(text.utf8), mode: 0o644)
      }
      for (path, target) in bare.links where Paths.look(path) == nil {
        try FileSystem.makeDirectories(FileSystem.parent(of: path), mode: 0o700)
        try FileSystem.call("symlink", path) { symlink(target, path) }
      }
    }
  }

  /// Whether a zone is such a sandbox, which must not outlive its launcher.
  func has(_ zone: String) -> Bool { FileSystem.exists("\(directories.run(of: zone))/\(Self.names.scratch)") }
}
