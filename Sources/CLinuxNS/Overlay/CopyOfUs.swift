internal import CLinuxNS
internal import Glibc

/// A copy of this process that makes bytes: half of a long look, on another processor. For a program of one thread alone
/// (fork(2)), which `zonectl` is.
public struct CopyOfUs: ~Copyable {
  private let pid: pid_t
  private let end: OwnedFD

  /// - Parameter make: runs in the copy; nil where it failed.
  public static func begin(_ make: () -> [UInt8]?) throws(SyscallError) -> CopyOfUs {
    let ends = try DescriptorPair.sockets(SocketType.stream)
    let pid = pid_t(try check(zns_copy_of_us(), "fork"))
    if pid == 0 {
      guard let bytes = make(), (try? FileSystem.write(bytes, to: ends.second)) != nil else { _exit(1) }
      _exit(0)
    }
    return CopyOfUs(pid: pid, end: ends.takeFirst())
  }

  /// What it made; nil where it failed. Waits for its end.
  public consuming func bytes() -> [UInt8]? {
    let made = try? FileSystem.read(end, limit: 1 << 30)
    var status: CInt = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return status == 0 ? made : nil
  }
}
