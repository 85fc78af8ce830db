internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// What of the machine a sandbox without namespaces may read, looked up path by path.
extension Zones {
  func addBareFacts(_ spec: ZoneSpec, to facts: inout HostFacts) throws(ZoneError) {
    facts.readable = try attempt("look at the host's /etc") { () throws(SyscallError) in
      try PublicEtc(network: spec.network == .host).paths()
    }
    for path in Self.bareKernelFiles {
      facts.readable.append(ReadablePath(path: path, isDirectory: false, why: "what the machine is"))
    }
    facts.readable.append(
      ReadablePath(path: "/sys/devices/system/cpu", isDirectory: true, why: "what the machine is"))
    if spec.limits.pids != nil { facts.ownProcesses = try Self.processes(of: facts.uid) }
  }

  /// Of /proc nothing that is about a process: a rule is about a file, and would be about everybody's.
  private static let bareKernelFiles = [
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/version",
    "/proc/filesystems", "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/osrelease", "/proc/sys/kernel/ostype",
    "/proc/sys/kernel/ngroups_max", "/proc/sys/kernel/pid_max", "/proc/sys/kernel/cap_last_cap",
  ]

  /// How many processes and threads a user has, as RLIMIT_NPROC counts them.
  static func processes(of uid: UInt32) throws(ZoneError) -> UInt64 {
    let names = try attempt("count the processes of uid \(uid)") { () throws(SyscallError) in
      try FileSystem.list("/proc")
    }
    var count: UInt64 = 0
    for name in names where name.utf8.allSatisfy({ (48...57).contains($0) }) {
      // One that has ended since does not count.
      guard let bytes = try? FileSystem.read("/proc/\(name)/status") else { continue }
      let word = { (head: String) -> UInt64? in
        guard let line = bytes.split(separator: 10).first(where: { $0.starts(with: head.utf8) }) else { return nil }
        return line.dropFirst(head.utf8.count).split(separator: 9).first.flatMap {
          UInt64(String(decoding: $0, as: UTF8.self))
        }
      }
      if word("Uid:") == UInt64(uid) { count += word("Threads:") ?? 1 }
    }
    return count
  }
}

/// The public part of the host's /etc: folders as a whole where all in them is, else what of them is. A name that comes up
/// later in a folder that was divided is out of sight.
struct PublicEtc {
  var source = "/etc"
  var network: Bool

  /// Of what `EtcTemplate` leaves out because a zone has its own: here there is none.
  private static let shared: Set<String> = ["passwd", "group", "hosts", "mtab"]

  init(source: String = "/etc", network: Bool) {
    self.source = source
    self.network = network
  }

  func paths() throws(SyscallError) -> [ReadablePath] {
    var found: [ReadablePath] = []
    _ = try divide(source, relative: "", &found)
    return found
  }

  private func isLeftOut(_ relative: String) -> Bool {
    if relative == "resolv.conf" { return !network }
    return EtcTemplate.excluded.contains(relative) && !Self.shared.contains(relative)
  }

  /// - Returns: whether all in the folder is public; then `found` is left to whoever asks.
  private func divide(_ folder: String, relative: String, _ found: inout [ReadablePath]) throws(SyscallError) -> Bool {
    var parts: [ReadablePath] = []
    var isWhole = !relative.isEmpty
    for name in try FileSystem.list(folder) {
      let inside = relative.isEmpty ? name : "\(relative)/\(name)"
      let path = "\(folder)/\(name)"
      var status = stat()
      guard lstat(path, &status) == 0 else { continue }  // gone since
      let kind = status.st_mode & S_IFMT
      if isLeftOut(inside) {
        isWhole = false
      } else if kind == S_IFLNK {
        // Where it leads counts: to another part of /etc, or to what has a rule of its own.
        if inside == "resolv.conf", let real = try? Paths.real(path) {
          parts.append(ReadablePath(path: real, isDirectory: false, why: "the public part of /etc"))
        }
      } else if kind == S_IFDIR, status.st_mode & 0o005 == 0o005 {
        if try divide(path, relative: inside, &parts) {
          parts.append(ReadablePath(path: path, isDirectory: true, why: "the public part of /etc"))
        } else {
          isWhole = false
        }
      } else if kind == S_IFREG, status.st_mode & 0o004 != 0 {
        parts.append(ReadablePath(path: path, isDirectory: false, why: "the public part of /etc"))
      } else {
        isWhole = false
      }
    }
    if isWhole { return true }
    found += parts
    return false
  }
}
