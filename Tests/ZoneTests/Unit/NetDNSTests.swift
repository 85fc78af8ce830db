import Testing

@testable import VirtualNet

@Suite("DNS messages")
struct NetDNSTests {
  private static func question(_ name: String, type: UInt16 = 1, edns: UInt16? = nil) -> [UInt8] {
    var bytes: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns == nil ? 0 : 1]
    for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
    bytes += [0, UInt8(type >> 8), UInt8(type & 0xff), 0, 1]
    if let edns { bytes += [0, 0, 41, UInt8(edns >> 8), UInt8(edns & 0xff), 0, 0, 0, 0, 0, 0] }
    return bytes
  }

  private static func parsed(_ bytes: [UInt8]) -> DNSQuestion? {
    if case .question(let question) = DNSQuestion.parse(bytes) { question } else { nil }
  }

  private static var table: NameTable {
    var state = NetworkState(bridge: "b", subnet: IPv4Subnet("10.88.0.0/24")!, boot: "x")
    for number in 2...200 {
      state.attachments.append(
        .init(
          zone: "z\(number)", phase: .up, interface: "i", index: UInt32(number),
          address: IPv4Address("10.88.0.\(number)")!,
          mac: MACAddress(zone: "z\(number)", network: "n"), aliases: ["all", "z2", "all"]))
    }
    state.attachments.append(
      .init(
        zone: "half", phase: .making, interface: "i", index: 0, address: IPv4Address("10.88.0.201")!,
        mac: MACAddress(zone: "h", network: "n")))
    return NameTable(state)
  }

  @Test("questions are read")
  func read() {
    let question = Self.parsed(Self.question("WwW.Example", edns: 4096))
    #expect(
      question?.name == "www.example" && question?.id == 0x1234 && question?.edns == true && question?.room == 1232)
    #expect(Self.parsed(Self.question("a"))?.room == 512)
    #expect(Self.parsed(Self.question("a", edns: 100))?.room == 512)
  }

  @Test("hostile messages are refused or passed over")
  func hostile() {
    let good = Self.question("www.example")
    for length in 0..<good.count { #expect(Self.parsed(Array(good[..<length])) == nil, "cut at \(length)") }
    var answer = good
    answer[2] |= 0x80
    #expect(DNSQuestion.parse(answer) == .ignore)
    var update = good
    update[2] = 0x28
    #expect(DNSQuestion.parse(update) == .refuse(id: 0x1234, code: 4))
    var two = good
    two[5] = 2
    #expect(DNSQuestion.parse(two) == .refuse(id: 0x1234, code: 1))
    // A pointer to itself, forward, into the header, and two that lead to each other.
    let head = Array(good[..<12])
    for name: [UInt8] in [
      [0xc0, 12], [0xc0, 14], [0xc0, 0], [0xc0, 11], [0xc0, 14, 0xc0, 12], [0xff, 0xff], [0x40, 1], [0x80, 1],
      [1, 97, 0xc0, 12],
    ] {
      #expect(Self.parsed(head + name + [0, 1, 0, 1]) == nil, "\(name)")
    }
    let longest =
      [UInt8](repeating: 0, count: 0) + (0..<4).flatMap { _ in [UInt8(63)] + [UInt8](repeating: 97, count: 63) }
    #expect(Self.parsed(head + longest + [0, 0, 1, 0, 1]) == nil, "a name of 257 bytes")
    var records = good
    records[10] = 0xff
    #expect(Self.parsed(records) == nil, "65280 records that are not there")
  }

  @Test("random bytes are read without a trap", arguments: UInt64(1)...8)
  func random(_ seed: UInt64) {
    var generator = NetRandom(seed: seed)
    for _ in 0..<20000 {
      var bytes = Self.question("a.example", edns: 1232)
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator) / 3)
      guard let question = Self.parsed(bytes) else { continue }
      let reply = Self.table.reply(to: question, turn: 3, room: question.room)
      #expect((reply?.count ?? 0) <= question.room)
      _ = DNSAnswer.matches(bytes[...], id: 3, question: question)
      if seed > 1 { break }
    }
  }

  @Test("zones, aliases, addresses and what is not ours")
  func answers() throws {
    let table = Self.table
    func answer(_ name: String, _ type: UInt16 = 1) throws -> NameTable.Answer {
      table.answer(try #require(Self.parsed(Self.question(name, type: type))))
    }
    #expect(try answer("z7") == .addresses([IPv4Address("10.88.0.7")!]))
    #expect(try answer("z2") == .addresses([IPv4Address("10.88.0.2")!]), "another's alias took a zone's name")
    guard case .addresses(let all) = try answer("all") else { return #expect(Bool(false)) as Void }
    #expect(all.count == 199)
    #expect(try answer("z7", 28) == .nothing)
    #expect(try answer("half") == .elsewhere, "a zone that is not up yet is answered")
    #expect(try answer("z7.example") == .elsewhere)
    #expect(try answer("7.0.88.10.in-addr.arpa", 12) == .name("z7"))
    #expect(try answer("250.0.88.10.in-addr.arpa", 12) == .noSuchName)
    #expect(try answer("7.1.88.10.in-addr.arpa", 12) == .elsewhere)
    #expect(try answer("07.0.88.10.in-addr.arpa", 12) == .elsewhere)
  }

  @Test("an answer that does not fit says so, and shared names begin elsewhere each time")
  func truncation() throws {
    let question = try #require(Self.parsed(Self.question("all", edns: 1232)))
    let short = try #require(Self.table.reply(to: question, turn: 0, room: question.room))
    #expect(short.count <= 1232 && short[2] & 2 != 0)
    let whole = try #require(Self.table.reply(to: question, turn: 0, room: 65535))
    #expect(whole[2] & 2 == 0 && whole[7] == 199)
    let turned = try #require(Self.table.reply(to: question, turn: 1, room: 65535))
    #expect(turned != whole && turned.count == whole.count)
  }

  @Test("only what was asked is taken from a resolver")
  func matching() throws {
    let asked = Self.question("a.example")
    let question = try #require(Self.parsed(asked))
    var good = asked
    good[2] = 0x81
    #expect(DNSAnswer.matches(good[...], id: 0x1234, question: question))
    #expect(!DNSAnswer.matches(good[...], id: 0x1235, question: question))
    #expect(!DNSAnswer.matches(asked[...], id: 0x1234, question: question), "a question is no answer")
    var other = good
    other[13] = UInt8(ascii: "b")
    #expect(!DNSAnswer.matches(other[...], id: 0x1234, question: question))
    #expect(!DNSAnswer.matches(good[..<11], id: 0x1234, question: question))
  }

  @Test("resolv.conf is read as the C library reads it")
  func resolvers() {
    let found = Resolvers.parse(
      "# c\nsearch x\nnameserver 127.0.0.53\nnameserver\t::1\nnameserver bad\nnameserver fe80::1%lo\nnameserver 9.9.9.9\n"
    )
    #expect(
      found.count == 3 && found[0].ipv4?.description == "127.0.0.53" && found[1].ipv6?.last == 1 && found[2].scope == 1)
  }
}
