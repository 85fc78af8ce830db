internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import VirtualNet

/// The proxy of a sandbox that may reach hosts by name: begun while the command waits at its gate, ended with the sandbox.
struct SandboxEgress: ~Copyable {
  private let process: Pidfd
  /// The proxy ends when this end has gone; nobody but the launcher has it.
  private let lifeline: OwnedFD
  /// In memory; read when the proxy has ended.
  private let denials: OwnedFD

  static func start(_ allowed: [String], network: borrowing OwnedFD, zonectl: String) throws(ZoneError) -> SandboxEgress
  {
    let lines = try attempt("start the sandbox's proxy") { () throws(SyscallError) in
      OwnedFD(raw: CInt(try check(zns_memfd_create("zone-denials", 1 /* MFD_CLOEXEC */), "memfd_create")))
    }
    let ends = try attempt("start the sandbox's proxy") { () throws(SyscallError) in
      try DescriptorPair.sockets(SocketType.stream)
    }
    let theirs = try attempt("start the sandbox's proxy") { () throws(SyscallError) in
      EgressProxy.Ends(lifeline: try ends.second.duplicate(), denials: try lines.duplicate())
    }
    do throws(NetworkError) {
      let rules = try EgressRules(planned: allowed)
      let running = try EgressProxy.start(rules, network: network, ends: theirs, executable: zonectl)
      // The command's environment names it, and was planned before.
      guard running.port == EgressProxy.port else {
        throw .conflict("port \(EgressProxy.port) of the sandbox's own 127.0.0.1 is taken")
      }
      return SandboxEgress(process: running.takeProcess(), lifeline: ends.takeFirst(), denials: lines)
    } catch { throw .refused("cannot start the sandbox's proxy: \(error)") }
  }

  /// Ends it.
  /// - Returns: what it has refused.
  borrowing func end() -> [Denial] {
    shutdown(lifeline.raw, CInt(SHUT_RDWR))
    // One that does not end is killed with us; what it told until now counts.
    if (try? process.waitUntilEnd(timeout: 2000)) == true { _ = try? process.reap() }
    var bytes: [UInt8] = []
    var room = [UInt8](repeating: 0, count: 65536)
    while true {
      let got = pread(denials.raw, &room, room.count, off_t(bytes.count))
      guard got > 0 else { break }
      bytes += room[..<got]
    }
    return bytes.split(separator: 10).compactMap { line in
      try? JSON.decode(Denial.self, from: Array(line), name: "a denial")
    }
  }
}
