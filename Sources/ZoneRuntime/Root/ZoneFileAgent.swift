internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// A process of ours in the zone, with its root's rights and no more, that opens files there and hands the descriptors
/// out (Stage/files.c): the host never resolves a path of the zone's.
struct ZoneFileAgent: ~Copyable {
  private let link: KeeperLink
  private let execution: Execution

  init(_ link: consuming KeeperLink, _ execution: consuming Execution) {
    self.link = link
    self.execution = execution
  }

  func open(_ path: String, _ flags: CInt, mode: UInt32 = 0) throws(SyscallError) -> OwnedFD {
    var fds: [CInt] = []
    let answer = try ask(STAGE_FILE_OPEN, flags, Int32(bitPattern: mode), Array(path.utf8), &fds)
    if case .no(let number) = answer { throw SyscallError(call: "open", errno: number, path: path) }
    guard answer == .descriptors, let fd = fds.first else {
      throw SyscallError(call: "open", errno: EPROTO, path: path)
    }
    return OwnedFD(raw: fd)
  }

  func makeDirectory(_ path: String, mode: UInt32) throws(SyscallError) {
    try done(STAGE_FILE_MKDIR, 0, Int32(bitPattern: mode), Array(path.utf8), "mkdir", path)
  }

  func makeLink(_ path: String, to target: String) throws(SyscallError) {
    let bytes = Array(target.utf8)
    try done(STAGE_FILE_SYMLINK, 0, Int32(bytes.count), bytes + Array(path.utf8), "symlink", path)
  }

  private func done(
    _ kind: stage_file_request, _ first: Int32, _ second: Int32, _ rest: [UInt8], _ call: String, _ path: String
  ) throws(SyscallError) {
    var fds: [CInt] = []
    let answer = try ask(kind, first, second, rest, &fds)
    guard case .no(let number) = answer else { throw SyscallError(call: call, errno: EPROTO, path: path) }
    if number != 0 { throw SyscallError(call: call, errno: number, path: path) }
  }

  private func ask(
    _ kind: stage_file_request, _ first: Int32, _ second: Int32, _ rest: [UInt8], _ fds: inout [CInt]
  ) throws(SyscallError) -> StageMessage? {
    var bytes: [UInt8] = [UInt8(kind.rawValue)]
    withUnsafeBytes(of: first) { bytes += $0 }
    withUnsafeBytes(of: second) { bytes += $0 }
    bytes += rest
    guard bytes.count < Int(STAGE_MESSAGE_ROOM) else { throw SyscallError(call: "sendmsg", errno: ENAMETOOLONG) }
    try check(zns_send_fds(link.socket.raw, bytes, bytes.count, nil, 0), "sendmsg")
    return try link.receive(timeout: 30_000, descriptors: &fds)
  }
}

extension Zones {
  func fileAgent(_ name: String) throws(ZoneError) -> ZoneFileAgent {
    let (files, spec, record, keeper) = try living(name, verb: "cp")
    guard let link = try KeeperLink.connect(files) else {
      throw .state(zone: name, state: .down, verb: "cp", hint: "start it first")
    }
    var stage = StagePlan(mode: .files, tier: record.tier == .root ? .host : .user)
    var request = ExecRequest(command: ["cp"])
    request.user = "0:0"
    request.workdir = "/"
    let facts = try execFacts(spec, record, request)
    stage.process = facts.ops.map { $0.op }
    stage.denySetgroups = record.tier == .single
    stage.keepIdentity = record.uids.first?.inside != 0
    let way = try wayIn(name, record, keeper, link)
    way.lend(to: &stage)
    let sockets = try attempt("copy files of zone \(name)") { () throws(SyscallError) in
      try DescriptorPair.sockets(SocketType.packets)
    }
    let null = try attempt("open /dev/null") { () throws(SyscallError) in try OwnedFD.open("/dev/null", O_RDWR) }
    stage.descriptors.standardInput = sockets.second.raw
    stage.descriptors.standardOutput = null.raw
    stage.descriptors.standardError = null.raw
    let process = try attempt("copy files of zone \(name)") { () throws(SyscallError) -> StageProcess in
      let process = try StageProcess.begin(.execution, name: name)
      try process.send(stage)
      return process
    }
    withExtendedLifetime(way) {}
    let execution = try awaitExecuted(process, name, request, facts.ops, terminal: nil)
    return ZoneFileAgent(KeeperLink(sockets.takeFirst()), execution)
  }
}
