internal import CLinuxNS
internal import Glibc
public import LinuxNS

/// How long a caller waits for an unpacker: until somebody calls `cancel`, from any thread.
public final class UnpackPatience: Sendable {
  private let file: OwnedFD

  public init() throws(SyscallError) { file = OwnedFD(raw: CInt(try check(zns_eventfd(), "eventfd2"))) }

  /// Ends what waits with it, and what begins to later.
  public func cancel() {
    var one: UInt64 = 1
    _ = write(file.raw, &one, 8)  // full after 2^64 - 1 of them
  }

  /// Readable from `cancel` on.
  var event: CInt { file.raw }

  var isOver: Bool { (try? Poll.wait(file.raw, for: Int16(POLLIN), timeout: 0)) ?? false }
}
