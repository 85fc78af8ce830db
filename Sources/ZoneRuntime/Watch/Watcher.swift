internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The process that looks at a sandbox from outside: it is asked before the kernel makes a call that the command's filter
/// hands over (seccomp_unotify(2)), says what it has seen, and answers.
///
/// The manual page warns of "go on" (SECCOMP_USER_NOTIF_FLAG_CONTINUE): what a pointer leads to may be another text by the time
/// the kernel reads it, so nothing may be allowed because of it. Nothing is, here: "go on" is said to every call that the
/// command's own filter allows, whatever its pointers lead to, and to no other. That filter looks at numbers alone, which
/// the kernel has copied, and the same program is run here over the same numbers. What was read of the command's memory goes into
/// a report and decides nothing. A watcher that is killed leaves calls that nobody answers: the kernel refuses those.
public final class Watcher {
  /// Where the process finds what its starter gave it.
  enum Descriptor {
    static let way: CInt = 3, lifeline: CInt = 4, notes: CInt = 5, spec: CInt = 6, filter: CInt = 7
  }

  enum Limit {
    /// Denials that are told, each once.
    static let denials = 512
    static let sightings = 1 << 17
  }

  /// Calls of other groups than the base that are too frequent to ask about; that the group is used is seen by another.
  private static let unseen: Set<String> = [
    "recv", "recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64", "send", "sendto", "sendmmsg", "getsockopt",
    "setsockopt", "getsockname", "getpeername", "shutdown", "mq_timedsend", "mq_timedreceive", "semop", "semtimedop",
    "msgsnd", "msgrcv", "io_submit", "io_getevents", "ptrace",
  ]

  static func filter(_ own: [UInt8], _ watch: SandboxSpec.Watch) -> [UInt8] {
    var names = WatchedCall.table.map { $0.call } + ["connect"]
    if watch == .everything { names += CallGroups.listed.filter { !unseen.contains($0) && !names.contains($0) } }
    return WatchFilter.program(own, seeing: names, withAddress: [("sendto", 4)])
  }

  private let spec: ZoneSpec
  private let sandbox: SandboxSpec
  private let program: [UInt8]
  private let profile: SeccompProfile
  private let verdict: FileVerdict
  private let listener: OwnedFD
  private var watched: [String: WatchedCall] = [:]
  private var tree: WatchedTree?
  /// Threads that were about to execute something.
  private var executing: Set<UInt32> = []
  private var threads: Set<UInt32> = []
  private var most = 0
  private var groups: CallGroups = .base
  private var told: Set<String> = []
  private var seen: Set<WatchNotes.Sighting> = []
  private var untold: UInt64 = 0

  /// The whole life of the process, called by the hidden verb. It keeps no capability, cannot gain one, cannot be traced or
  /// dumped, and ends with its lifeline.
  public static func run() -> Never {
    let (setDumpable, setNoNewPrivileges): (CInt, CInt) = (4, 38)
    _ = chdir("/")
    guard zns_prctl(setDumpable, 0, 0, 0, 0) >= 0, zns_prctl(setNoNewPrivileges, 1, 0, 0, 0) >= 0,
      zns_drop_capabilities() >= 0,
      let spec = try? JSON.decode(ZoneSpec.self, from: readWhole(OwnedFD(raw: Descriptor.spec)), name: "spec"),
      let sandbox = spec.sandbox, let profile = try? spec.seccompProfile([], .single)
    else { exit(1) }
    let program = readWhole(OwnedFD(raw: Descriptor.filter))
    guard let listener = awaitListener() else { exit(0) }
    close(Descriptor.way)
    let watcher = Watcher(spec, sandbox, program, profile, listener)
    while watcher.step() {}
    watcher.end()
    exit(0)
  }

  private init(
    _ spec: ZoneSpec, _ sandbox: SandboxSpec, _ program: [UInt8], _ profile: SeccompProfile,
    _ listener: consuming OwnedFD
  ) {
    self.spec = spec
    self.sandbox = sandbox
    self.program = program
    self.profile = profile
    self.listener = listener
    verdict = FileVerdict(sandbox: sandbox)
    for row in WatchedCall.table { watched[row.call] = row.watched }
  }

  /// nil: the command never came so far.
  private static func awaitListener() -> OwnedFD? {
    var entries = [
      pollfd(fd: Descriptor.way, events: Int16(POLLIN), revents: 0),
      pollfd(fd: Descriptor.lifeline, events: Int16(POLLIN), revents: 0),
    ]
    while poll(&entries, 2, -1) < 0 {}
    guard entries[0].revents & Int16(POLLIN) != 0 else { return nil }
    var byte: [UInt8] = [0, 0]
    var number: CInt = -1
    var count: CInt = 1
    guard zns_receive_fds(Descriptor.way, &byte, 2, &number, &count, 0) == 1, count == 1 else { return nil }
    return OwnedFD(raw: number)
  }

  /// - Returns: false where nobody is left to be looked at, or to tell.
  private func step() -> Bool {
    var entries = [
      pollfd(fd: listener.raw, events: Int16(POLLIN), revents: 0),
      pollfd(fd: Descriptor.lifeline, events: Int16(POLLIN), revents: 0),
    ]
    guard poll(&entries, 2, -1) > 0 else { return true }
    if entries[1].revents != 0 { return false }
    guard entries[0].revents & Int16(POLLIN) != 0 else { return entries[0].revents == 0 }
    var call = zns_call()
    // It may have been killed meanwhile.
    guard zns_call_receive(listener.raw, &call) == 0 else { return true }
    let error = look(at: call)
    _ = zns_call_answer(listener.raw, call.id, error)
    return true
  }

  // MARK: one call

  /// - Returns: what the command's own filter answers: 0, or an errno.
  private func look(at call: zns_call) -> CInt {
    let arguments = [
      call.arguments.0, call.arguments.1, call.arguments.2, call.arguments.3, call.arguments.4, call.arguments.5,
    ]
    let answer = WatchFilter.answer(program, call.machine, call.number, arguments)
    guard let name = SeccompCallTable.name(of: call.number, call.machine) else { return answer }
    guard answer == 0 else {
      let (words, rule) = CallVerdict(profile: profile).words(name, arguments)
      tell(Denial(kind: .call, name: words, call: name, rule: rule))
      return answer
    }
    if sandbox.learns { count(call, name) }
    if executing.remove(call.pid) != nil, let path = try? FileSystem.readLink("/proc/\(call.pid)/exe") {
      saw(path, .execute, FileSight(inside: .file, outside: .file), name)
    }
    if name == "execve" || name == "execveat" { executing.insert(call.pid) }
    if let row = watched[name] {
      lookAtFiles(row, call, arguments, name)
    } else if let row = WatchedCall.addresses.first(where: { $0.call == name }) {
      lookAtAddress(call, arguments[row.address], arguments[row.length], name)
    }
    return 0
  }

  private func count(_ call: zns_call, _ name: String) {
    let group = CallGroups.of(name)
    if !groups.contains(group) {
      groups.formUnion(group)
      write(WatchNotes.line(WatchNotes.Mark.group, UInt64(group.rawValue)))
    }
    threads.insert(call.pid)
    guard group == .process, threads.count >= most else { return }
    threads = threads.filter { access("/proc/\($0)", F_OK) == 0 }
    most = max(most, threads.count + 1)
  }

  private func lookAtFiles(_ row: WatchedCall, _ call: zns_call, _ arguments: [UInt64], _ name: String) {
    var found: [(path: String, access: FileAccess, follows: Bool)] = []
    for one in row.names {
      guard arguments[one.path] != 0, let path = text(call.pid, arguments[one.path]), !path.isEmpty else { continue }
      let flags: OpenFlags?
      switch one.intent {
      case .always: flags = nil
      case .openFlags(let index): flags = OpenFlags(arguments[index])
      case .openHow(let index):
        var word: UInt64 = 0
        guard zns_read_memory(call.pid, arguments[index], &word, 8) == 8 else { continue }
        flags = OpenFlags(word)
      }
      let follows: Bool
      switch one.follow {
      case .yes: follows = true
      case .no: follows = false
      case .unlessFlag(let index): follows = arguments[index] & 0x100 == 0
      case .withFlag(let index): follows = arguments[index] & 0x400 != 0
      case .byOpenFlags: follows = flags?.follows ?? true
      }
      var access = FileAccess.look
      if case .always(let fixed) = one.intent { access = fixed } else if let flags { access = flags.access }
      if name == "creat" { access = .create }
      guard let whole = whole(path, call.pid, one.directory.map { arguments[$0] }) else { continue }
      found.append((whole, access, follows))
    }
    // Only now it is known that all this was of that process, and not of one that has its number since.
    guard zns_call_waits(listener.raw, call.id) == 0 else { return }
    for one in found { judge(one.path, one.access, follows: one.follows, call.pid, name) }
  }

  private func text(_ pid: UInt32, _ address: UInt64) -> String? {
    var room = [CChar](repeating: 0, count: 4096)
    let got = zns_read_text(pid, address, &room, room.count)
    guard got >= 0 else { return nil }
    return String(decoding: room[..<got].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Absolute, with whatever links are on the way.
  private func whole(_ path: String, _ pid: UInt32, _ directory: UInt64?) -> String? {
    if path.utf8.first == UInt8(ascii: "/") { return path }
    let number = directory.map { Int32(truncatingIfNeeded: $0) } ?? AT_FDCWD
    let link = number == AT_FDCWD ? "/proc/\(pid)/cwd" : "/proc/\(pid)/fd/\(number)"
    guard let folder = try? FileSystem.readLink(link), folder.hasPrefix("/"), !folder.hasSuffix(" (deleted)") else {
      return nil
    }
    return Paths.join(folder, path)
  }

  private func judge(_ path: String, _ access: FileAccess, follows: Bool, _ pid: UInt32, _ call: String) {
    let isPlain = !path.utf8.split(separator: UInt8(ascii: "/")).contains { $0.elementsEqual("..".utf8) }
    // Most of what a program opens: libraries.
    if isPlain, !access.changes, FileVerdict.isEverybodys(path) { return }
    if tree == nil { tree = WatchedTree(of: pid) }
    guard let tree, let (real, sight) = tree.sight(of: path, follows: follows) else { return }
    saw(real, access, sight, call)
    let plain = Paths.plain(path)
    if sandbox.learns, plain != real { saw(plain, .look, FileSight(inside: .link, outside: .link), call) }
  }

  private func saw(_ path: String, _ access: FileAccess, _ sight: FileSight, _ call: String) {
    guard path.hasPrefix("/"), !path.hasPrefix("/memfd:"), !path.hasSuffix(" (deleted)") else { return }
    if let rule = verdict.rule(path, access, sight) {
      tell(Denial(kind: .file, name: Printable.text(path), call: call, rule: rule))
    }
    guard sandbox.learns, !FileVerdict.isEverybodys(path), !path.utf8.contains(10) else { return }
    guard sight.inside != nil || sight.outside != nil || access == .create else { return }
    let sighting = WatchNotes.Sighting(path, access, sight.inside ?? sight.outside)
    guard seen.count < Limit.sightings, seen.insert(sighting).inserted else { return }
    write(WatchNotes.line(sighting))
  }

  // MARK: addresses

  private func lookAtAddress(_ call: zns_call, _ address: UInt64, _ length: UInt64, _ name: String) {
    var bytes = [UInt8](repeating: 0, count: Int(min(length, 128)))
    guard bytes.count > 2, zns_read_memory(call.pid, address, &bytes, bytes.count) == bytes.count,
      zns_call_waits(listener.raw, call.id) == 0
    else { return }
    switch WatchedAddress(bytes) {
    case .path(let path):
      if let whole = whole(path, call.pid, nil) { judge(whole, .read, follows: true, call.pid, name) }
    case .abstract(let text):
      guard spec.network != .host, WatchedAddress.isOutside(abstract: text) else { return }
      tell(
        Denial(kind: .network, name: "@\(text)", call: name, rule: "abstract sockets of the machine are out of reach"))
    case .host(let text):
      guard spec.network == .none else { return }
      let rule =
        sandbox.allowed.isEmpty
        ? "--network none" : "there is no route: the proxy of --network allow= connects (http_proxy names it)"
      tell(Denial(kind: .network, name: text, call: name, rule: rule))
    case .other: return
    }
  }

  // MARK: telling

  /// Each once; what is beyond the limit is counted.
  private func tell(_ denial: Denial) {
    let key = "\(denial.call) \(denial.name)"
    guard !told.contains(key) else { return }
    guard told.count < Limit.denials else {
      untold += 1
      return
    }
    told.insert(key)
    write([WatchNotes.Mark.denial] + denial.line)
  }

  private func write(_ line: [UInt8]) {
    // In memory; what there is no room for is not told.
    _ = Glibc.write(Descriptor.notes, line, line.count)
  }

  private func end() {
    if untold > 0 {
      let rest = Denial(kind: .file, name: "*", call: "*", rule: "\(untold) more calls were denied")
      write([WatchNotes.Mark.denial] + rest.line)
    }
    if most > 0 { write(WatchNotes.line(WatchNotes.Mark.processes, UInt64(most))) }
    write([WatchNotes.Mark.end, 10])
  }
}
