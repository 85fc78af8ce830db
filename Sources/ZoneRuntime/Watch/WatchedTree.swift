internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// A sandbox' own tree, and the caller's beside it: what is at a path in both. Nothing is opened but as a place (O_PATH).
final class WatchedTree {
  private let root: RootFD

  /// - Parameter pid: of a process in it.
  init?(of pid: UInt32) {
    guard let root = try? RootFD.open("/proc/\(pid)/root") else { return nil }
    self.root = root
  }

  /// - Returns: the path without links, and what there is; nil for one that cannot be followed.
  func sight(of path: String, follows: Bool) -> (path: String, sight: FileSight)? {
    if let found = inside(path, follows: follows) {
      return (found.path, FileSight(inside: found.kind, outside: Paths.look(found.path)))
    }
    // It is not in the sandbox: where it leads to outside is what was meant.
    guard let real = Self.outside(path, follows: follows) else { return nil }
    let folder = FileSystem.parent(of: real)
    let sight = FileSight(
      inside: nil, outside: Paths.look(real), folderInside: inside(folder, follows: true) != nil,
      folderOutside: Paths.look(folder) == .directory)
    return (real, sight)
  }

  private func inside(_ path: String, follows: Bool) -> (path: String, kind: PathKind)? {
    guard let place = try? root.open(path, O_PATH | (follows ? 0 : O_NOFOLLOW)),
      let real = try? FileSystem.readLink("/proc/self/fd/\(place.raw)")
    else { return nil }
    var status = stat()
    guard fstat(place.raw, &status) == 0 else { return nil }
    let kind: PathKind =
      switch status.st_mode & S_IFMT {
      case S_IFDIR: .directory
      case S_IFREG: .file
      case S_IFLNK: .link
      default: .other
      }
    return (real, kind)
  }

  /// By lstat(2) and readlink(2) alone; what is missing stays as it is written.
  static func outside(_ path: String, follows: Bool) -> String? {
    var left = Array(path.split(separator: "/").map(String.init).reversed())
    var parts: [String] = []
    var links = 0
    while let name = left.popLast() {
      if name == "." { continue }
      if name == ".." {
        _ = parts.popLast()
        continue
      }
      let here = "/" + (parts + [name]).joined(separator: "/")
      guard !left.isEmpty || follows, Paths.look(here) == .link, let target = try? FileSystem.readLink(here) else {
        parts.append(name)
        continue
      }
      links += 1
      guard links <= 40 else { return nil }
      if target.hasPrefix("/") { parts = [] }
      left += target.split(separator: "/").map(String.init).reversed()
    }
    return "/" + parts.joined(separator: "/")
  }
}
