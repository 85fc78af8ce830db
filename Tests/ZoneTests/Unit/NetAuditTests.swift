import Testing

@testable import VirtualNet

/// Rules as the kernel tells them back, beside those that it was sent.
@Suite struct NetAuditTests {
  private let ruleset = Ruleset(tableName: "zones", portPrefix: "dzv-")

  /// The expressions of a rule as a kernel dumps them: registers under their short names, and attributes of its own.
  private func echo(_ rule: [NftExpression], change: (String, inout [(UInt16, [UInt8])]) -> Void = { _, _ in })
    -> NetlinkAttributes
  {
    var sent = NetlinkMessage(type: 0, flags: 0)
    for expression in rule { expression.append(to: &sent) }
    var told = NetlinkMessage(type: 0, flags: 0)
    for element in NetlinkAttributes(sent.bytes[NetlinkMessage.headerLength...]).all {
      let parts = NetlinkAttributes(element.value)
      let name = parts.string(1)!
      var data = (parts.nested(2)?.all ?? []).map { ($0.type, Array($0.value)) }
      let registers: [String: [UInt16]] = [
        "meta": [1], "ct": [1], "payload": [1], "cmp": [1], "bitwise": [1, 2], "lookup": [2, 3], "fib": [1],
        "nat": [3, 5], "immediate": [1],
      ]
      for index in data.indices where registers[name]?.contains(data[index].0) == true {
        if data[index].1 == [0, 0, 0, 8] { data[index].1 = [0, 0, 0, 1] }
        if data[index].1 == [0, 0, 0, 12] { data[index].1 = [0, 0, 0, 2] }
      }
      if name == "bitwise" { data.append((6, [0, 0, 0, 0])) }
      if name == "nat" { data += [(4, [0, 0, 0, 1]), (6, [0, 0, 0, 9]), (7, [0, 0, 0, 3])] }
      change(name, &data)
      told.nested(1) {
        $0.attribute(1, string: name)
        $0.nested(2) { list in for (type, value) in data { list.attribute(type, value) } }
      }
    }
    return NetlinkAttributes(told.bytes[NetlinkMessage.headerLength...])
  }

  @Test func everyRuleIsKnownAgain() {
    for rule in ruleset.tables.flatMap(\.chains).flatMap(\.rules) {
      #expect(NftEcho.isSame(rule, echo(rule)), "\(rule)")
      #expect(!NftEcho.isSame(rule, nil) && !NftEcho.isSame(rule + [.verdict(.accept)], echo(rule)))
    }
  }

  /// Any byte of any attribute that was sent, changed.
  @Test func aChangedRuleIsAnotherOne() {
    var tried = 0
    for rule in ruleset.tables.flatMap(\.chains).flatMap(\.rules) {
      for expression in rule.indices {
        var at = -1
        let changed = echo(rule) { name, data in
          at += 1
          guard at == expression, let last = data.indices.first(where: { data[$0].1.count >= 4 && data[$0].0 != 7 })
          else { return }
          data[last].1[3] ^= 0x40
        }
        let hasData = echo([rule[expression]]).all.first.flatMap { NetlinkAttributes($0.value).nested(2)?.all.isEmpty }
        if hasData == false {
          #expect(!NftEcho.isSame(rule, changed), "\(rule) expression \(expression)")
          tried += 1
        }
      }
    }
    #expect(tried > 100)
  }

  /// An attribute that turns a rule into its opposite.
  @Test func anInvertedLookupIsAnotherRule() {
    let rule: [NftExpression] = [.meta(.nameIn, 1), .lookup("nets", 1), .verdict(.drop)]
    #expect(NftEcho.isSame(rule, echo(rule)))
    let inverted = echo(rule) { name, data in if name == "lookup" { data.append((5, [0, 0, 0, 1])) } }
    #expect(!NftEcho.isSame(rule, inverted))
  }

  @Test func whatOpensSomethingForAZoneIsItsConcern() {
    let address = IPv4Address("10.88.0.2")!
    let concern = Firewall.Concern(port: 7, bridge: "zbr-default", address: address)
    let mac = MACAddress(zone: "web", network: "default")
    let subnet = IPv4Subnet("10.88.0.0/24")!
    #expect(concern.isAbout(Ruleset.port(index: 7, mac: mac, address: address)))
    #expect(!concern.isAbout(Ruleset.port(index: 8, mac: mac, address: address)))
    for text in [nil, "127.0.0.1"] {
      for transport in [PublishedPort.Transport.tcp, .udp] {
        let port = PublishedPort(hostAddress: text, hostPort: 80, zonePort: 8080, transport: transport)
        for element in Ruleset.published(port, to: address) { #expect(concern.isAbout(element), "\(element)") }
        for element in Ruleset.published(port, to: IPv4Address("10.88.0.3")!) { #expect(!concern.isAbout(element)) }
      }
    }
    let own = Ruleset.network(bridge: "zbr-default", subnet: subnet).filter {
      ["crossings", "services"].contains($0.set)
    }
    #expect(own.count == 3 && own.allSatisfy(concern.isAbout))
    let others = Ruleset.network(bridge: "zbr-other", subnet: subnet)
    #expect(!others.contains(where: concern.isAbout))
  }
}
