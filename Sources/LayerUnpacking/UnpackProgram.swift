internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// `orchestrator unpack`, hidden: what `LayerUnpacker` starts. To be called before the process has a second thread.
///
/// It stays outside and reads nothing of the blob: it makes the one who does (`WalledUnpacker`), gives it its ids, and waits.
/// Neither outlives the caller: the unpacker goes with this process, and this one with the reader of the report.
public enum UnpackProgram {
  /// - Parameter arguments: behind the word `unpack`.
  /// - Returns: 0; 1 where the report says why not; 2 usage; 128 and the signal that ended the unpacker.
  public static func run(_ arguments: [String]) -> Int32 {
    do throws(SyntaxError) { return try run(try UnpackOrder(arguments)) } catch {
      return complain("\(error)")
    }
  }

  private static func run(_ order: UnpackOrder) throws(SyntaxError) -> Int32 {
    let numbers = order.job == .unpack ? [UnpackOrder.blob, UnpackOrder.directory] : [UnpackOrder.directory]
    for number in numbers + [UnpackOrder.report] where fcntl(number, F_GETFD) < 0 {
      return complain("descriptor \(number) is not open; orchestrator starts this itself, and nobody else need do so")
    }
    let ids = try UnpackingIds.ofCaller()
    do throws(SyscallError) { return try guardUnpacker(order, ids) } catch {
      var words = "\(error)"
      if error.call == "clone3", let hint = Self.hint(error.errno) { words += "; \(hint)" }
      WalledUnpacker.tell(UnpackAnswer(error: "cannot make the unpacker: \(words)", isUntouched: true))
      return 1
    }
  }

  private static func complain(_ why: String) -> Int32 {
    let line = Array("orchestrator: \(why)\n".utf8)
    _ = write(2, line, line.count)
    return 2
  }

  private static func hint(_ errno: CInt) -> String? {
    switch errno {
    case EPERM: "user namespaces are switched off here (kernel.unprivileged_userns_clone, AppArmor)"
    case ENOSPC, EUSERS: "there may be no more user namespaces (user.max_user_namespaces)"
    default: nil
    }
  }

  private static func guardUnpacker(_ order: UnpackOrder, _ ids: UnpackingIds) throws(SyscallError) -> Int32 {
    let go = try OwnedFD.pipe()
    var pidfd: CInt = -1
    let pid = Int32(try check(zns_begin_walled(&pidfd), "clone3"))
    if pid == 0 { WalledUnpacker.run(order, ids, go: go.takeFirst()) }
    let process = Pidfd(OwnedFD(raw: pidfd))
    do throws(SyscallError) {
      try ids.give(to: pid)
      try FileSystem.write([1], to: go.second)
    } catch {
      try process.signal(SIGKILL)
      _ = try process.reap()
      throw error
    }
    while true {
      var ends = [
        pollfd(fd: process.fd.raw, events: Int16(POLLIN), revents: 0),
        // Asked for nothing, a pipe tells of its reader's end alone.
        pollfd(fd: UnpackOrder.report, events: 0, revents: 0),
      ]
      let ready = poll(&ends, 2, -1)
      let error = errno
      guard ready > 0 else {
        if ready == 0 || error == EINTR { continue }
        throw SyscallError(call: "poll", errno: error)
      }
      if ends[0].revents == 0 { try process.signal(SIGKILL) }
      return try process.reap().shellCode
    }
  }
}
