internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// What is answered by somebody to whom the files of all layers belong.
protocol OwnerAnswer: JSONObject {
  var error: String? { get set }
}

/// Work on files of layers, which a user can neither read nor make himself: their ids are subordinate ones. It is done by the
/// orchestrator started anew, whose child is in a user namespace with the ids of the store.
enum OwnerProcess {
  // MARK: who asks

  /// One that was started, and its answer to come.
  struct Running: ~Copyable {
    fileprivate let process: Pidfd
    fileprivate let answer: OwnedFD

    /// Waits for its end.
    consuming func heard<Answer: OwnerAnswer>(_ type: Answer.Type) throws -> Answer {
      let bytes: [UInt8]
      do { bytes = try FileSystem.read(answer, limit: OwnerProcess.mostAnswer, name: "answer") } catch {
        guard error.errno == EFBIG else { throw error }
        throw ImageError("more than \(OwnerProcess.mostAnswer >> 20) MiB would have to be told of it")
      }
      _ = try process.reap()
      return try JSON.decode(type, from: bytes, name: "answer")
    }
  }

  /// Of some million names that a zone has changed.
  fileprivate static let mostAnswer = 256 << 20
  /// Of who reads a zone's files: as many names as the zone likes, to the bound of a layer.
  private static let mostMemory: UInt64 = 8 << 30

  /// - Parameters:
  ///   - order: what it reads from its standard input.
  ///   - fds: its descriptors from 3 on.
  ///   - program: the orchestrator.
  static func start(_ word: String, _ order: some JSONValue, fds: [CInt] = [], program: String = "/proc/self/exe")
    throws -> Running
  {
    // In a file of nobody's: no one waits for a reader who may be gone.
    let input = OwnedFD(raw: CInt(try check(zns_memfd_create("order", 1 /* MFD_CLOEXEC */), "memfd_create")))
    try FileSystem.write(try JSON.encode(order, name: "order"), to: input)
    guard lseek(input.raw, 0, SEEK_SET) == 0 else { throw SyscallError(call: "lseek", errno: errno) }
    let null = try OwnedFD.open("/dev/null", O_RDWR)
    let answer = try OwnedFD.pipe()
    let started = try spawn(
      ProgramStart(
        path: program, arguments: ["orchestrator", word], fds: [input.raw, answer.second.raw, null.raw] + fds))
    return Running(process: Pidfd(OwnedFD(raw: started.pidfd)), answer: answer.takeFirst())
  }

  // MARK: who is asked

  /// The started program's own. To be called before the process has a second thread.
  /// - Parameter work: done by the child. What it throws is its answer.
  /// - Returns: 0; 1 where the answer says why not; 2 for who was not started by us.
  static func run<Order: JSONValue, Answer: OwnerAnswer>(
    _ word: String, _ work: (Order) throws -> Answer
  ) -> Int32 {
    guard lseek(0, 0, SEEK_CUR) == 0 else {
      return HiddenProgram.refuse(word)
    }
    _ = zns_end_with_parent()
    var answer = Answer.blank
    do {
      let order = try JSON.decode(
        Order.self, from: try FileSystem.read(OwnedFD(raw: 0), limit: mostAnswer, name: "order"), name: "order")
      let ids = try UnpackingIds.ofCaller()
      let go = try OwnedFD.pipe()
      var pidfd: CInt = -1
      let pid = Int32(try check(zns_begin_walled(&pidfd), "clone3"))
      if pid == 0 { child(go: go.takeFirst(), order, work) }
      let process = Pidfd(OwnedFD(raw: pidfd))
      do {
        try ids.give(to: pid)
        try letGo(go)
      } catch {
        try process.signal(SIGKILL)
        _ = try process.reap()
        throw error
      }
      let status = try process.reap()
      if status == .exited(0) { return 0 }
      answer.error = "the process for '\(word)' ended with status \(status.shellCode)"
    } catch { answer.error = "\(error)" }
    tell(answer)
    return 1
  }

  /// Both ends are closed then: it reads to the end.
  private static func letGo(_ go: consuming DescriptorPair) throws(SyscallError) {
    try FileSystem.write([1], to: go.second)
  }

  private static func child<Order, Answer: OwnerAnswer>(
    go: consuming OwnedFD, _ order: Order, _ work: (Order) throws -> Answer
  ) -> Never {
    _ = zns_end_with_parent()
    guard (try? FileSystem.read(go, limit: 1))?.count == 1 else { _exit(1) }
    var answer = Answer.blank
    do {
      try check(zns_bound_process(mostMemory, 4096), "setrlimit")
      answer = try work(order)
    } catch { answer.error = "\(error)" }
    tell(answer)
    _exit(0)
  }

  /// Where nobody reads it there is nothing more to be done.
  private static func tell(_ answer: some OwnerAnswer) {
    guard let bytes = try? JSON.encode(answer, name: "answer") else { return }
    let out = OwnedFD(raw: 1)
    try? FileSystem.write(bytes, to: out)
    _ = out.take()
  }
}
