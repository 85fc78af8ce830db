internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// A process as it is known on disk: its pid and when it started (the boot it belongs to stands beside it).
struct ProcessRecord: Equatable, Sendable {
  var pid: Int32
  /// Field 22 of /proc/PID/stat, clock ticks since the machine started (proc(5)).
  var started: UInt64

  static func of(_ pid: Int32) -> (record: ProcessRecord, zombie: Bool)? {
    guard let bytes = try? FileSystem.read("/proc/\(pid)/stat", limit: 4096),
      let close = bytes.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    let fields = bytes[(close + 1)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 19, let started = UInt64(String(decoding: fields[19], as: UTF8.self)) else { return nil }
    return (ProcessRecord(pid: pid, started: started), fields[0].elementsEqual([UInt8(ascii: "Z")]))
  }

  var isAlive: Bool {
    guard let (record, zombie) = Self.of(pid) else { return false }
    return record == self && !zombie
  }

  /// Ends it if it is still the same process, and reaps it where it is our child.
  func end() throws(NetworkError) {
    do {
      let process = try Pidfd.open(pid)
      guard let (record, _) = Self.of(pid), record == self else { return }
      try process.signal(SIGKILL)  // it holds nothing that needs an orderly end
      _ = try process.waitUntilEnd(timeout: 2000)
      var code: CInt = 0
      var status: CInt = 0
      _ = zns_wait_pidfd(process.fd.raw, WNOHANG, &code, &status)  // ECHILD where another started it
    } catch {
      if error.errno != ESRCH { throw .system("end the network's helper \(pid)", error) }
    }
  }

  /// The machine's start: /proc/sys/kernel/random/boot_id.
  static func bootId() throws(NetworkError) -> String {
    do { return try BootId.current() } catch {
      throw .system("read the machine's boot id", error)
    }
  }
}
