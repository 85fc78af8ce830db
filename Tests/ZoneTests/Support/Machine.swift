import Foundation
import Glibc
import Testing

/// What this machine holds that a zone could have left behind.
struct Machine {
  /// A kind of thing, and each one of it by a name that lasts.
  var things: [String: [String]] = [:]

  static func snapshot() throws -> Machine {
    var machine = Machine()
    machine.things = [
      "descriptor": descriptors(), "mount": mounts(), "cgroup": cgroups(), "link": links(),
      "process": processes(), "sysctl": sysctls(), "file": files(), "nft rule": try rules(),
    ]
    return machine
  }

  /// What is in one and not in the other: `+ kind: thing` for what came, `- kind: thing` for what went.
  func differences(to later: Machine) -> [String] {
    var found: [String] = []
    for kind in things.keys.sorted() {
      var left = things[kind] ?? []
      for thing in later.things[kind] ?? [] {
        if let index = left.firstIndex(of: thing) {
          left.remove(at: index)
        } else {
          found.append("+ \(kind): \(thing)")
        }
      }
      // A process that ends in time was somebody else's to end: only one that stays is a leak.
      if kind != "process" { found += left.map { "- \(kind): \($0)" } }
    }
    return found
  }

  /// Fails the case where the machine does not become as it was within `timeout` seconds: a network namespace, and the
  /// links in it, end some time after their last process.
  func expectNoLeak(timeout: Double = 5, sourceLocation: SourceLocation = #_sourceLocation) throws {
    var found: [String] = []
    _ = try eventually(timeout: timeout) {
      found = differences(to: try Machine.snapshot())
      return found.isEmpty
    }
    if !found.isEmpty {
      Issue.record("left behind, or missing:\n\(found.joined(separator: "\n"))", sourceLocation: sourceLocation)
    }
  }

  private static func names(in directory: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: directory))?.sorted() ?? []
  }

  /// This process's own, but for those that the Swift runtime keeps to itself.
  private static func descriptors() -> [String] {
    names(in: "/proc/self/fd").compactMap { number in
      guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)") else {
        return nil
      }
      // Numbers of sockets, pipes and processes differ from one to the next; how many there are does not.
      let kind = target.split(separator: ":").first.map(String.init) ?? target
      if ["socket", "pipe"].contains(kind) { return kind }
      if kind == "anon_inode" { return target.contains("pidfd") ? "pidfd" : nil }
      return target.hasPrefix("/proc/") || target == "/dev/urandom" ? nil : target
    }
  }

  /// Of this network namespace; /sys/class/net would be that of whoever mounted /sys.
  private static func links() -> [String] {
    (contents("/proc/self/net/dev") ?? "").split(separator: "\n").dropFirst(2).compactMap { line in
      line.split(separator: ":").first.map { $0.trimmingCharacters(in: .whitespaces) }
    }
  }

  /// But for what `ip netns` leaves when it is used for the first time.
  private static func mounts() -> [String] {
    (contents("/proc/self/mountinfo") ?? "").split(separator: "\n").compactMap { line in
      let fields = line.split(separator: " ")
      if fields[4] == "/run/netns" { return nil }
      let type = fields.firstIndex(of: "-").map { fields[($0 + 1)...].prefix(2).joined(separator: " ") } ?? ""
      return "\(fields[3]) on \(fields[4]) \(type)"
    }
  }

  /// Groups of ours in every hierarchy. Each is looked at by itself: an enumerator does not go into what is mounted below.
  private static func cgroups() -> [String] {
    let place = "/sys/fs/cgroup"
    var found: [String] = []
    for top in names(in: place) {
      if top.contains("zone") { found.append(top) }
      guard let walk = FileManager.default.enumerator(atPath: "\(place)/\(top)") else { continue }
      for case let path as String in walk where path.contains("zone") {
        if walk.fileAttributes?[.type] as? FileAttributeType == .typeDirectory { found.append("\(top)/\(path)") }
      }
    }
    return found.sorted()
  }

  /// Processes of ours by what they execute: our programs, the sealed stage, and pasta.
  static func processes() -> [String] {
    names(in: "/proc").compactMap { pid in
      guard Int32(pid) != nil,
        let exe = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")
      else { return nil }
      let name = exe.split(separator: "/").last.map(String.init) ?? exe
      let ours = ["zonectl", "orchestrator", "zone-oci", "pasta", "pasta.avx2"].contains { name.hasPrefix($0) }
      return ours || exe.hasPrefix("/memfd:zone-stage") ? "\(pid) \(exe)" : nil
    }
  }

  private static func sysctls() -> [String] {
    [
      "net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", "net/ipv4/conf/default/forwarding",
      "net/ipv4/conf/all/route_localnet", "net/ipv4/conf/default/route_localnet", "net/ipv4/conf/all/rp_filter",
      "net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding", "net/ipv6/conf/all/accept_ra",
      "net/ipv6/conf/default/accept_ra", "net/bridge/bridge-nf-call-iptables", "user/max_user_namespaces",
    ].map { "\($0) = \(contents("/proc/sys/\($0)")?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "none")" }
  }

  /// What the standard places hold; a case's own `--root` is compared by Zonectl.
  private static func files() -> [String] {
    ["/run/zones", "/var/lib/zones", "/run/netns"].flatMap { folder in names(in: folder).map { "\(folder)/\($0)" } }
  }

  /// Rules without their counters' values (`nft --stateless`).
  private static func rules() throws -> [String] {
    guard geteuid() == 0, Command.find("nft") != nil else { return [] }
    let outcome = try Command("nft", "--stateless", "list", "ruleset").run()
    var table = ""
    return outcome.lines.map { line in
      if line.hasPrefix("table ") { table = line }
      return line.hasPrefix("table ") ? line : "\(table) \(line.trimmingCharacters(in: .whitespaces))"
    }
  }
}
