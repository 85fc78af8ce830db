/// What decides a zone's system call filter. Two zones with equal profiles share one compiled filter.
public struct SeccompProfile: Hashable, Sendable {
  /// What the zone keeps, in its own user namespace.
  public var capabilities: CapabilitySet
  /// Namespaces, user namespaces among them, may be made inside.
  public var nesting: Bool
  /// Without namespaces: what they keep apart elsewhere is refused here.
  public var shared: SharedKernel?
  /// The groups of calls that are left (`--calls`).
  public var groups: CallGroups

  public init(
    capabilities: CapabilitySet, nesting: Bool = false, shared: SharedKernel? = nil, groups: CallGroups = .all
  ) {
    self.capabilities = capabilities
    self.nesting = nesting
    self.shared = shared
    self.groups = groups
  }
}

/// How a sandbox without namespaces has the network, which is the host's.
public enum SharedKernel: UInt64, Sendable {
  case noNetwork = 1
  case network = 2

  static func of(_ spec: ZoneSpec, _ tier: WallTier) -> SharedKernel? {
    tier != .bare ? nil : spec.network == .host ? .network : .noNetwork
  }
}

/// What becomes of a call that a rule fits.
enum SeccompAction: Hashable {
  case allow
  /// The call is not made and answers this error of errno(3).
  case refuse(SeccompErrno)
}

/// The same numbers on all machines we run on.
enum SeccompErrno: UInt16 {
  case notPermitted = 1  // EPERM
  case noSuchCall = 38  // ENOSYS
  case noSuchFamily = 97  // EAFNOSUPPORT
}

/// A call, and what becomes of it; with a test, only where `argument & mask == value`.
///
/// The kernel takes the tested arguments as 32-bit numbers. So every mask is of 32 bits: a comparison of all 64 is
/// passed by one more bit above, which the kernel then throws away (CVE-2019-10063).
struct SeccompRule: Hashable {
  struct Test: Hashable {
    var argument: UInt32
    var mask: UInt32
    var value: UInt32
  }

  var call: String
  var action: SeccompAction
  var test: Test?
}

extension SeccompProfile {
  // linux/sched.h. CLONE_NEWTIME is of unshare(2) alone: in clone(2) that bit is part of the exit signal.
  private static let namespaceFlags: [UInt32] = [
    0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x2000_0000, 0x4000_0000,
  ]
  private static let newUser: UInt32 = 0x1000_0000
  private static let newTime: UInt32 = 0x80

  /// Keystrokes for the terminal's other side, by the program (CVE-2017-5226) and by the console's selection
  /// (TIOCLINUX, as CVE-2023-28100).
  private static let refusedTerminalRequests: [UInt32] = [0x5412, 0x541c]

  /// PER_LINUX and PER_LINUX32, each also with UNAME26, and the question. All else changes how memory is laid out
  /// or weakens it (ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC).
  private static let personalities: [UInt32] = [0, 0x8, 0x0002_0000, 0x0002_0008, 0xffff_ffff]

  /// The rules that come first: those that look at arguments. What fits none is decided by `plainRules`.
  /// - Parameter sockets: false for i386, whose socketcall(2) holds the family in memory where no filter sees it. So
  ///   that call makes no sockets there (but pairs), nor does socket(2), so that both say the same.
  func argumentRules(sockets: Bool) -> [SeccompRule] {
    var rules: [SeccompRule] = []
    let add = { (call: String, action: SeccompAction, mask: UInt32, value: UInt32) in
      rules.append(SeccompRule(call: call, action: action, test: .init(argument: 0, mask: mask, value: value)))
    }
    for request in Self.refusedTerminalRequests {
      rules.append(
        SeccompRule(
          call: "ioctl", action: .refuse(.notPermitted), test: .init(argument: 1, mask: .max, value: request)))
    }
    if !nesting {
      let mayNamespaces = capabilities.contains(.sysAdmin)
      let refused = mayNamespaces ? [Self.newUser] : Self.namespaceFlags + [Self.newUser]
      for flag in refused {
        add("clone", .refuse(.notPermitted), flag, flag)
        add("unshare", .refuse(.notPermitted), flag, flag)
      }
      if !mayNamespaces { add("unshare", .refuse(.notPermitted), Self.newTime, Self.newTime) }
    }
    for personality in Self.personalities { add("personality", .allow, .max, personality) }
    if shared != nil {
      // AF_UNIX by socketpair(2) alone, whose streams are connected for good: a datagram's would send to any path, to the
      // agents and managers that the caller has there. SOCK_RAW is another word for them; AF_TIPC has pairs too.
      for type: UInt32 in [2, 3] {
        rules.append(
          SeccompRule(
            call: "socketpair", action: .refuse(.noSuchFamily), test: .init(argument: 1, mask: 0xf, value: type)))
      }
      add("socketpair", .refuse(.noSuchFamily), .max, 30)
      // Its own limits only: those of the caller's other processes are his.
      add("prlimit64", .allow, .max, 0)
    }
    if sockets {
      for family in socketFamilies { add("socket", .allow, .max, family) }
    } else {
      add("socketcall", .refuse(.noSuchFamily), .max, 1)  // SYS_SOCKET
    }
    if groups == .all { return rules }
    return rules.filter { groups.contains(.of($0.call)) }
  }

  /// AF_UNIX, AF_INET, AF_INET6, AF_NETLINK; with CAP_NET_RAW also AF_PACKET and AF_XDP. The others are the kernel's
  /// least looked at corners (AF_ALG, AF_TIPC, AF_RDS …) or lead out of the zone: AF_VSOCK knows no namespaces, and
  /// goes to the hypervisor.
  private var socketFamilies: [UInt32] {
    switch shared {
    case .noNetwork: return []
    case .network: return [2, 10, 16]
    case nil: break
    }
    return [1, 2, 10, 16] + (capabilities.contains(.netRaw) ? [17, 44] : [])
  }

  /// One rule a call, without tests. A call that is not among them does not exist: ENOSYS.
  func plainRules() -> [SeccompRule] {
    var rules: [SeccompRule] = []
    let add = { (calls: [String], action: SeccompAction) in
      rules += calls.map { SeccompRule(call: $0, action: action, test: nil) }
    }
    let ofShared = shared == nil ? [] : SeccompTables.names(SeccompTables.sharedKernel)
    add(
      (SeccompTables.names(SeccompTables.allowed) + SeccompTables.names(SeccompTables.allowedNewer)).filter {
        !ofShared.contains($0) && (shared == nil || $0 != "prlimit64")
      }, .allow)
    add(ofShared, .refuse(.noSuchCall))
    if shared != nil { add(["prlimit64"], .refuse(.notPermitted)) }
    add(SeccompTables.names(SeccompTables.refused), .refuse(.notPermitted))
    for entry in SeccompTables.conditional {
      let may = nesting && entry.nesting || entry.capabilities.contains(where: capabilities.contains)
      add(SeccompTables.names(entry.calls), may ? .allow : .refuse(.notPermitted))
    }
    // Its flags lie in memory, where no filter sees them; on ENOSYS the C libraries take clone(2).
    add(["clone3"], nesting ? .allow : .refuse(.noSuchCall))
    add(["personality"], .refuse(.notPermitted))
    // What a kernel without that family says, so that programs try the next.
    add(["socket"], .refuse(.noSuchFamily))
    if groups == .all { return rules }
    return rules.map { rule in
      if groups.contains(.of(rule.call)) || rule.action == .refuse(.noSuchCall) { return rule }
      return SeccompRule(call: rule.call, action: .refuse(.notPermitted), test: nil)
    }
  }
}
