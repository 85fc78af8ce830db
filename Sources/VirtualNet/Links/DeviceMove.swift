internal import Glibc
public import LinuxNS

/// Network devices of the caller's network namespace that are moved into another one, with their permanent addresses, and
/// set up there ("Network Devices" in config-linux.md of the OCI runtime specification). From then on they are that
/// namespace's: at its end the kernel gives physical ones back and destroys virtual ones (network_namespaces(7)). Only where
/// the container does not come about are they given back, as they were, by `giveBack`.
public struct DeviceMove: ~Copyable {
  private let namespace: OwnedFD
  private var moved: [Moved] = []

  private struct Moved {
    var name: String
    /// In its new namespace.
    var index: UInt32
    var settings: DeviceSettings
  }

  /// - Parameter namespace: where they go.
  /// - Throws: where that is the caller's own.
  public init(into namespace: consuming OwnedFD) throws(NetworkError) {
    let own = try system("open the own network namespace") { () throws(SyscallError) in try Self.home() }
    var (here, there) = (stat(), stat())
    guard fstat(own.raw, &here) == 0, fstat(namespace.raw, &there) == 0 else {
      throw .system("look at the network namespaces", SyscallError(call: "fstat", errno: errno))
    }
    if here.st_ino == there.st_ino, here.st_dev == there.st_dev {
      throw .conflict("the container shares the runtime's own network namespace")
    }
    self.namespace = namespace
  }

  private static func home() throws(SyscallError) -> OwnedFD { try OwnedFD.open("/proc/thread-self/ns/net", O_RDONLY) }

  /// `ip link set dev NAME netns NAMESPACE name INSIDE`, its addresses, and `ip link set dev INSIDE up`.
  /// - Parameter inside: may end with `%d`, for which the kernel takes the first free number.
  public mutating func move(_ name: String, as inside: String) throws(NetworkError) {
    var home = try NetlinkSocket(.route)
    guard let link = try Link.find(name, on: &home) else { throw .notFound("there is no network device '\(name)'") }
    let settings = try DeviceSettings(of: link, on: &home)
    // By a name that is nobody's: one that is taken in there is found out when it can be told as such, and a name that
    // the kernel makes up is known by its index.
    let passing = "zn\(getpid())-\(moved.count)"
    try home.perform("move it", Self.change(link.index, name: passing, namespace: namespace.raw))
    var there = try NetlinkSocket.inside(namespace, .route)
    guard let arrived = try Link.find(passing, on: &there) else {
      throw .conflict("it was taken away while it was moved")
    }
    moved.append(Moved(name: name, index: arrived.index, settings: settings))
    try there.perform("call it '\(inside)' in there", Self.change(arrived.index, name: inside))
    try there.perform(settings.global(of: arrived.index, verb: "keep its addresses"))
    try there.perform("set it up", Link.setUp(arrived.index))
  }

  /// Undoes all moves, the last one first.
  /// - Returns: what could not be undone.
  public mutating func giveBack() -> [NetworkError] {
    var failures: [NetworkError] = []
    while let device = moved.popLast() {
      do throws(NetworkError) { try giveBack(device) } catch { failures.append(error) }
    }
    return failures
  }

  private func giveBack(_ device: Moved) throws(NetworkError) {
    let own = try system("open the own network namespace") { () throws(SyscallError) in try Self.home() }
    var there = try NetlinkSocket.inside(namespace, .route)
    try there.perform(
      "give back network device \(device.name)", Self.change(device.index, name: device.name, namespace: own.raw))
    var home = try NetlinkSocket(.route)
    guard let link = try Link.find(device.name, on: &home) else { return }
    try home.perform(device.settings.all(of: link.index, verb: "restore network device \(device.name)"))
  }

  /// `ip link set dev INDEX name NAME`, and `netns NAMESPACE`
  private static func change(_ index: UInt32, name: String, namespace: CInt? = nil) -> NetlinkMessage {
    var message = Link.message(Link.setLink, flags: NetlinkFlag.acknowledge, index: index)
    message.attribute(Link.Attribute.name, string: name)
    if let namespace { message.attribute(Link.Attribute.namespaceFD, number: namespace) }
    return message
  }
}

/// What a device loses on its way into another namespace: all but what it is itself (its hardware address, its MTU).
struct DeviceSettings: Sendable {
  typealias Step = (verb: String, message: NetlinkMessage, tolerating: [CInt])

  private let name: String
  private let isUp: Bool
  private let master: UInt32
  /// As the kernel told them.
  private let addresses: [NetlinkReply]
  private let routes: [NetlinkReply]

  private enum Number {
    static let newAddress: UInt16 = 20, getAddress: UInt16 = 22, newRoute: UInt16 = 24, getRoute: UInt16 = 26
    static let label: UInt16 = 3, flags: UInt16 = 8  // IFA_LABEL, IFA_FLAGS
    static let outgoing: UInt16 = 4  // RTA_OIF
  }

  init(of link: LinkState, on socket: inout NetlinkSocket) throws(NetworkError) {
    (name, isUp, master) = (link.name, link.isUp, link.master)
    let index = link.index
    addresses = try socket.dump(Self.all(Number.getAddress, headerLength: 8), "list its addresses").filter {
      Self.isPermanent($0) && $0.payload.number(UInt32.self, at: 4) == index
    }
    routes = try socket.dump(Self.all(Number.getRoute, headerLength: 12), "list its routes").filter {
      // struct rtmsg's protocol: those that the kernel makes (2) and hears of routers (9) come back by themselves.
      ![2, 9].contains($0.payload.dropFirst(5).first)
        && $0.attributes(after: 12).number(Number.outgoing, as: UInt32.self) == index
    }
  }

  /// IFA_F_PERMANENT: nobody who gave it (a DHCP server, a router) takes it away again.
  private static func isPermanent(_ reply: NetlinkReply) -> Bool {
    let flags =
      reply.attributes(after: 8).number(Number.flags, as: UInt32.self)
      ?? reply.payload.dropFirst(2).first.map { UInt32($0) } ?? 0
    return flags & 0x80 != 0
  }

  /// RT_SCOPE_UNIVERSE: what the outside knows it by.
  private static func isGlobal(_ reply: NetlinkReply) -> Bool { reply.payload.dropFirst(3).first == 0 }

  private static func all(_ type: UInt16, headerLength: Int) -> NetlinkMessage {
    var message = NetlinkMessage(type: type, flags: NetlinkFlag.request | NetlinkFlag.dump)
    message.append([UInt8](repeating: 0, count: headerLength))  // AF_UNSPEC: every family
    return message
  }

  /// `ip addr restore`: those that go with it.
  func global(of index: UInt32, verb: String) -> [Step] { steps(addresses.filter(Self.isGlobal), index, verb) }

  private func steps(_ addresses: [NetlinkReply], _ index: UInt32, _ verb: String) -> [Step] {
    addresses.map { reply in
      var message = Self.made(Number.newAddress)
      message.append(Array(reply.payload.prefix(4)))
      message.append(index)
      for (type, value) in reply.attributes(after: 8).all {
        // The label begins with the device's name (address_label in ip-address(8)): it goes by its new one.
        if type == Number.label { continue }
        message.attribute(type, value)
      }
      return (verb, message, [EEXIST])  // a link-local one of IPv6 comes by itself
    }
  }

  /// Its place, its addresses, and its routes, as it is where it was taken from.
  func all(of index: UInt32, verb: String) -> [Step] {
    var steps: [Step] = []
    if master != 0 {
      var message = Link.message(Link.setLink, flags: NetlinkFlag.acknowledge, index: index)
      message.attribute(Link.Attribute.master, number: master)
      steps.append((verb, message, []))
    }
    steps += self.steps(addresses, index, verb)
    guard isUp else { return steps }
    steps.append((verb, Link.setUp(index), []))
    for reply in routes {
      var message = Self.made(Number.newRoute)
      message.append(Array(reply.payload.prefix(12)))
      for (type, value) in reply.attributes(after: 12).all {
        if type == Number.outgoing {
          message.attribute(type, number: index)
        } else {
          message.attribute(type, value)
        }
      }
      steps.append((verb, message, [EEXIST]))
    }
    return steps
  }

  private static func made(_ type: UInt16) -> NetlinkMessage {
    NetlinkMessage(type: type, flags: NetlinkFlag.request | NetlinkFlag.acknowledge | NetlinkFlag.create)
  }
}
