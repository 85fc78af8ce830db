internal import Glibc
internal import LinuxNS

/// What there is at a path, without following a link there.
public enum PathKind: Sendable { case directory, file, link, other }

/// How a planner looks at the caller's files: nil where there is nothing, or nothing he may see.
public typealias PathLook = (String) -> PathKind?

/// Absolute paths as texts: without `.`, `..` and double slashes.
enum Paths {
  static func join(_ folder: String, _ name: String) -> String { folder == "/" ? "/\(name)" : "\(folder)/\(name)" }

  /// Without `.`, `..` and double slashes, by the text alone.
  static func plain(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }

  /// Strictly below.
  static func lies(_ path: String, in folder: String) -> Bool {
    folder == "/" ? path != "/" : path.utf8.count > folder.utf8.count && path.hasPrefix("\(folder)/")
  }

  static func isOrLies(_ path: String, in folder: String) -> Bool { path == folder || lies(path, in: folder) }

  static func name(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? "/" }

  static func parent(_ path: String) -> String { above(path).last ?? "/" }

  /// The way to it, from the top: `/a`, `/a/b` of `/a/b/c`.
  static func above(_ path: String) -> [String] {
    var all: [String] = []
    var way = ""
    for part in path.split(separator: "/").dropLast() {
      way += "/\(part)"
      all.append(way)
    }
    return all
  }

  /// Whether the caller could make a file in it. What is his own is a chmod(2) away, for a command too.
  static func canWrite(_ folder: String) -> Bool {
    if access(folder, W_OK) == 0 { return true }
    guard errno == EACCES else { return false }
    var status = stat()
    return stat(folder, &status) == 0 && status.st_uid == geteuid()
  }

  static func look(_ path: String) -> PathKind? {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    return switch status.st_mode & S_IFMT {
    case S_IFDIR: .directory
    case S_IFREG: .file
    case S_IFLNK: .link
    default: .other
    }
  }

  /// Without links (realpath(3)).
  static func real(_ path: String) throws(SyscallError) -> String {
    guard let text = realpath(path, nil) else { throw SyscallError(call: "realpath", errno: errno, path: path) }
    defer { free(text) }
    return String(cString: text)
  }
}
