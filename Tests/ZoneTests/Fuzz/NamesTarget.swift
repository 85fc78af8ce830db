import LinuxNS

@testable import VirtualNet

extension FuzzTarget {
  /// What zones and resolvers send to a network's helper: DNS messages (RFC 1035), and the host's resolv.conf.
  static let names = FuzzTarget("names") { (bytes) throws(Finding) in
    try hold(Resolvers.parse(text(bytes)).count <= 3, "more resolvers than three")
    guard case .question(let question) = DNSQuestion.parse(bytes) else { return }
    try hold((512...1232).contains(question.room), "room for \(question.room) bytes")
    try hold(question.labels.reduce(1) { $0 + $1.count + 1 } <= 255, "a name of more than 255 bytes")
    for turn in 0..<3 {
      guard let reply = table.reply(to: question, turn: turn, room: question.room) else { continue }
      try hold(reply.count <= question.room, "an answer of \(reply.count) bytes for \(question.room)")
      try hold(DNSAnswer.matches(reply[...], id: question.id, question: question), "an answer to something else")
    }
    let failure = DNSAnswer.bytes(question, code: 2, room: question.room)
    try hold(DNSAnswer.matches(failure[...], id: question.id, question: question), "an answer to something else")
    _ = DNSAnswer.matches(bytes[...], id: question.id, question: question)
  }

  private static let table: NameTable = {
    var state = NetworkState(bridge: "zbr-default", subnet: IPv4Subnet("10.88.0.0/24")!, boot: "b")
    for number in 2..<60 {
      let address = IPv4Address(0x0a58_0000 + UInt32(number))
      var one = NetworkState.Attachment(
        zone: number == 2 ? "web" : "web-\(number)", phase: .up, interface: "zv\(number)", index: UInt32(number),
        address: address, mac: MACAddress(zone: "\(number)", network: "default"))
      one.aliases = ["www"]
      state.attachments.append(one)
    }
    return NameTable(state)
  }()
}
