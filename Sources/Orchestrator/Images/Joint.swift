internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// Has a joint made by somebody to whom the files of all layers belong.
enum JointMaker {
  /// - Parameters:
  ///   - stack: numbers, the lowest first.
  ///   - program: the orchestrator.
  /// - Returns: how many directories it has; 0: the stack needs none.
  static func make(_ store: ImageStore, _ stack: [Int], into new: NewLayer, program: String = "/proc/self/exe")
    throws(ImageError) -> Int
  {
    var notes: [LayerNotes] = []
    for number in stack {
      if let record = try stored({ () throws(ZoneError) in try store.layerRecord(number) }) {
        notes.append(record.notes)
      }
    }
    // In a file: nobody waits for a reader who may be gone.
    let part = try stored { () throws(ZoneError) in try store.part() }
    defer { store.abandon(part) }
    do {
      try FileSystem.write(try JSON.encode(notes, name: "notes of layers"), to: part.file, name: part.path)
      guard lseek(part.file.raw, 0, SEEK_SET) == 0 else { throw SyscallError(call: "lseek", errno: errno) }
      let null = try OwnedFD.open("/dev/null", O_RDWR)
      let answer = try OwnedFD.pipe()
      let started = try spawn(
        ProgramStart(
          path: program, arguments: ["orchestrator", "joint", new.root] + stack.map(store.root(ofLayer:)),
          fds: [part.file.raw, answer.second.raw, null.raw]))
      let process = Pidfd(OwnedFD(raw: started.pidfd))
      let bytes = try FileSystem.read(answer.takeFirst(), limit: 1 << 16, name: "answer")
      _ = try process.reap()
      let said = try JSON.decode(JointAnswer.self, from: bytes, name: "answer of who makes the joint")
      if let why = said.error { throw ImageError("its layers do not fit together: \(why)") }
      return said.folders
    } catch let error as ImageError { throw error } catch {
      throw ImageError("cannot fit its layers together: \(error)")
    }
  }
}

struct JointAnswer: Equatable, JSONObject {
  var folders = 0
  var error: String?

  static var blank: JointAnswer { JointAnswer() }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("error", &error)
    try json.field("folders", &folders)
  }
}

/// `orchestrator joint`, hidden: what `JointMaker` starts. To be called before the process has a second thread.
public enum JointProgram {
  /// - Parameter arguments: an empty directory, and the trees of layers, the lowest first; their notes come by standard
  ///   input. The answer is on standard output.
  public static func run(_ arguments: [String]) -> Int32 {
    guard let target = arguments.first, arguments.count > 1 else {
      let line = Array("orchestrator: joint: orchestrator starts this itself, and nobody else need do so\n".utf8)
      _ = write(2, line, line.count)
      return 2
    }
    _ = zns_end_with_parent()
    var answer = JointAnswer()
    do {
      let notes = try JSON.decode(
        [LayerNotes].self, from: try FileSystem.read(OwnedFD(raw: 0), limit: 1 << 30, name: "notes"), name: "notes")
      let ids = try UnpackingIds.ofCaller()
      let go = try OwnedFD.pipe()
      var pidfd: CInt = -1
      let pid = Int32(try check(zns_begin_walled(&pidfd), "clone3"))
      if pid == 0 { work(target, Array(arguments.dropFirst()), notes, go: go.takeFirst()) }
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
      answer.error = "who made the joint ended with status \(status.shellCode)"
    } catch { answer.error = "\(error)" }
    tell(answer)
    return 1
  }

  /// Both ends are closed then: it reads to the end.
  private static func letGo(_ go: consuming DescriptorPair) throws(SyscallError) {
    try FileSystem.write([1], to: go.second)
  }

  private static func work(_ target: String, _ layers: [String], _ notes: [LayerNotes], go: consuming OwnedFD) -> Never
  {
    _ = zns_end_with_parent()
    guard (try? FileSystem.read(go, limit: 1))?.count == 1 else { _exit(1) }
    var answer = JointAnswer()
    do {
      let plan = try JointWriter.plan(layers, notes)
      if !plan.folders.isEmpty {
        try JointWriter.make(plan, of: layers, in: try OwnedFD.open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
      }
      answer.folders = plan.folders.count
    } catch { answer.error = "\(error)" }
    tell(answer)
    _exit(0)
  }

  /// Where nobody reads it there is nothing more to be done.
  private static func tell(_ answer: JointAnswer) {
    guard let bytes = try? JSON.encode(answer, name: "answer") else { return }
    _ = write(1, bytes, bytes.count)
  }
}
