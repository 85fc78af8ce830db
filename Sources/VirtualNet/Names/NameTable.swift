/// Who is found by which name on a network.
struct NameTable: Equatable, Sendable {
  private(set) var addresses: [String: [IPv4Address]] = [:]
  private(set) var names: [IPv4Address: String] = [:]
  private(set) var subnet: IPv4Subnet

  /// Zones that are up, by their names and aliases; a zone's own name goes before another's alias.
  init(_ state: NetworkState) {
    subnet = state.subnet
    let members = state.attachments.filter { $0.phase == .up }
    for one in members {
      addresses[one.zone] = [one.address]
      names[one.address] = one.zone
    }
    let own = Set(members.map { $0.zone })
    for one in members {
      for alias in Set(one.aliases) where !own.contains(alias) { addresses[alias, default: []].append(one.address) }
    }
  }

  enum Answer: Equatable, Sendable {
    case addresses([IPv4Address])
    case name(String)
    /// The name exists, but has nothing of that type.
    case nothing
    case noSuchName
    /// Not ours to answer.
    case elsewhere
  }

  func answer(_ question: DNSQuestion) -> Answer {
    guard question.class_ == 1 || question.class_ == 255 else { return .elsewhere }
    if question.labels.count == 1, let found = addresses[question.name] {
      return question.type == DNSQuestion.Kind.a || question.type == DNSQuestion.Kind.any ? .addresses(found) : .nothing
    }
    if question.labels.count == 6, question.labels[5] == Array("arpa".utf8),
      question.labels[4] == Array("in-addr".utf8),
      let address = IPv4Address(
        question.labels[0..<4].reversed().map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".")),
      subnet.contains(address)
    {
      guard let name = names[address] else { return .noSuchName }
      return question.type == DNSQuestion.Kind.ptr || question.type == DNSQuestion.Kind.any ? .name(name) : .nothing
    }
    return .elsewhere
  }

  /// The answer as bytes, or nil where a resolver must be asked.
  /// - Parameters:
  ///   - turn: shared names begin with another address each time.
  ///   - room: bytes the asker takes.
  func reply(to question: DNSQuestion, turn: Int, room: Int) -> [UInt8]? {
    switch answer(question) {
    case .addresses(let found):
      let first = found.isEmpty ? 0 : turn % found.count
      let ordered = found[first...] + found[..<first]
      return DNSAnswer.bytes(
        question, code: 0, records: ordered.map { (DNSQuestion.Kind.a, $0.bytes) }, room: room)
    case .name(let name):
      let data = [UInt8(name.utf8.count)] + Array(name.utf8) + [0]
      return DNSAnswer.bytes(question, code: 0, records: [(DNSQuestion.Kind.ptr, data)], room: room)
    case .nothing: return DNSAnswer.bytes(question, code: 0, room: room)
    case .noSuchName: return DNSAnswer.bytes(question, code: 3, room: room)
    case .elsewhere: return nil
    }
  }
}
