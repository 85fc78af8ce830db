/// `--network allow=…`: where a zone that has no route may be connected with, by name.
public struct EgressRules: Equatable, Sendable, CustomStringConvertible {
  public var rules: [EgressRule]

  public init(_ rules: [EgressRule]) { self.rules = rules }

  /// What stands behind `allow=`: items with commas between them.
  /// - Throws: `.invalid`, in one line that names the item.
  public init(_ text: String) throws(NetworkError) {
    rules = []
    for item in text.split(separator: ",", omittingEmptySubsequences: false) {
      rules.append(try EgressRule(String(item)))
    }
  }

  /// What a plan holds, an item each.
  public init(planned items: [String]) throws(NetworkError) {
    rules = []
    for item in items { rules.append(try EgressRule(planned: item)) }
  }

  /// What is connected is told as well.
  var learns: Bool { rules.contains { $0.subject == .everything } }

  /// As `permits`, for `HOST:PORT`.
  public func permits(authority: String) -> Bool { EgressTarget(authority: authority).map(permits) ?? false }

  /// Whether a name or address may be asked for. It is judged as it was asked for: a name by names, an address by
  /// addresses, since what a name leads to may be another's tomorrow.
  public func permits(_ target: EgressTarget) -> Bool {
    switch target.host {
    case .name(let name): rules.contains { $0.matches(name: name, port: target.port) }
    case .address(let address): rules.contains { $0.matches(address: address, port: target.port) }
    }
  }

  /// Whether an address that a permitted name resolves to may be connected with: any ordinary one, and of the special ones
  /// those that a rule opens by address, since a name's owner can have it resolve to whatever he likes. `localhost` is no
  /// owner's.
  func permits(_ address: IPAddress, of name: String, port: UInt16) -> Bool {
    guard let block = SpecialAddress.block(of: address) else { return true }
    if block.use == .loopback && EgressHost.isLocal(name) { return true }
    return rules.contains { $0.matches(address: address, port: port) }
  }

  /// Whether a rule is for this very address: nothing else opens one of this machine's own.
  func isFor(_ address: IPAddress, port: UInt16) -> Bool { rules.contains { $0.isFor(address, port: port) } }

  /// Whether a name shown in TLS may be shown to who was asked for: the name itself, or one that could have been asked for.
  func permits(shown: EgressHost, to target: EgressTarget) -> Bool {
    shown == target.host || permits(EgressTarget(host: shown, port: target.port))
  }

  public var description: String { rules.map { $0.description }.joined(separator: ",") }

  /// For a message: of many rules the first ones.
  var summary: String {
    let most = 160
    let text = description
    return "--network allow=" + (text.utf8.count <= most ? text : String(text.prefix(most)) + "...")
  }
}
