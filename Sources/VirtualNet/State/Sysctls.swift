internal import Glibc
internal import LinuxNS

/// Settings of the host that we had to change, and what they were: `RUN/networks/.sysctls`.
///
/// Noted before the change, so that a kill in between leaves a note without a change, never the reverse.
struct Sysctls: Equatable, Sendable {
  struct Change: Equatable, Sendable {
    /// Below /proc/sys, `net/ipv4/ip_forward`.
    var path: String
    var before: String
    var set: String
  }

  /// The machine's start it belongs to.
  var boot: String
  var changes: [Change] = []
  /// The networks that need them; their count is the count of users.
  var users: [String] = []

  private static let kind = "zones-sysctls"
  private static let mend = "remove it and check net.ipv4.ip_forward by hand"

  /// - Returns: an empty note where there is none, or one of an earlier start of the machine.
  static func read(_ path: String, boot: String) throws(NetworkError) -> Sysctls {
    guard let bytes = try RecordFile.read(path) else { return Sysctls(boot: boot) }
    return try Sysctls(bytes, path: path, boot: boot)
  }

  init(boot: String) { self.boot = boot }

  init(_ bytes: [UInt8], path: String, boot: String) throws(NetworkError) {
    var result = Sysctls(boot: boot)
    var current = true
    try RecordFile.parse(bytes, kind: Self.kind, version: 1, path: path, mend: Self.mend) { line in
      switch (line.kind, line.count) {
      case ("boot", 2): current = line[1] == boot
      case ("set", 4): result.changes.append(Change(path: line[1], before: line[2], set: line[3]))
      case ("user", 2): result.users.append(line[1])
      default: return false
      }
      return true
    }
    self = current ? result : Sysctls(boot: boot)
  }

  var bytes: [UInt8] {
    var file = RecordFile.Writer(kind: Self.kind, version: 1)
    file.line("boot", boot)
    for change in changes { file.line("set", change.path, change.before, change.set) }
    for user in users { file.line("user", user) }
    return file.bytes
  }

  static func value(_ path: String) throws(NetworkError) -> String {
    do { return try FileSystem.readLine("/proc/sys/\(path)") } catch {
      throw .system("read sysctl \(dotted(path))", error)
    }
  }

  static func write(_ path: String, _ value: String) throws(NetworkError) {
    do { try FileSystem.writeKernelFile("/proc/sys/\(path)", value) } catch {
      throw .system("set sysctl \(dotted(path)) to \(value)", error)
    }
  }

  /// `net.ipv4.ip_forward`; for settings whose last part is an interface's the slashes stay, as sysctl(8) has them.
  static func dotted(_ path: String) -> String { path.split(separator: "/").joined(separator: ".") }

  static let forwarding = "net/ipv4/ip_forward"
  /// On our own bridge only: answers to a flow from 127.0.0.1 are then not martian there. It goes with the bridge.
  static func routeLocalnet(_ bridge: String) -> String { "net/ipv4/conf/\(bridge)/route_localnet" }
}
