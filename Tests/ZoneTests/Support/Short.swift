import Foundation
import Glibc

/// A file system of its own at a place, which can be made to run short.
struct ShortFileSystem {
  enum Resource: String, CaseIterable, Sendable {
    case bytes, files
  }

  let path: String

  /// Mounts one for the time of `body`.
  static func with<Result>(
    at path: String, owner: (uid: UInt32, gid: UInt32) = (0, 0), _ body: (ShortFileSystem) throws -> Result
  ) throws -> Result {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    // Its neighbours are to be his as well.
    chown((path as NSString).deletingLastPathComponent, owner.uid, owner.gid)
    try Command.text(
      "mount", "-t", "tmpfs", "-o", "\(Self.plenty),mode=700,uid=\(owner.uid),gid=\(owner.gid)", "zones-test", path)
    // Lazily: where the case fails something may be in use.
    defer { _ = try? Command("umount", "--lazy", path).run() }
    return try body(ShortFileSystem(path: path))
  }

  private static let plenty = "size=64m,nr_inodes=20000"

  /// Leaves so many pages of 4 KiB, or files.
  func leave(_ count: Int, _ resource: Resource) throws {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { throw CommandFailed(outcome: try Command("stat", "-f", path).run()) }
    switch resource {
    case .bytes:
      let used = Int(status.f_blocks - status.f_bfree) * Int(status.f_frsize)
      try remount("size=\(max(4096, used + count * 4096))")
    case .files: try remount("nr_inodes=\(max(1, Int(status.f_files - status.f_ffree) + count))")
    }
  }

  func relieve() throws { try remount(Self.plenty) }

  private func remount(_ options: String) throws { try Command.text("mount", "-o", "remount,\(options)", path) }
}

/// A control group of its own for a command and what it starts.
struct ShortGroup {
  enum Resource: String, Sendable { case pids, memory }

  private let path: String
  private let limit: String

  /// With a new one each time: the kernel's counts of an older one take their time to go down.
  static func with<Result>(
    _ resource: Resource, _ most: Int, _ body: (ShortGroup) throws -> Result
  ) throws -> Result {
    let v1 = "/sys/fs/cgroup/\(resource.rawValue)"
    let isV1 = access("\(v1)/tasks", F_OK) == 0
    if !isV1 { try write("+\(resource.rawValue)", to: "/sys/fs/cgroup/cgroup.subtree_control") }
    let limit = resource == .pids ? "pids.max" : isV1 ? "memory.limit_in_bytes" : "memory.max"
    let group = ShortGroup(
      path: "\(isV1 ? v1 : "/sys/fs/cgroup")/zones-test-short-\(getpid())", limit: limit)
    guard mkdir(group.path, 0o755) == 0 || errno == EEXIST else { throw SpawnFailed(program: group.path, errno: errno) }
    defer { _ = eventually(timeout: 10) { rmdir(group.path) == 0 || errno == ENOENT } }
    try write("\(most)", to: "\(group.path)/\(limit)")
    defer { try? write(isV1 && resource == .memory ? "-1" : "max", to: "\(group.path)/\(limit)") }
    return try body(group)
  }

  /// The command, in it.
  func around(_ command: Command) -> Command {
    command.through("echo $$ >\(path)/cgroup.procs; exec \"$@\"")
  }

  /// Nobody is short any more.
  func relieve() throws { try Self.write(limit == "memory.limit_in_bytes" ? "-1" : "max", to: "\(path)/\(limit)") }

  private static func write(_ text: String, to path: String) throws {
    let file = open(path, O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { throw SpawnFailed(program: path, errno: errno) }
    defer { close(file) }
    guard Glibc.write(file, text, text.utf8.count) >= 0 else { throw SpawnFailed(program: path, errno: errno) }
  }
}

extension Command {
  /// With that resource limit of its own (prlimit(1)), behind the words that change the user.
  func limited(_ limit: String, behind prefix: Int) -> Command {
    var command = self
    command.argv = argv[..<prefix] + ["prlimit", "--\(limit)", "--"] + argv[prefix...]
    return command
  }

  /// In a mount namespace of its own in which these places are read-only.
  func readOnly(_ places: [String]) -> Command {
    let script = places.map { "mkdir -p \($0); mount --bind \($0) \($0); mount -o remount,bind,ro \($0)\n" }.joined()
    var command = self
    command.argv =
      ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script + "exec \"$@\"", "sh"] + argv
    return command
  }
}
