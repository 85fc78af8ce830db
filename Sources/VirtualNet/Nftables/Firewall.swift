internal import Glibc

/// The instance's tables in the kernel. Every change is one transaction, and looks before it adds or deletes: an
/// aborted one costs 12 to 15 ms.
struct Firewall: ~Copyable {
  let ruleset: Ruleset
  var socket: NetlinkSocket

  /// - Parameter space: an ordinary user's network; nil is the caller's own network namespace.
  init(_ ruleset: Ruleset, in space: UserSpace? = nil) throws(NetworkError) {
    self.ruleset = ruleset
    socket =
      if let space { try NetlinkSocket(.netfilter, ofUser: space.network) } else { try NetlinkSocket(.netfilter) }
  }

  /// What our tables carry as their comment: by it we know them for ours, and other instances learn what forwarding
  /// was before the first of us came.
  struct Marker: Equatable, Sendable {
    var version: Int
    /// `net.ipv4.ip_forward` before we set it, nil where we found it set.
    var forwardingBefore: String?

    var text: String {
      "made by zones, ruleset \(version)" + (forwardingBefore.map { ", ip_forward was \($0)" } ?? "")
    }

    init(version: Int, forwardingBefore: String? = nil) {
      self.version = version
      self.forwardingBefore = forwardingBefore
    }

    init?(_ text: String) {
      let parts = text.split(separator: ",").map { $0.drop { $0 == " " } }
      guard parts.count >= 2, parts[0] == "made by zones", parts[1].hasPrefix("ruleset "),
        let version = Int(parts[1].dropFirst(8))
      else { return nil }
      self.version = version
      if parts.count > 2, parts[2].hasPrefix("ip_forward was ") { forwardingBefore = String(parts[2].dropFirst(15)) }
    }
  }

  static func comment(_ reply: NetlinkReply) -> String? {
    guard let data = reply.attributes(after: 4)[6] else { return nil }
    var rest = data
    while let type = rest.first, let length = rest.dropFirst().first.map(Int.init), rest.count >= 2 + length {
      if type == 0 { return String(decoding: rest.dropFirst(2).prefix(length).prefix { $0 != 0 }, as: UTF8.self) }
      rest = rest.dropFirst(2 + length)
    }
    return nil
  }

  private mutating func marker(_ family: NftTable.Family, _ name: String) throws(NetworkError) -> (
    exists: Bool, marker: Marker?
  ) {
    guard let reply = try socket.get(NftMessage.getTable(family, name), "look for nft table \(name)") else {
      return (false, nil)
    }
    return (true, Self.comment(reply).flatMap(Marker.init))
  }

  /// Whether both tables are there, ours, and of this version.
  /// - Throws: `.conflict` where a table by our name is somebody else's.
  mutating func stands() throws(NetworkError) -> Bool {
    for table in ruleset.tables {
      let (exists, found) = try marker(table.family, table.name)
      guard exists else { return false }
      guard let found else {
        throw .conflict(
          "cannot make nft table \(table.family) \(table.name): one that is not ours has that name (rename or delete it)"
        )
      }
      if found.version != Ruleset.version { return false }
    }
    return true
  }

  /// Makes both tables with these elements, in the place of what is left of them.
  mutating func make(_ marker: Marker, _ elements: [NftElement]) throws(NetworkError) {
    var messages: [NetlinkMessage] = []
    for table in ruleset.tables where try self.marker(table.family, table.name).exists {
      messages.append(NftMessage.deleteTable(table.family, table.name))
    }
    for table in ruleset.tables { messages += NftMessage.make(table, comment: marker.text) }
    messages += NftMessage.elements(.add, elements, table: ruleset.tableName)
    try commit(messages, "make nft tables \(ruleset.tableName)")
  }

  /// `delete table …` for both, where they are ours.
  mutating func removeTables() throws(NetworkError) {
    var messages: [NetlinkMessage] = []
    for table in ruleset.tables where try marker(table.family, table.name).1 != nil {
      messages.append(NftMessage.deleteTable(table.family, table.name))
    }
    try commit(messages, "delete nft tables \(ruleset.tableName)")
  }

  /// Adds and deletes elements in one transaction; those to delete that are not there are passed over.
  mutating func change(add: [NftElement] = [], delete: [NftElement] = []) throws(NetworkError) {
    var present: [NftElement] = []
    for element in delete where try contains(element) { present.append(element) }
    try commit(
      NftMessage.elements(.delete, present, table: ruleset.tableName)
        + NftMessage.elements(.add, add, table: ruleset.tableName),
      "change elements of nft table \(ruleset.tableName)")
  }

  /// `get element …`
  mutating func contains(_ element: NftElement, table: String? = nil) throws(NetworkError) -> Bool {
    let message = NftMessage.elements(.get, [element], table: table ?? ruleset.tableName)[0]
    return try socket.get(message, "look for an element of nft set \(element.set)") != nil
  }

  /// Elements of `own4` that name this sender, whatever their interface: what is left of a port whose index is lost.
  mutating func strayPorts(mac: MACAddress, address: IPv4Address) throws(NetworkError) -> [NftElement] {
    guard try marker(.bridge, ruleset.tableName).1 != nil else { return [] }
    var message = NftMessage.message(13, NftTable.Family.bridge.rawValue, flags: NetlinkFlag.dump)
    message.attribute(1, string: ruleset.tableName)
    message.attribute(2, string: "own4")
    let tail = NftElement.concatenate([mac.bytes, address.bytes])
    var found: [NftElement] = []
    for reply in try socket.dump(message, "list nft set own4") {
      for element in reply.attributes(after: 4).nested(3)?.all ?? [] {
        guard let key = NetlinkAttributes(element.value).nested(1)?[1], key.dropFirst(4).elementsEqual(tail) else {
          continue
        }
        found.append(NftElement(family: .bridge, set: "own4", key: Array(key)))
      }
    }
    return found
  }

  /// Markers of other instances' tables (another `--root`), by table name.
  mutating func otherInstances() throws(NetworkError) -> [(table: String, marker: Marker)] {
    let message = NftMessage.message(1, NftTable.Family.inet.rawValue, flags: NetlinkFlag.dump)
    return try socket.dump(message, "list nft tables").compactMap { reply in
      guard let name = reply.attributes(after: 4).string(1), name != ruleset.tableName,
        let marker = Self.comment(reply).flatMap(Marker.init)
      else { return nil }
      return (name, marker)
    }
  }

  /// The first chain of another program that would drop what we let pass.
  mutating func foreignDrop(_ hook: ForeignFirewall.Hook, bridge: String) throws(NetworkError) -> ForeignFirewall
    .Finding?
  {
    try ForeignFirewall.find(hook, bridge: bridge, on: &socket)
  }

  /// A rule of another program that translates the senders of what the host forwards.
  mutating func foreignTranslation() throws(NetworkError) -> String? { try ForeignFirewall.translation(on: &socket) }

  private mutating func commit(_ messages: [NetlinkMessage], _ verb: String) throws(NetworkError) {
    guard !messages.isEmpty else { return }
    if let refusal = try socket.transaction(NftMessage.acknowledgingLast(messages)) {
      throw .refused(verb, refusal.errno, refusal.text)
    }
  }
}
