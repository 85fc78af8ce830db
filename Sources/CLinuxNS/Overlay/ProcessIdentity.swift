internal import Glibc

/// A process as it can be told on disk: its number, and when it started, since a number is used again (the boot that both
/// belong to stands beside it).
public struct ProcessIdentity: Equatable, Sendable {
  /// As the reader of the record sees it.
  public var pid: Int32
  /// Field 22 of /proc/PID/stat, clock ticks since the machine started (proc_pid_stat(5)).
  public var started: UInt64

  public init(pid: Int32, started: UInt64) {
    self.pid = pid
    self.started = started
  }

  /// - Throws: ENOENT or ESRCH where there is no such process.
  public static func of(_ pid: Int32) throws(SyscallError) -> ProcessIdentity {
    let path = "/proc/\(pid)/stat"
    let bytes = try FileSystem.read(path, limit: 4096)
    // The name in parentheses may itself hold any of them.
    guard let close = bytes.lastIndex(of: UInt8(ascii: ")")) else {
      throw SyscallError(call: "read", errno: EPROTO, path: path)
    }
    let fields = bytes[(close + 1)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 19, let started = UInt64(String(decoding: fields[19], as: UTF8.self)) else {
      throw SyscallError(call: "read", errno: EPROTO, path: path)
    }
    return ProcessIdentity(pid: pid, started: started)
  }

  /// Kills it (SIGKILL) if it still is that process, and waits for its end. One that has gone is fine.
  /// - Parameter timeout: milliseconds; throws ETIMEDOUT.
  public func kill(timeout: CInt = 10_000) throws(SyscallError) {
    do throws(SyscallError) {
      // The descriptor first: from then on the number cannot come to mean another one.
      let process = try Pidfd.open(pid)
      guard try ProcessIdentity.of(pid) == self else { return }
      try process.signal(SIGKILL)
      guard try process.waitUntilEnd(timeout: timeout) else {
        throw SyscallError(call: "kill", errno: ETIMEDOUT, path: String(pid))
      }
    } catch {
      guard error.errno == ESRCH || error.errno == ENOENT else { throw error }
    }
  }
}

#if !hasFeature(Embedded)
  /// As part of what a fleet keeps.
  extension ProcessIdentity: Codable {}
#endif
