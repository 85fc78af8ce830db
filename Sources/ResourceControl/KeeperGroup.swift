internal import Glibc
internal import LinuxNS

/// The group of the keepers of zones that nobody stays with, and of what serves networks, beside the zones' own groups in the
/// v2 tree: who started such a zone may end, and a systemd unit that ends takes along all that is in its group.
public struct KeeperGroup: ~Copyable {
  /// Its directory, for a process that is to be born in it; -1: the caller's own group is to do.
  public private(set) var directory: CInt

  /// No zone's group is called so (`CgroupBase.escape`).
  public static let name = "_keepers"

  /// None.
  public init() { directory = -1 }

  deinit { if directory >= 0 { close(directory) } }

  /// The directory, for the caller to close.
  public consuming func take() -> CInt {
    let taken = directory
    directory = -1
    return taken
  }

  /// Makes it where it is missing; none where there is no v2 tree.
  public init(_ base: CgroupBase) throws(CgroupError) {
    guard let all = base.unified else {
      directory = -1
      return
    }
    let path = "\(all)/\(Self.name)"
    // The last keeper of others may take it away between our making it and our opening it.
    var tries = 16
    while true {
      do {
        directory = try OwnedFD.open(path, O_RDONLY | O_DIRECTORY).take()
        return
      } catch {
        guard error.errno == ENOENT, tries > 0 else { throw .call(error, doing: "open the control group of keepers") }
      }
      tries -= 1
      for group in [all, path] where mkdir(group, 0o755) != 0 {
        let number = errno
        guard number == EEXIST || number == ENOENT else {
          throw Cgroup.failure("mkdir", number, group, "make the control group of keepers")
        }
      }
    }
  }

  /// Takes it away where it is empty, and the group of all zones where that is empty then.
  static func removeIfEmpty(below all: String) {
    if rmdir("\(all)/\(name)") == 0 { rmdir(all) }
  }

  /// For who has ended what was no keeper.
  public static func removeIfEmpty(_ base: CgroupBase) { if let all = base.unified { removeIfEmpty(below: all) } }

  /// For a keeper that has no zone any more: where it is the last, it leaves the group, which is taken away. Where the group
  /// above takes no process (cgroup-v2.rst, "No Internal Process Constraint": never root's) it is left to the next command.
  public static func leave(_ base: CgroupBase) {
    guard let all = base.unified, let procs = try? FileSystem.readLine("\(all)/\(name)/cgroup.procs"),
      procs == "\(getpid())"
    else { return }
    try? FileSystem.writeKernelFile("\(FileSystem.parent(of: all))/cgroup.procs", "0")
    removeIfEmpty(below: all)
  }

  /// For who has ended a zone: where it was the last, waits until its keeper is through too, and takes the group away.
  /// - Parameter timeout: milliseconds; what is left then goes with the next command.
  public static func removeAfterLast(_ base: CgroupBase, timeout: UInt64 = 1000) throws(CgroupError) {
    // A directory of groups has two links and one for each group (kernfs).
    guard let all = base.unified, let status = try? FileSystem.status(all, followingLinks: false), status.st_nlink <= 3,
      FileSystem.exists("\(all)/\(name)")
    else { return }
    let deadline = Clock.monotonicNanoseconds() + timeout * 1_000_000
    _ = try CgroupTree.wait("\(all)/\(name)/cgroup.events", for: "populated 0", deadline: deadline)
    removeIfEmpty(below: all)
  }
}
