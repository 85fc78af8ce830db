/// Reading our tables back: that all of them is there, and nothing more for the zone that is looked at.
extension Firewall {
  typealias Difference = NetworkAudit.Difference

  /// What of the sets' elements belongs to one zone and its network.
  struct Concern {
    /// Of the zone's port; nil where it has none.
    var port: UInt32?
    var bridge: String
    var address: IPv4Address

    /// Opens something for the zone: as a sender, by a published port, or past its network's walls.
    func isAbout(_ element: NftElement) -> Bool {
      let key = element.key
      switch element.set {
      case "own4": return port.map { key.starts(with: NftElement.bytes(host: $0)) } ?? false
      case "tcp4", "udp4": return key.count >= 8 && Array(key[4..<8]) == address.bytes
      case "tcp4a", "udp4a": return key.count >= 12 && Array(key[8..<12]) == address.bytes
      case "ports4", "ports4a": return element.value.starts(with: address.bytes)
      case "crossings":
        return key.starts(with: NftElement.name(bridge)) || key.dropFirst(16).elementsEqual(NftElement.name(bridge))
      case "services": return key.starts(with: NftElement.name(bridge))
      default: return false
      }
    }
  }

  mutating func audit(_ elements: [NftElement], _ about: Concern) throws(NetworkError) -> [Difference] {
    var differences: [Difference] = []
    for table in ruleset.tables {
      let name = "nft table \(table.family == .bridge ? "bridge" : "inet") \(table.name)"
      guard let state = try tableState(table) else {
        differences.append(Difference(what: name, wanted: "there", found: "missing"))
        continue
      }
      if state.isDormant { differences.append(Difference(what: name, wanted: "in force", found: "dormant")) }
      if state.version != Ruleset.version {
        differences.append(
          Difference(
            what: name, wanted: "rules \(Ruleset.version) of ours",
            found: state.version.map { "rules \($0)" } ?? "another's"))
      }
      differences += try auditChains(table)
      differences += try auditRules(table)
      differences += try auditSets(table, elements.filter { $0.family == table.family }, about)
    }
    return differences
  }

  /// nil where there is none by that name; the version is nil where it is not ours.
  private mutating func tableState(_ table: NftTable) throws(NetworkError) -> (isDormant: Bool, version: Int?)? {
    guard let reply = try socket.get(NftMessage.getTable(table.family, table.name), "look for nft table \(table.name)")
    else { return nil }
    let dormant: UInt32 = 1  // NFT_TABLE_F_DORMANT
    let flags = reply.attributes(after: 4).big(2, as: UInt32.self) ?? 0
    return (flags & dormant != 0, Self.comment(reply).flatMap(Marker.init)?.version)
  }

  private mutating func auditChains(_ table: NftTable) throws(NetworkError) -> [Difference] {
    var differences: [Difference] = []
    let getChain: UInt16 = 4  // NFT_MSG_GETCHAIN
    let message = NftMessage.message(getChain, table.family.rawValue, flags: NetlinkFlag.dump)
    let all = try socket.dump(message, "list nft chains").map { $0.attributes(after: 4) }
    let found = all.filter { $0.string(1) == table.name }
    for chain in table.chains {
      let what = "nft chain \(chain.name)"
      guard let state = found.first(where: { $0.string(3) == chain.name }) else {
        differences.append(Difference(what: what, wanted: "there", found: "missing"))
        continue
      }
      guard let base = chain.base else { continue }
      let hook = state.nested(4)
      if hook?.big(1, as: UInt32.self) != base.hook.rawValue || hook?.big(2, as: Int32.self) != base.priority
        || state.string(7) != base.type
      {
        differences.append(
          Difference(
            what: what, wanted: "\(base.type) at hook \(base.hook.rawValue), priority \(base.priority)",
            found: "hooked elsewhere"))
      }
    }
    for name in found.compactMap({ $0.string(3) }) where !table.chains.contains(where: { $0.name == name }) {
      differences.append(Difference(what: "nft chain \(name)", wanted: "no such chain", found: "a chain"))
    }
    return differences
  }

  private mutating func auditRules(_ table: NftTable) throws(NetworkError) -> [Difference] {
    var differences: [Difference] = []
    let getRule: UInt16 = 7  // NFT_MSG_GETRULE
    var message = NftMessage.message(getRule, table.family.rawValue, flags: NetlinkFlag.dump)
    message.attribute(1, string: table.name)
    let all = try socket.dump(message, "list nft rules").map { $0.attributes(after: 4) }
    for chain in table.chains {
      let found = all.filter { $0.string(1) == table.name && $0.string(2) == chain.name }
      let what = "nft chain \(chain.name)"
      if found.count != chain.rules.count {
        differences.append(
          Difference(what: what, wanted: "\(chain.rules.count) rules", found: "\(found.count)"))
        continue
      }
      for (index, rule) in chain.rules.enumerated() where !NftEcho.isSame(rule, found[index].nested(4)) {
        differences.append(
          Difference(what: "rule \(index + 1) of \(what)", wanted: "as we make it", found: "another one"))
      }
    }
    return differences
  }

  private mutating func auditSets(_ table: NftTable, _ elements: [NftElement], _ about: Concern) throws(NetworkError)
    -> [Difference]
  {
    var differences: [Difference] = []
    for set in table.sets {
      let found = try self.elements(of: set.name, in: table)
      let wanted = elements.filter { $0.set == set.name }
      let what = "nft set \(set.name)"
      let missing = wanted.filter { !found.contains($0) }.count
      if missing > 0 {
        differences.append(
          Difference(
            what: what, wanted: "\(wanted.count) elements of the zone or its network", found: "\(missing) missing"))
      }
      let more = found.filter { about.isAbout($0) && !wanted.contains($0) }.count
      if more > 0 { differences.append(Difference(what: what, wanted: "no more for the zone", found: "\(more) more")) }
    }
    return differences
  }

  /// `list set FAMILY TABLE NAME`
  private mutating func elements(of set: String, in table: NftTable) throws(NetworkError) -> [NftElement] {
    let getElements: UInt16 = 13  // NFT_MSG_GETSETELEM
    var message = NftMessage.message(getElements, table.family.rawValue, flags: NetlinkFlag.dump)
    message.attribute(1, string: table.name)
    message.attribute(2, string: set)
    var found: [NftElement] = []
    for reply in try socket.dump(message, "list nft set \(set)") {
      for element in reply.attributes(after: 4).nested(3)?.all ?? [] {
        let parts = NetlinkAttributes(element.value)
        guard let key = parts.nested(1)?[1] else { continue }
        found.append(
          NftElement(
            family: table.family, set: set, key: Array(key), value: parts.nested(2)?[1].map { Array($0) } ?? []))
      }
    }
    return found
  }
}

/// Rules as the kernel tells them back: with more attributes than it was sent, and registers under their short names.
enum NftEcho {
  /// Which attributes of an expression name registers.
  private static let registers: [(name: String, types: [UInt16])] = [
    ("meta", [1]), ("ct", [1]), ("payload", [1]), ("cmp", [1]), ("bitwise", [1, 2]), ("lookup", [2, 3]), ("fib", [1]),
    ("nat", [3, 5]), ("immediate", [1]),
  ]
  /// What the kernel fills in by itself, other than with zeros: of nat(8)'s the ends of ranges, and flags for both.
  private static let derived: [(name: String, types: [UInt16])] = [("nat", [4, 6, 7])]

  static func isSame(_ rule: [NftExpression], _ found: NetlinkAttributes?) -> Bool {
    var message = NetlinkMessage(type: 0, flags: 0)
    for expression in rule { expression.append(to: &message) }
    let sent = NetlinkAttributes(message.bytes[NetlinkMessage.headerLength...]).all
    guard let found = found?.all, found.count == sent.count else { return false }
    for (one, other) in zip(sent, found)
    where !isSameExpression(NetlinkAttributes(one.value), NetlinkAttributes(other.value)) {
      return false
    }
    return true
  }

  private static func isSameExpression(_ sent: NetlinkAttributes, _ found: NetlinkAttributes) -> Bool {
    guard let name = sent.string(1), found.string(1) == name else { return false }
    let mine = sent.nested(2)?.all ?? []
    let theirs = found.nested(2)?.all ?? []
    let isRegister = registers.first { $0.name == name }?.types ?? []
    let isDerived = derived.first { $0.name == name }?.types ?? []
    for attribute in mine {
      guard let other = theirs.last(where: { $0.type == attribute.type })?.value else { return false }
      let wanted = isRegister.contains(attribute.type) ? short(attribute.value) : Array(attribute.value)
      if !isSameValue(wanted[...], other) { return false }
    }
    for attribute in theirs where !mine.contains(where: { $0.type == attribute.type }) {
      if !isDerived.contains(attribute.type), attribute.value.contains(where: { $0 != 0 }) { return false }
    }
    return true
  }

  /// Bytes, or attributes of which one side marks the nested ones and the other does not.
  private static func isSameValue(_ one: ArraySlice<UInt8>, _ other: ArraySlice<UInt8>) -> Bool {
    if one.elementsEqual(other) { return true }
    let mine = NetlinkAttributes(one).all
    let theirs = NetlinkAttributes(other).all
    guard !mine.isEmpty, mine.count == theirs.count else { return false }
    return zip(mine, theirs).allSatisfy { $0.type == $1.type && isSameValue($0.value, $1.value) }
  }

  /// NFT_REG32_00 and every fourth after it is told as one of the four of sixteen bytes.
  private static func short(_ value: ArraySlice<UInt8>) -> [UInt8] {
    guard let number = value.number(UInt32.self, at: 0).map({ UInt32(bigEndian: $0) }), number >= 8, number % 4 == 0
    else { return Array(value) }
    return NftElement.bytes(big: (number - 8) / 4 + 1)
  }
}
