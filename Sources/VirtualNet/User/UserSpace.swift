internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The namespaces of an ordinary user's network: a user namespace in which he is root, and a network namespace of it
/// with the bridge, the rules and pasta's link.
///
/// Nobody of ours goes in. Its netlink sockets are made by a child that joins for a moment, and used from the user's own
/// namespace: there he has power both over these namespaces and over his zones' (user_namespaces(7): who made a user
/// namespace is all-powerful in it as seen from its parent), while a process that has joined the one has none over the
/// other, and a pair of links needs both.
final class UserSpace: Sendable {
  /// The network namespace; the user namespace is the one that owns it (ioctl_nsfs(2)).
  let network: OwnedFD
  let user: OwnedFD

  private init(user: consuming OwnedFD, network: consuming OwnedFD) {
    self.user = user
    self.network = network
  }

  /// Makes a pair, which lives as long as somebody holds it.
  static func make() throws(NetworkError) -> UserSpace {
    var user: CInt = -1
    var network: CInt = -1
    var step: CInt = 0
    let result = zns_make_user_network(&user, &network, &step)
    guard result == 0 else {
      let what = ["make a user namespace", "map the ids", "open the namespaces", "forward packets"][Int(step)]
      throw .system(
        "make the network's namespaces: cannot \(what) (are user namespaces on? see zonectl features)",
        SyscallError(call: ["clone", "write", "open", "write"][Int(step)], errno: CInt(-result)))
    }
    return UserSpace(user: OwnedFD(raw: user), network: OwnedFD(raw: network))
  }

  /// The pair that a network's helper holds.
  /// - Returns: nil where the helper does not live.
  static func held(by helper: ProcessRecord?) throws(NetworkError) -> UserSpace? {
    guard let helper, helper.isAlive else { return nil }
    do {
      let network = try OwnedFD.open(path(of: helper), O_RDONLY)
      let user = OwnedFD(raw: CInt(try check(zns_ioctl(network.raw, 0xb701, 0), "ioctl NS_GET_USERNS")))
      guard helper.isAlive else { return nil }  // else the number may be another's by now
      return UserSpace(user: user, network: network)
    } catch {
      if !helper.isAlive { return nil }
      throw .system("open the network's namespaces", error)
    }
  }

  /// The network namespace as a path that programs can open which have joined the user namespace.
  static func path(of helper: ProcessRecord) -> String {
    "/proc/\(helper.pid)/fd/\(HelperProcess.namespaceDescriptor)"
  }
  static func userPath(of helper: ProcessRecord) -> String { "/proc/\(helper.pid)/ns/user" }

  /// A socket in the network namespace.
  func socket(_ family: CInt, _ type: CInt, flags: CInt = 0) throws(SyscallError) -> OwnedFD {
    try Self.socket(in: network, family, type | flags)
  }

  /// A socket in a network namespace of ours in which we have no power: a user network's, or a zone's.
  static func socket(in namespace: borrowing OwnedFD, _ family: CInt, _ type: CInt, _ protocol: CInt = 0)
    throws(SyscallError) -> OwnedFD
  {
    var kind = zns_socket_kind(domain: family, type: type, protocol: `protocol`)
    var number: CInt = -1
    try check(zns_sockets_in(namespace.raw, &kind, 1, &number), "setns")
    return OwnedFD(raw: number)
  }
}
