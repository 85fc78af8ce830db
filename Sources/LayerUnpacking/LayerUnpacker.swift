internal import Glibc
public import LinuxNS
public import ZoneRuntime

/// Unpacks layers, each in a process of its own behind walls (docs/IMAGES.md, "From layers to a root").
///
/// The calls wait, from any thread: for several layers at once there is one caller each.
public struct LayerUnpacker: Sendable {
  /// The orchestrator.
  private let program: String

  /// - Parameter program: another one than that which runs, which tests are.
  public init(program: String = "/proc/self/exe") { self.program = program }

  /// Unpacks a layer into an empty directory, to the blob's last byte. Nothing is synced: who unpacks many does that once.
  /// - Parameters:
  ///   - blob: read from where it stands; a file or a pipe.
  ///   - directory: of a store that is the caller's alone. O_PATH is enough.
  ///   - diffID: what the image says of the decoded archive; another one is refused. nil: it is only told.
  ///   - compression: what the media type says; nil: the first bytes alone decide.
  /// - Throws: when the directory was emptied again, and nobody writes there any more.
  public func unpack(
    _ blob: borrowing OwnedFD, into directory: borrowing OwnedFD, diffID: ContentDigest? = nil,
    compression: MediaType.Compression? = nil, limits: UnpackLimits = UnpackLimits(),
    patience: UnpackPatience? = nil
  ) throws(UnpackFailure) -> UnpackReport {
    var order = UnpackOrder()
    (order.diffID, order.compression, order.limits) = (diffID, compression, limits)
    var failure: UnpackFailure
    do throws(UnpackFailure) {
      guard let report = try ask(order, blob.raw, directory, patience).layer else {
        throw UnpackFailure(.answer("it tells of no layer"))
      }
      guard diffID == nil || diffID == report.diffID else { throw UnpackFailure(.answer("it tells of another layer")) }
      return report
    } catch { failure = error }
    if failure.isUntouched { throw failure }
    do throws(UnpackFailure) { try empty(directory) } catch { failure.leftover = "\(error)" }
    throw failure
  }

  /// Empties a directory, whoever owns what is in it, and gives it back as a new one of the caller's (0700).
  public func empty(_ directory: borrowing OwnedFD) throws(UnpackFailure) {
    _ = try ask(UnpackOrder(.remove), nil, directory, nil)
  }

  /// Starts the program, and hears it out to its end.
  private func ask(
    _ order: UnpackOrder, _ blob: CInt?, _ directory: borrowing OwnedFD, _ patience: UnpackPatience?
  ) throws(UnpackFailure) -> UnpackAnswer {
    if let patience, patience.isOver { throw UnpackFailure(.cancelled, isUntouched: true) }
    let heard: Heard
    do throws(SyscallError) {
      let null = try OwnedFD.open("/dev/null", O_RDWR)
      let report = try OwnedFD.pipe()
      let started = try spawn(
        ProgramStart(
          path: program, arguments: ["orchestrator", "unpack"] + order.arguments,
          fds: [null.raw, null.raw, null.raw, blob ?? null.raw, directory.raw, report.second.raw]))
      heard = try Heard(report.takeFirst(), of: Pidfd(OwnedFD(raw: started.pidfd)), patience)
    } catch { throw UnpackFailure(.call(error)) }
    return try heard.answer()
  }
}

/// What a process of the unpacker's said until it, and who it had made, had ended.
private struct Heard {
  private var bytes: [UInt8] = []
  private var wasCancelled = false
  private var isTooMuch = false
  private let ended: ExitStatus

  init(_ report: consuming OwnedFD, of process: consuming Pidfd, _ patience: UnpackPatience?) throws(SyscallError) {
    var room = [UInt8](repeating: 0, count: 1 << 16)
    var isEnding = false
    while true {
      if !isEnding, try Self.isOver(report, patience) || bytes.count > UnpackAnswer.most {
        // Its report's end is waited for all the same: then nobody writes in the directory any more.
        isTooMuch = bytes.count > UnpackAnswer.most
        wasCancelled = !isTooMuch
        try process.signal(SIGKILL)
        isEnding = true
      }
      let got = read(report.raw, &room, room.count)
      let error = errno
      if got == 0 { break }
      if got < 0, error != EINTR { throw SyscallError(call: "read", errno: error, path: "the unpacker's report") }
      if got > 0, !isEnding { bytes += room[..<got] }
    }
    ended = try process.reap()
  }

  /// Waits until there is something to be read, or the patience is over.
  private static func isOver(_ report: borrowing OwnedFD, _ patience: UnpackPatience?) throws(SyscallError) -> Bool {
    guard let patience else { return false }
    while true {
      var ends = [
        pollfd(fd: report.raw, events: Int16(POLLIN), revents: 0),
        pollfd(fd: patience.event, events: Int16(POLLIN), revents: 0),
      ]
      let ready = poll(&ends, 2, -1)
      let error = errno
      if ready > 0 { return ends[1].revents != 0 }
      guard error == EINTR else { throw SyscallError(call: "poll", errno: error) }
    }
  }

  func answer() throws(UnpackFailure) -> UnpackAnswer {
    if wasCancelled { throw UnpackFailure(.cancelled) }
    if isTooMuch { throw UnpackFailure(.answer("more than \(UnpackAnswer.most >> 20) MB")) }
    guard ended == .exited(0) || ended == .exited(1) else { throw UnpackFailure(.ended(ended)) }
    let answer: UnpackAnswer
    do throws(JSONError) { answer = try JSON.decode(UnpackAnswer.self, from: bytes, name: "report") } catch {
      throw UnpackFailure(ended == .exited(0) ? .answer("\(error)") : .ended(ended))
    }
    if let error = answer.error { throw UnpackFailure(.refused(error), isUntouched: answer.isUntouched) }
    guard ended == .exited(0) else { throw UnpackFailure(.ended(ended)) }
    return answer
  }
}
