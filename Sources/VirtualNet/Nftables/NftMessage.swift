/// nf_tables' verbs over raw nfnetlink (linux/netfilter/nf_tables.h, nfnetlink.h).
enum NftMessage {
  static let subsystem: UInt16 = 10 << 8

  static let batchBegin = batch(0x10)
  static let batchEnd = batch(0x11)

  private static func batch(_ type: UInt16) -> NetlinkMessage {
    var message = NetlinkMessage(type: type, flags: NetlinkFlag.request)
    message.append([0, 0, 0, 10])  // struct nfgenmsg: family, version, subsystem in network order
    return message
  }

  static func message(_ verb: UInt16, _ family: UInt8, flags: UInt16) -> NetlinkMessage {
    var message = NetlinkMessage(type: subsystem | verb, flags: NetlinkFlag.request | flags)
    message.append([family, 0, 0, 0])
    return message
  }

  /// `add table FAMILY NAME { comment "TEXT"; }`
  static func add(_ table: NftTable, comment: String) -> NetlinkMessage {
    var message = message(0, table.family.rawValue, flags: NetlinkFlag.create)
    message.attribute(1, string: table.name)
    let text = Array(comment.utf8.prefix(127)) + [0]
    let tableComment: UInt8 = 0  // NFTNL_UDATA_TABLE_COMMENT
    message.attribute(6, [tableComment, UInt8(text.count)] + text)
    return message
  }

  /// `delete table FAMILY NAME`
  static func deleteTable(_ family: NftTable.Family, _ name: String) -> NetlinkMessage {
    var message = message(2, family.rawValue, flags: NetlinkFlag.acknowledge)
    message.attribute(1, string: name)
    return message
  }

  /// `list table FAMILY NAME`, its head only
  static func getTable(_ family: NftTable.Family, _ name: String) -> NetlinkMessage {
    var message = message(1, family.rawValue, flags: 0)
    message.attribute(1, string: name)
    return message
  }

  /// `add set|map FAMILY TABLE NAME { type …; }`
  /// - Parameter id: any number that no other set of the batch has.
  static func add(_ set: NftTable.Set, to table: NftTable, id: UInt32) -> NetlinkMessage {
    var message = message(9, table.family.rawValue, flags: NetlinkFlag.create)
    message.attribute(1, string: table.name)
    message.attribute(2, string: set.name)
    let map: UInt32 = 8  // NFT_SET_MAP
    message.attribute(3, big: set.value.isEmpty ? 0 : map)
    message.attribute(4, big: NftType.number(set.key))
    message.attribute(5, big: UInt32(NftType.length(set.key)))
    if !set.value.isEmpty {
      message.attribute(6, big: NftType.number(set.value))
      message.attribute(7, big: UInt32(NftType.length(set.value)))
    }
    message.attribute(10, big: id)
    if set.key.count == 1, set.key[0].isHostOrder {
      // NFTNL_UDATA_SET_KEYBYTEORDER, host order: without it `nft list` prints names as empty.
      message.attribute(13, [0, 4] + NftElement.bytes(host: UInt32(1)))
    }
    return message
  }

  /// `add chain FAMILY TABLE NAME { type … hook … priority …; policy accept; }`
  static func add(_ chain: NftTable.Chain, to table: NftTable) -> NetlinkMessage {
    var message = message(3, table.family.rawValue, flags: NetlinkFlag.create)
    message.attribute(1, string: table.name)
    message.attribute(3, string: chain.name)
    if let base = chain.base {
      message.nested(4) {
        $0.attribute(1, big: base.hook.rawValue)
        $0.attribute(2, big: base.priority)
      }
      message.attribute(5, big: UInt32(1))
      message.attribute(7, string: base.type)
    }
    return message
  }

  /// `add rule FAMILY TABLE CHAIN …`
  static func add(_ rule: [NftExpression], to chain: String, of table: NftTable) -> NetlinkMessage {
    var message = message(6, table.family.rawValue, flags: NetlinkFlag.create | NetlinkFlag.append)
    message.attribute(1, string: table.name)
    message.attribute(2, string: chain)
    message.nested(4) { for expression in rule { expression.append(to: &$0) } }
    return message
  }

  /// A table and all in it, without elements; in an order in which every name exists before it is used.
  static func make(_ table: NftTable, comment: String) -> [NetlinkMessage] {
    var messages = [add(table, comment: comment)]
    for (number, set) in table.sets.enumerated() { messages.append(add(set, to: table, id: UInt32(number + 1))) }
    for chain in table.chains { messages.append(add(chain, to: table)) }
    for chain in table.chains { for rule in chain.rules { messages.append(add(rule, to: chain.name, of: table)) } }
    return messages
  }

  enum ElementVerb: UInt16 { case add = 12, get = 13, delete = 14 }

  /// `add|get|delete element FAMILY TABLE SET { … }`, in messages of at most 400 elements.
  static func elements(_ verb: ElementVerb, _ elements: [NftElement], table: String) -> [NetlinkMessage] {
    var messages: [NetlinkMessage] = []
    var sets: [String] = []
    for element in elements {
      let name = "\(element.family.rawValue)/\(element.set)"
      if !sets.contains(name) { sets.append(name) }
    }
    for name in sets {
      var rest = elements.filter { "\($0.family.rawValue)/\($0.set)" == name }[...]
      while let first = rest.first {
        let flags = verb == .add ? NetlinkFlag.create : 0
        var message = message(verb.rawValue, first.family.rawValue, flags: flags)
        message.attribute(1, string: table)
        message.attribute(2, string: first.set)
        message.nested(3) { list in
          for element in rest.prefix(400) {
            list.nested(1) {
              $0.nested(1) { $0.attribute(1, element.key) }
              if !element.value.isEmpty && verb == .add { $0.nested(2) { $0.attribute(1, element.value) } }
            }
          }
        }
        messages.append(message)
        rest = rest.dropFirst(400)
      }
    }
    return messages
  }

  /// The last message of a transaction is the one that asks for an answer.
  static func acknowledgingLast(_ messages: [NetlinkMessage]) -> [NetlinkMessage] {
    guard let last = messages.last else { return [] }
    return messages.dropLast() + [last.acknowledging()]
  }
}
