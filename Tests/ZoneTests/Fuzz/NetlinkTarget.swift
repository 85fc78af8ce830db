import LinuxNS

@testable import VirtualNet

extension FuzzTarget {
  /// What one recv(2) of a netlink socket gave, through all that reads the kernel's answers.
  static let netlink = FuzzTarget("netlink") { (bytes) throws(Finding) in
    let replies = NetlinkReply.split(bytes[...])
    let length = replies.reduce(0) { $0 + $1.payload.count + NetlinkMessage.headerLength }
    try hold(length <= bytes.count, "\(length) bytes of messages in \(bytes.count)")
    for reply in replies {
      if let refusal = NetlinkSocket.refusal(reply) { _ = "\(NetworkError.refused("x", refusal.errno, refusal.text))" }
      _ = NetlinkSocket.doneError(reply)
      _ = Link.parse(reply)
      _ = Address.parse(reply)
      if let prefix = Route.parse(reply) { _ = SubnetChoice.choose(avoiding: [prefix.subnet]) }
      _ = Conntrack.forgotten(reply, [53: 53], of: IPv4Address(0x0a58_0002))
      if let comment = Firewall.comment(reply), let marker = Firewall.Marker(comment) {
        try hold(Firewall.Marker(marker.text) == marker, "the marker '\(marker.text)' reads as another")
      }
      for offset in [0, 4, 8, 12, 16] { try writeAgain(reply.attributes(after: offset)) }
    }
    try judge(replies)
  }

  /// Attributes that were read are written, and read as the same.
  private static func writeAgain(_ attributes: NetlinkAttributes) throws(Finding) {
    var message = NetlinkMessage(type: 16, flags: NetlinkFlag.request)
    for (type, value) in attributes.all { message.attribute(type, value) }
    guard let bytes = accepted({ try message.finished(sequence: 7) }) else {
      throw Finding("attributes that were read are too long to be written")
    }
    let replies = NetlinkReply.split(bytes[...])
    try hold(replies.count == 1 && replies[0].sequence == 7 && replies[0].type == 16, "a message reads as another")
    let again = replies[0].attributes(after: 0).all
    try hold(again.elementsEqual(attributes.all) { $0.type == $1.type && $0.value == $1.value }, "attributes are lost")
  }

  private static func judge(_ replies: [NetlinkReply]) throws(Finding) {
    let chains = replies.map(ForeignFirewall.chain)
    let rules = replies.map(ForeignFirewall.rule)
    for base in chains.prefix(4) {
      let finding = ForeignFirewall.judge(base, .forward, rules: rules, chains: chains, bridge: "zbr-default")
      let open = rules.contains { $0.acceptsIn == "zbr-default" } && rules.contains { $0.acceptsOut == "zbr-default" }
      try hold(finding == nil || !open, "a firewall that lets our bridge through is called closed")
    }
  }
}
