/// Other programs' base chains that drop what we let pass: Docker's and ufw's policies, firewalld's closing reject,
/// an administrator's own. nf_tables asks every base chain, so their drop beats our accept.
enum ForeignFirewall {
  struct Finding: Equatable, Sendable {
    /// `ip filter FORWARD (policy drop)`
    var chain: String
    var mend: String
  }

  /// The hooks our packets pass, by their numbers in the families ip, inet and bridge.
  enum Hook: UInt32, Sendable { case input = 1, forward = 2, postrouting = 4 }

  struct Chain: Equatable, Sendable {
    var family: UInt8
    var table: String
    var name: String
    var hook: UInt32?
    var policy: UInt32?
    var type: String?
  }

  /// What a rule says, as far as it matters here.
  struct Rule: Equatable, Sendable {
    var chain: String
    /// Only the interface decides: `iifname NAME accept`.
    var acceptsIn: String?
    var acceptsOut: String?
    /// Nothing decides: every packet that comes here is dropped or rejected.
    var dropsAll: Bool
    /// It changes the sender of some.
    var translates = false
  }

  /// - Returns: nil where nothing drops, or where rules let the bridge's packets through in both directions.
  static func find(_ hook: Hook, bridge: String, on socket: inout NetlinkSocket) throws(NetworkError) -> Finding? {
    let chains = try socket.dump(NftMessage.message(4, 0, flags: NetlinkFlag.dump), "list nft chains").map(chain)
    for base in chains where filters(base, hook) && !isOurs(base) {
      // Its own rules are few; those of the whole table, thousands on some hosts, are read only where it drops.
      let own = try rules(of: base, wholeTable: false, on: &socket)
      guard judge(base, hook, rules: own, chains: chains, bridge: bridge) != nil else { continue }
      let all = try rules(of: base, wholeTable: true, on: &socket)
      if let finding = judge(base, hook, rules: all, chains: chains, bridge: bridge) { return finding }
    }
    return nil
  }

  /// - Returns: the chain of another program in whose table there is a rule that translates senders, as who forwards has.
  static func translation(on socket: inout NetlinkSocket) throws(NetworkError) -> String? {
    let chains = try socket.dump(NftMessage.message(4, 0, flags: NetlinkFlag.dump), "list nft chains").map(chain)
    for base in chains where base.type == "nat" && base.hook == Hook.postrouting.rawValue && !isOurs(base) {
      if try rules(of: base, wholeTable: true, on: &socket).contains(where: { $0.translates }) {
        return "\(families[base.family] ?? "\(base.family)") \(base.table) \(base.name)"
      }
    }
    return nil
  }

  private static func isOurs(_ chain: Chain) -> Bool { chain.table == "zones" || chain.table.hasPrefix("zones-") }
  private static let families: [UInt8: String] = [1: "inet", 2: "ip", 7: "bridge", 10: "ip6"]

  private static func rules(of base: Chain, wholeTable: Bool, on socket: inout NetlinkSocket) throws(NetworkError)
    -> [Rule]
  {
    var message = NftMessage.message(7, base.family, flags: NetlinkFlag.dump)
    message.attribute(1, string: base.table)
    if !wholeTable { message.attribute(2, string: base.name) }
    return try socket.dump(message, "list the rules of nft table \(base.table)").map(rule)
  }

  private static func filters(_ chain: Chain, _ hook: Hook) -> Bool {
    chain.hook == hook.rawValue && chain.type == "filter" && [1, 2, 7].contains(chain.family)
  }

  static func judge(_ base: Chain, _ hook: Hook, rules: [Rule], chains: [Chain], bridge: String) -> Finding? {
    let closing = rules.last { $0.chain == base.name }?.dropsAll == true
    guard base.policy == 0 || closing else { return nil }
    func names(_ pattern: String?) -> Bool {
      guard let pattern else { return false }
      return pattern.hasSuffix("*") ? bridge.hasPrefix(pattern.dropLast()) : pattern == bridge
    }
    let incoming = rules.contains { names($0.acceptsIn) }
    let outgoing = hook == .input || rules.contains { names($0.acceptsOut) }
    if incoming && outgoing { return nil }
    let family = families[base.family] ?? "\(base.family)"
    let iptables = base.family == 2 && base.table == "filter" && (base.name == "FORWARD" || base.name == "INPUT")
    let docker =
      base.name == "FORWARD" && chains.contains { $0.family == 2 && $0.table == "filter" && $0.name == "DOCKER-USER" }
    let target = docker ? "DOCKER-USER" : base.name
    var commands =
      iptables
      ? ["iptables -I \(target) -i \(bridge) -j ACCEPT", "iptables -I \(target) -o \(bridge) -j ACCEPT"]
      : ["iifname", "oifname"].map { "nft insert rule \(family) \(base.table) \(base.name) \($0) \(bridge) accept" }
    if hook == .input { commands.removeLast() }
    let mend = "let it pass: " + commands.joined(separator: "; ")
    return Finding(
      chain: "\(family) \(base.table) \(base.name) (\(base.policy == 0 ? "policy drop" : "its last rule"))", mend: mend)
  }

  static func chain(_ reply: NetlinkReply) -> Chain {
    let attributes = reply.attributes(after: 4)
    return Chain(
      family: reply.payload.first ?? 0, table: attributes.string(1) ?? "", name: attributes.string(3) ?? "",
      hook: attributes.nested(4)?.big(1, as: UInt32.self), policy: attributes.big(5), type: attributes.string(7))
  }

  static func rule(_ reply: NetlinkReply) -> Rule {
    let attributes = reply.attributes(after: 4)
    var result = Rule(chain: attributes.string(2) ?? "", dropsAll: false)
    var interface: (incoming: Bool, name: String)?
    var loaded: UInt32?
    let expressions = (attributes.nested(4)?.all ?? []).map { NetlinkAttributes($0.value) }
    result.translates = expressions.contains { expression in
      switch expression.string(1) {
      case "masq": true
      case "nat": expression.nested(2)?.big(1, as: UInt32.self) == 0  // NFT_NAT_SNAT
      case "target": ["MASQUERADE", "SNAT"].contains(expression.nested(2)?.string(1))
      default: false
      }
    }
    for expression in expressions {
      let data = expression.nested(2)
      switch expression.string(1) {
      case "counter", "log": continue
      case "meta":
        guard interface == nil, let key = data?.big(2, as: UInt32.self), key == 6 || key == 7 else { return result }
        loaded = key
      case "cmp":
        guard let key = loaded, data?.big(2, as: UInt32.self) == 0, let value = data?.nested(3)?[1] else {
          return result
        }
        let text = String(decoding: value.prefix { $0 != 0 }, as: UTF8.self)
        interface = (key == 6, value.contains(0) ? text : text + "*")
        loaded = nil
      case "immediate":
        switch data?.nested(2)?.nested(2)?.big(1, as: Int32.self) {
        case 0?: result.dropsAll = interface == nil && loaded == nil
        case 1?:
          if let interface, interface.incoming { result.acceptsIn = interface.name }
          if let interface, !interface.incoming { result.acceptsOut = interface.name }
        default: break
        }
        return result
      case "reject":
        result.dropsAll = interface == nil && loaded == nil
        return result
      case "target":
        // iptables' own targets come as compat expressions; REJECT is one.
        result.dropsAll = interface == nil && loaded == nil && data?.string(1) == "REJECT"
        return result
      default: return result
      }
    }
    return result
  }
}
