import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

func logs(_ context: Context) throws(ZoneError) -> Int32 {
  let path = context.zones.logPath(context.name)
  let lines = try asked(context.invocation.number(.tail, in: 0...1_000_000_000))
  _ = try context.zones.status(context.name)  // no such zone is told as that, and not as a missing file
  var reader = LogReader(path: path)
  try plainly(reader.begin(lastLines: lines))
  guard context.invocation.has(.follow) else { return 0 }
  try plainly(reader.follow { (try? context.zones.status(context.name))?.state })
  return 0
}

/// Copies a log to standard output: what was rotated away first, and what is written later where it is followed.
private struct LogReader: ~Copyable {
  let path: String
  private var file: OwnedFD?
  private var inode: ino_t = 0

  init(path: String) { self.path = path }

  mutating func begin(lastLines: Int?) throws(SyscallError) {
    var older: [UInt8] = []
    if let rotated = try? FileSystem.read("\(path).1", limit: 1 << 30) { older = rotated }  // there may be none
    try reopen()
    guard let lastLines else {
      Output.write(older, to: 1)
      _ = try copy()
      return
    }
    var all = older
    try read { all += $0 }
    Output.write(Array(all[LogReader.start(ofLast: lastLines, in: all)...]), to: 1)
  }

  /// Where the last `lines` lines begin; a last line without its end counts.
  private static func start(ofLast lines: Int, in bytes: [UInt8]) -> Int {
    guard lines > 0 else { return bytes.count }
    var found = 0
    for index in bytes.indices.reversed() where bytes[index] == 10 && index != bytes.count - 1 {
      found += 1
      if found == lines { return index + 1 }
    }
    return 0
  }

  /// Until the zone has ended for good. The keeper only appends and renames, so looking ten times a second is enough
  /// and costs next to nothing.
  mutating func follow(state: () -> ZoneState?) throws(SyscallError) {
    var quiet = 0
    while true {
      let rotated = try wasReplaced()
      if try copy() { quiet = 0 } else { quiet += 1 }
      if rotated {
        try reopen()
        continue
      }
      // A restart passes through rest for moments: only a second of silence at rest is the end.
      if quiet >= 10, quiet % 10 == 0 {
        switch state() {
        case nil, .installed, .configured, .incomplete, .unavailable: return
        default: break
        }
      }
      poll(nil, 0, 100)
    }
  }

  /// - Returns: whether there was anything.
  private mutating func copy() throws(SyscallError) -> Bool {
    var any = false
    try read {
      any = true
      Output.write(Array($0), to: 1)
    }
    return any
  }

  private mutating func read(_ body: (ArraySlice<UInt8>) -> Void) throws(SyscallError) {
    if file == nil { try reopen() }
    guard let raw = descriptor else { return }
    var room = [UInt8](repeating: 0, count: 65536)
    while true {
      let got = Glibc.read(raw, &room, room.count)
      let error = errno
      if got > 0 {
        body(room[0..<got])
      } else if got == 0 {
        return
      } else if error != EINTR {
        throw SyscallError(call: "read", errno: error, path: path)
      }
    }
  }

  private var descriptor: CInt? {
    switch file {
    case .some(let file): file.raw
    case .none: nil
    }
  }

  private func wasReplaced() throws(SyscallError) -> Bool {
    guard descriptor != nil, let now = try? FileSystem.status(path) else { return false }  // being renamed
    return now.st_ino != inode
  }

  private mutating func reopen() throws(SyscallError) {
    file = nil
    do {
      file = .some(try OwnedFD.open(path, O_RDONLY | O_NOFOLLOW))
    } catch {
      guard error.errno == ENOENT else { throw error }
      return  // nothing was written yet
    }
    var status = stat()
    if let raw = descriptor, fstat(raw, &status) == 0 { inode = status.st_ino }
  }
}
