internal import Glibc
internal import LinuxNS

/// One daemon a place: held by flock(2), so that a killed daemon holds nothing.
struct DaemonLock: ~Copyable {
  private let file: OwnedFD
  private let path: String

  /// - Parameter patience: seconds to wait for another daemon that is on its way out.
  init(_ directories: FleetDirectories, patience: Double) async throws(FleetError) {
    path = directories.lock
    let deadline = Clock.monotonicNanoseconds() + UInt64(patience * 1e9)
    while true {
      try directories.make()
      do {
        let file = try OwnedFD.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        if flock(file.raw, LOCK_EX | LOCK_NB) == 0 {
          // The daemon before us removes the file before it lets go of it: then it is no lock any more.
          let ours = try FileOwnership.inode("/proc/self/fd/\(file.raw)")
          if let there = try? FileOwnership.inode(path), there == ours {
            self.file = file
            return
          }
          continue
        }
      } catch { throw .failed("cannot take the daemon's lock: \(error)") }
      guard Clock.monotonicNanoseconds() < deadline else {
        throw .conflict("another daemon is running for \(directories.data)")
      }
      do { try await Task.sleep(nanoseconds: 50_000_000) } catch { throw .failed("interrupted") }
    }
  }

  /// Lets go, and takes the file away first.
  consuming func remove() { unlink(path) }
}
