internal import Glibc

/// Forgetting flows (ctnetlink, linux/netfilter/nfnetlink_conntrack.h).
enum Conntrack {
  private enum Number {
    static let get: UInt16 = 1  // IPCTNL_MSG_CT_GET
    static let delete: UInt16 = 2  // IPCTNL_MSG_CT_DELETE
    static let original: UInt16 = 1  // CTA_TUPLE_ORIG
    static let answer: UInt16 = 2  // CTA_TUPLE_REPLY
    static let source: UInt16 = 1  // CTA_IP_V4_SRC
    static let transport: UInt16 = 2  // CTA_TUPLE_PROTO
  }

  /// `conntrack -D -p udp --orig-port-dst HOST --reply-src ZONE --reply-port-src PORT`, for the UDP ports among these.
  ///
  /// The rules already drop what a revoked port's flows send. But each dropped datagram also refreshes its flow, so a
  /// client that goes on sending would never reach a zone that gets the port next; TCP begins anew by itself.
  /// - Parameter space: an ordinary user's network; nil is the caller's own network namespace.
  static func forget(_ ports: [PublishedPort], of zone: IPv4Address, in space: UserSpace?) throws(NetworkError) {
    var hostPorts: [UInt16: UInt16] = [:]
    for port in ports where port.transport == .udp { hostPorts[port.hostPort] = port.zonePort }
    guard !hostPorts.isEmpty else { return }
    var socket =
      if let space { try NetlinkSocket(.netfilter, ofUser: space.network) } else { try NetlinkSocket(.netfilter) }
    var dump = NetlinkMessage(type: 1 << 8 | Number.get, flags: NetlinkFlag.request | NetlinkFlag.dump)
    dump.append([UInt8(AF_INET), 0, 0, 0])
    var deletions: [NetlinkMessage] = []
    for reply in try socket.dump(dump, "list flows") {
      guard let original = forgotten(reply, hostPorts, of: zone) else { continue }
      var delete = NetlinkMessage(
        type: 1 << 8 | Number.delete, flags: NetlinkFlag.request | NetlinkFlag.acknowledge)
      delete.append([UInt8(AF_INET), 0, 0, 0])
      delete.nested(1) { $0.append(Array(original)) }
      deletions.append(delete)
    }
    while !deletions.isEmpty {
      for refusal in try socket.requests(Array(deletions.prefix(100))) {
        if let refusal, refusal.errno != ENOENT { throw .refused("forget a flow", refusal.errno, refusal.text) }
      }
      deletions.removeFirst(min(100, deletions.count))
    }
  }

  /// The original tuple of a flow to one of these ports (zone ports by host ports); nil for all others.
  static func forgotten(_ reply: NetlinkReply, _ hostPorts: [UInt16: UInt16], of zone: IPv4Address) -> ArraySlice<
    UInt8
  >? {
    let attributes = reply.attributes(after: 4)
    guard let original = attributes[Number.original], let answer = attributes.nested(Number.answer),
      let sender = answer.nested(1)?[Number.source].flatMap({ IPv4Address(bytes: $0) }), sender == zone,
      let transport = NetlinkAttributes(original).nested(Number.transport), transport[1]?.first == 17,
      let target = transport.big(3, as: UInt16.self), let inside = answer.nested(2)?.big(2, as: UInt16.self),
      hostPorts[target] == inside
    else { return nil }
    return original
  }
}
