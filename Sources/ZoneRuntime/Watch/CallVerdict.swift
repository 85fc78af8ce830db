/// Why the filter refuses a call, in words: from the tables that the filter was made of.
struct CallVerdict {
  let profile: SeccompProfile

  /// - Returns: how the call is told, with the argument that decided, and the rule.
  func words(_ call: String, _ arguments: [UInt64]) -> (name: String, rule: String) {
    let first = UInt32(truncatingIfNeeded: arguments.first ?? 0)
    let second = UInt32(truncatingIfNeeded: arguments.count > 1 ? arguments[1] : 0)
    let group = CallGroups.of(call)
    if !profile.groups.contains(group) {
      return (call, "the group \(group.words.first ?? "base") is not among --calls")
    }
    switch call {
    case "socket", "socketcall":
      return ("\(call) \(Self.family(first))", "families of sockets: unix, inet, inet6 and netlink alone")
    case "clone", "unshare":
      return ("\(call) \(Self.namespaces(first))", "namespaces: none can be made inside (--nesting)")
    case "ioctl":
      let name = second == 0x5412 ? "TIOCSTI" : second == 0x541c ? "TIOCLINUX" : "0x" + String(second, radix: 16)
      return ("ioctl \(name)", "keystrokes for a terminal")
    case "personality": return ("personality 0x" + String(first, radix: 16), "another layout of memory")
    default: break
    }
    if let row = SeccompTables.conditional.first(where: { SeccompTables.names($0.calls).contains(call) }) {
      let powers = row.capabilities.map { $0.description }.joined(separator: " or ")
      let opened = row.nesting ? (powers.isEmpty ? "--nesting" : "\(powers) or --nesting") : powers
      return (call, "privileged: wants \(opened)")
    }
    return (call, "no zone has it: wide kernel code, or the machine's own business")
  }

  private static func family(_ number: UInt32) -> String {
    let known: [(UInt32, String)] = [
      (1, "AF_UNIX"), (2, "AF_INET"), (10, "AF_INET6"), (15, "AF_KEY"), (16, "AF_NETLINK"), (17, "AF_PACKET"),
      (21, "AF_RDS"), (30, "AF_TIPC"), (31, "AF_BLUETOOTH"), (38, "AF_ALG"), (40, "AF_VSOCK"), (44, "AF_XDP"),
    ]
    return known.first { $0.0 == number }?.1 ?? "\(number)"
  }

  private static func namespaces(_ flags: UInt32) -> String {
    let known: [(UInt32, String)] = [
      (0x80, "CLONE_NEWTIME"), (0x0002_0000, "CLONE_NEWNS"), (0x0200_0000, "CLONE_NEWCGROUP"),
      (0x0400_0000, "CLONE_NEWUTS"), (0x0800_0000, "CLONE_NEWIPC"), (0x1000_0000, "CLONE_NEWUSER"),
      (0x2000_0000, "CLONE_NEWPID"), (0x4000_0000, "CLONE_NEWNET"),
    ]
    return known.filter { flags & $0.0 != 0 }.map { $0.1 }.joined(separator: "|")
  }
}
