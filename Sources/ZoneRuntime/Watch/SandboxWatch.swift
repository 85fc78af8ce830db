internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The watcher of a sandbox: a process of ours outside of it, begun before the command and ended with the sandbox.
struct SandboxWatch: ~Copyable {
  private let process: Pidfd
  /// The watcher ends when this end has gone; nobody but the launcher has it.
  private let lifeline: OwnedFD
  /// In memory; read when the watcher has ended.
  private let notes: OwnedFD

  /// The hidden verb that calls `Watcher.run`.
  static let verb = "sandbox-watch"

  /// - Parameters:
  ///   - filter: the command's own.
  ///   - way: where the command's process is to send its filter's listener; the caller's to close.
  static func start(_ spec: ZoneSpec, filter: [UInt8], _ zonectl: String, _ way: inout CInt) throws(ZoneError)
    -> SandboxWatch
  {
    let bytes: [UInt8]
    do throws(JSONError) { bytes = try JSON.encode(spec) } catch { throw .json(error) }
    do throws(SyscallError) {
      let null = try OwnedFD.open("/dev/null", O_RDWR)
      let notes = OwnedFD(raw: CInt(try check(zns_memfd_create("zone-notes", 1 /* MFD_CLOEXEC */), "memfd_create")))
      let told = try sealed("zone-spec", executable: false) { (file) throws(SyscallError) in
        try FileSystem.write(bytes, to: file)
      }
      let program = try sealed("zone-filter", executable: false) { (file) throws(SyscallError) in
        try FileSystem.write(filter, to: file)
      }
      let life = try DescriptorPair.sockets(SocketType.stream)
      let ways = try DescriptorPair.sockets(SocketType.packets)
      let started = try spawn(
        ProgramStart(
          path: zonectl, arguments: [zonectl, verb], environment: ["PATH=/usr/bin:/bin"],
          fds: [null.raw, null.raw, null.raw, ways.second.raw, life.second.raw, notes.raw, told.raw, program.raw],
          newSession: true))
      way = ways.takeFirst().take()
      return SandboxWatch(
        process: Pidfd(OwnedFD(raw: started.pidfd)), lifeline: life.takeFirst(), notes: notes)
    } catch { throw .call("start the sandbox's watcher", error) }
  }

  /// Ends it.
  borrowing func end() -> WatchNotes {
    shutdown(lifeline.raw, CInt(SHUT_RDWR))
    // One that does not end is killed: what it told until now counts.
    if (try? process.waitUntilEnd(timeout: 5000)) != true { try? process.signal(SIGKILL) }
    _ = try? process.reap()
    return WatchNotes(readWhole(notes))
  }
}

/// A file in memory, from its beginning, wherever its writers are.
func readWhole(_ file: borrowing OwnedFD) -> [UInt8] {
  var bytes: [UInt8] = []
  var room = [UInt8](repeating: 0, count: 65536)
  while true {
    let got = pread(file.raw, &room, room.count, off_t(bytes.count))
    guard got > 0 else { return bytes }
    bytes += room[..<got]
  }
}
