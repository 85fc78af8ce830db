internal import Glibc
internal import LinuxNS

/// What the kernel tells of a link.
struct LinkState: Equatable, Sendable {
  var index: UInt32
  var name: String
  var kind: String?
  /// The index of the bridge it is a port of, 0 where none.
  var master: UInt32
  var alias: String?
  var isUp = false
  /// The link-layer address.
  var address: [UInt8] = []
  /// The index of a pair's other end, 0 where none; in another namespace, where it `leadsElsewhere`.
  var peer: UInt32 = 0
  var leadsElsewhere = false
}

/// rtnetlink's link verbs (rtnetlink(7), linux/if_link.h).
enum Link {
  static let newLink: UInt16 = 16, deleteLink: UInt16 = 17, getLink: UInt16 = 18, setLink: UInt16 = 19
  enum Attribute {
    static let address: UInt16 = 1, name: UInt16 = 3, master: UInt16 = 10, info: UInt16 = 18, alias: UInt16 = 20
    static let familyData: UInt16 = 26, namespaceFD: UInt16 = 28
    static let peer: UInt16 = 5, peerNamespace: UInt16 = 37  // IFLA_LINK, IFLA_LINK_NETNSID
    static let infoKind: UInt16 = 1, infoData: UInt16 = 2
    static let operationalState: UInt16 = 16  // IFLA_OPERSTATE
    static let addressGeneration: UInt16 = 8  // IFLA_INET6_ADDR_GEN_MODE, of which 1 is none
  }
  static let up: UInt32 = 1
  static let operationallyUp: UInt8 = 6  // IF_OPER_UP

  /// A request that begins with struct ifinfomsg.
  static func message(_ type: UInt16, flags: UInt16, index: UInt32 = 0, set: UInt32 = 0, change: UInt32 = 0)
    -> NetlinkMessage
  {
    var message = NetlinkMessage(type: type, flags: NetlinkFlag.request | flags)
    message.append(header(index: index, set: set, change: change))
    return message
  }

  static func header(index: UInt32 = 0, set: UInt32 = 0, change: UInt32 = 0) -> [UInt8] {
    var bytes: [UInt8] = [0, 0, 0, 0]
    for number in [index, set, change] { withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) } }
    return bytes
  }

  /// `ip link set dev INDEX up`
  static func setUp(_ index: UInt32) -> NetlinkMessage {
    message(newLink, flags: NetlinkFlag.acknowledge, index: index, set: up, change: up)
  }

  /// `ip link set dev INDEX addrgenmode none`: no link-local address, no router solicitation, no DAD wait.
  static func quietIPv6(_ index: UInt32) -> NetlinkMessage {
    var message = message(setLink, flags: NetlinkFlag.acknowledge, index: index)
    message.nested(Attribute.familyData) {
      $0.nested(UInt16(AF_INET6)) { $0.attribute(Attribute.addressGeneration, number: UInt8(1)) }
    }
    return message
  }

  /// `ip link delete dev INDEX`. Waits for every other processor (34 ms measured): of a stopping zone it is left to the
  /// kernel (`NetlinkSocket.leave`), and tells nothing.
  static func delete(_ index: UInt32, tells: Bool = true) -> NetlinkMessage {
    message(deleteLink, flags: tells ? NetlinkFlag.acknowledge : 0, index: index)
  }

  /// `ip link show dev NAME`
  static func find(_ name: String, on socket: inout NetlinkSocket) throws(NetworkError) -> LinkState? {
    var message = message(getLink, flags: 0)
    message.attribute(Attribute.name, string: name)
    return try socket.get(message, "look for link \(name)").map(parse)
  }

  /// Waits until a link that was set up carries packets (IFLA_OPERSTATE is up), 500 ms at most.
  ///
  /// A carrier's change takes effect by the kernel's link watch, some moments later: until then a bridge port forwards
  /// nothing and a first ARP request is lost, which costs its sender a second. From 6.8 on the question itself makes
  /// the link watch run (facd15dfd691); before, we ask again.
  static func settle(_ name: String, on socket: inout NetlinkSocket) throws(NetworkError) {
    var message = message(getLink, flags: 0)
    message.attribute(Attribute.name, string: name)
    let deadline = Clock.monotonicNanoseconds() + 500_000_000
    while true {
      guard let reply = try socket.get(message, "look for link \(name)") else {
        throw .conflict("cannot find link \(name): it was taken away while it was set up")
      }
      let state = reply.attributes(after: 16)[Attribute.operationalState]?.first
      if state == operationallyUp || Clock.monotonicNanoseconds() >= deadline { return }
      usleep(100)
    }
  }

  /// `ip link show`
  static func all(on socket: inout NetlinkSocket) throws(NetworkError) -> [LinkState] {
    try socket.dump(message(getLink, flags: NetlinkFlag.dump), "list links").map(parse)
  }

  static func parse(_ reply: NetlinkReply) -> LinkState {
    let attributes = reply.attributes(after: 16)
    return LinkState(
      index: reply.payload.number(UInt32.self, at: 4) ?? 0, name: attributes.string(Attribute.name) ?? "",
      kind: attributes.nested(Attribute.info)?.string(Attribute.infoKind),
      master: attributes.number(Attribute.master) ?? 0, alias: attributes.string(Attribute.alias),
      isUp: (reply.payload.number(UInt32.self, at: 8) ?? 0) & up != 0,
      address: attributes[Attribute.address].map { Array($0) } ?? [], peer: attributes.number(Attribute.peer) ?? 0,
      leadsElsewhere: attributes[Attribute.peerNamespace] != nil)
  }
}

extension NetlinkSocket {
  /// Runs messages that must all succeed; the first refusal is thrown with the verb of its message.
  /// - Parameter tolerating: errnos that are as good as success for that message.
  mutating func perform(_ steps: [(verb: String, message: NetlinkMessage, tolerating: [CInt])]) throws(NetworkError) {
    let outcomes = try requests(steps.map { $0.message })
    for (step, outcome) in zip(steps, outcomes) {
      guard let outcome, !step.tolerating.contains(outcome.errno) else { continue }
      throw .refused(step.verb, outcome.errno, outcome.text)
    }
  }

  mutating func perform(_ verb: String, _ message: NetlinkMessage, tolerating: [CInt] = []) throws(NetworkError) {
    try perform([(verb, message, tolerating)])
  }
}
