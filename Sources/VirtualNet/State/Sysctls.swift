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
    var result = Sysctls(boot: boot)
    guard let file = try RecordFile.read(path, kind: kind, version: 1, mend: mend) else { return result }
    for (line, words) in file.records.enumerated() {
      switch (words.first, words.count) {
      case ("boot", 2): if words[1] != boot { return result }
      case ("set", 4): result.changes.append(Change(path: words[1], before: words[2], set: words[3]))
      case ("user", 2): result.users.append(words[1])
      default: throw .damaged(path: path, line: line + 2, mend: mend)
      }
    }
    return result
  }

  var bytes: [UInt8] {
    RecordFile.text(
      kind: Self.kind, version: 1,
      [["boot", boot]] + changes.map { ["set", $0.path, $0.before, $0.set] } + users.map { ["user", $0] })
  }

  static func value(_ path: String) throws(NetworkError) -> String {
    do { return try FileSystem.readLine("/proc/sys/\(path)") } catch { throw .system("read sysctl \(dotted(path))", error) }
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
