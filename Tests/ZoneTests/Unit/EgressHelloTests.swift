import Testing

@testable import VirtualNet

/// A ClientHello as clients send it, and as nobody should.
struct Hello {
  var extensions: [(type: UInt16, data: [UInt8])] = []
  var session: [UInt8] = Array(repeating: 7, count: 32)

  static func number(_ value: Int, _ width: Int) -> [UInt8] {
    (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * (width - 1 - $0))) }
  }
  static func vector(_ bytes: [UInt8], _ width: Int) -> [UInt8] { number(bytes.count, width) + bytes }

  /// With supported_groups before the name, and some padding behind it.
  init(_ name: String?) {
    extensions = [(10, [0, 2, 0, 29])]
    if let name { extensions.append((0, Self.vector([0] + Self.vector(Array(name.utf8), 2), 2))) }
    extensions.append((21, [UInt8](repeating: 0, count: 100)))
  }

  var message: [UInt8] {
    var body: [UInt8] = [3, 3] + [UInt8](repeating: 9, count: 32) + Self.vector(session, 1) + [0, 2, 0x13, 1, 1, 0]
    body += Self.vector(extensions.flatMap { Self.number(Int($0.type), 2) + Self.vector($0.data, 2) }, 2)
    return [1] + Self.vector(body, 3)
  }

  /// In records of so many bytes.
  func records(of size: Int = 16384) -> [UInt8] {
    let message = message
    return stride(from: 0, to: message.count, by: size).flatMap {
      [22, 3, 1] + Self.vector(Array(message[$0..<min(message.count, $0 + size)]), 2)
    }
  }
}

@Suite("egress: the name shown in TLS") struct EgressHelloTests {
  typealias Shown = ClientHello.Shown

  @Test("the name is read, in records of any size", arguments: [16384, 100, 7, 1])
  func read(_ size: Int) {
    let bytes = Hello("a.example").records(of: size)
    #expect(ClientHello.read(bytes) == .complete(.name(Array("a.example".utf8)), length: bytes.count))
    #expect(
      ClientHello.read(bytes + [23, 3, 3, 0, 1, 0]) == .complete(.name(Array("a.example".utf8)), length: bytes.count))
    for count in 0..<bytes.count { #expect(ClientHello.read(bytes[..<count]) == .incomplete, "cut at \(count)") }
    let none = Hello(nil).records(of: size)
    #expect(ClientHello.read(none) == .complete(.nothing, length: none.count))
  }

  @Test("other protocols are none") func others() {
    for text in ["SSH-2.0-x\r\n", "GET / HTTP/1.1\r\n", "\u{16}\u{10}x"] {
      #expect(ClientHello.read(Array(text.utf8)) == .complete(.noTLS, length: 0))
    }
    #expect(ClientHello.read([UInt8]()) == .incomplete)
  }

  @Test("a hello that could be read in two ways is none")
  func hostile() {
    func wrong(_ bytes: [UInt8], _ what: String) {
      guard case .wrong = ClientHello.read(bytes) else {
        Issue.record("\(what): \(ClientHello.read(bytes))")
        return
      }
    }
    for major: UInt8 in [0, 1, 2, 4, 15] { wrong([22, major, 3], "major version \(major)") }
    let good = Hello("a.example")
    var two = good
    two.extensions.append((0, Hello.vector([0] + Hello.vector(Array("evil.example".utf8), 2), 2)))
    wrong(two.records(), "two extensions")
    var names = Hello(nil)
    let entry = { (name: String) in [0] + Hello.vector(Array(name.utf8), 2) }
    names.extensions.append((0, Hello.vector(entry("a.example") + entry("evil.example"), 2)))
    wrong(names.records(), "two names")
    for data: [UInt8] in [
      [], [0, 0], [0, 1, 0], [0, 3, 0, 0, 0], [0, 4, 1, 0, 1, 97], [0, 9, 0, 0, 1, 97], [0, 4, 0, 0, 1, 97, 0],
    ] {
      var bad = Hello(nil)
      bad.extensions.append((0, data))
      wrong(bad.records(), "extension \(data)")
    }
    var long = good
    long.session = Array(repeating: 0, count: 33)
    wrong(long.records(), "session")
    let record = good.records()
    wrong([21, 3, 1, 0, 2, 1, 0] + record, "an alert before it")
    wrong([20, 3, 1, 0, 1, 1] + record, "change_cipher_spec before it")
    wrong([22, 3, 1, 0, 0] + record, "an empty record")
    wrong([22, 3, 1, 0xff, 0xff], "a record too long")
    wrong([22, 3, 1, 0, 4, 2, 0, 0, 0], "a server's hello")
    wrong([22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff], "a hello too long")
    let message = good.message
    wrong([22, 3, 1] + Hello.vector(message + message, 2), "two in one record")
    let parts = good.records(of: 50)
    wrong(Array(parts[..<55]) + [21, 3, 1, 0, 2, 1, 0] + Array(parts[55...]), "an alert within it")
    // Extensions that claim more or less than there is.
    for index in message.indices where index > 3 && index < 80 {
      for change: UInt8 in [1, 0xff, 0x80] {
        var bent = message
        bent[index] &+= change
        _ = ClientHello.read([22, 3, 1] + Hello.vector(bent, 2))
      }
    }
    var cut = message
    cut.removeLast(3)
    cut[3] &-= 3
    wrong([22, 3, 1] + Hello.vector(cut, 2), "cut within")
    // Never more than a bounded number of bytes, whatever is promised.
    let endless = [UInt8](repeating: 0, count: 40000)
    wrong([22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0xff] + endless, "an endless one")
  }

  // MARK: the gate

  private static let rules = try! EgressRules("a.example:443,b.example:443,192.0.2.1:443")
  private static func gate(_ target: String = "a.example:443") -> HelloGate {
    HelloGate(rules, EgressTarget(authority: target)!)
  }
  /// A server's answer: ServerHello with this random number.
  private static func answer(again: Bool) -> [UInt8] {
    let mark: [UInt8] = [
      0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
      0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
    ]
    return [22, 3, 3, 0, 60, 2, 0, 0, 56, 3, 3] + (again ? mark : [UInt8](repeating: 4, count: 32)) + [0, 0, 0]
  }
  private static func denial(_ verdict: HelloGate.Verdict) -> EgressDenial? {
    if case .refuse(let denial) = verdict { denial } else { nil }
  }

  @Test(
    "who shows another name than he asked for needs a rule for it",
    arguments: [
      ("a.example:443", "a.example", true), ("a.example:443", "A.Example", true), ("a.example:443", "b.example", true),
      ("a.example:443", "evil.example", false), ("a.example:443", "xa.example", false),
      ("a.example:443", "a.example\u{0}", false),
      ("192.0.2.1:443", "evil.example", false), ("192.0.2.1:443", "a.example", true),
      ("192.0.2.1:443", "192.0.2.1", true),
      ("a.example:443", nil, true), ("192.0.2.1:443", nil, true),
    ] as [(String, String?, Bool)])
  func shown(_ asked: String, _ shown: String?, _ passes: Bool) {
    var gate = Self.gate(asked)
    let hello = Hello(shown).records()
    let verdict = gate.client(hello)
    #expect((verdict == .pass(hello)) == passes)
    if !passes { #expect(Self.denial(verdict)?.call == .sni) }
  }

  @Test("nothing of a hello goes on before its end") func held() {
    var gate = Self.gate()
    let hello = Hello("evil.example").records(of: 20)
    for byte in hello.dropLast() { #expect(gate.client([byte]) == .pass([])) }
    #expect(gate.owesHello)
    #expect(Self.denial(gate.client([hello.last!]))?.name == "evil.example:443")
    var short = Self.gate()
    _ = short.client(hello[..<9])
    #expect(Self.denial(short.clientEnded()) != nil)
  }

  @Test("other protocols go on at once") func plain() {
    var gate = Self.gate()
    #expect(gate.client(Array("SSH".utf8)) == .pass(Array("SSH".utf8)))
    #expect(gate.isOpen && gate.client(Hello("evil.example").records()) == .pass(Hello("evil.example").records()))
  }

  @Test("what follows the hello waits for the answer, and a second hello is judged") func again() {
    let first = Hello("a.example").records()
    let early: [UInt8] = [20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 2, 5, 5]
    for name in ["a.example", "evil.example"] {
      let second = Hello(name).records()
      var gate = Self.gate()
      // Sent at once, before the server could ask.
      #expect(gate.client(first + early + second) == .pass(first))
      for byte in Self.answer(again: true)[..<42] { #expect(gate.server([byte]) == .pass([])) }
      let verdict = gate.server(Self.answer(again: true)[42...])
      if name == "a.example" {
        #expect(verdict == .pass(early + second) && gate.isOpen)
      } else {
        #expect(Self.denial(verdict)?.name == "evil.example:443")
      }
    }
    var plain = Self.gate()
    _ = plain.client(first)
    #expect(plain.client(early) == .pass([]))
    #expect(plain.server(Self.answer(again: false)) == .pass(early) && plain.isOpen)
    var alert = Self.gate()
    _ = alert.client(first)
    #expect(alert.server([21, 3, 3, 0, 2, 2, 40]) == .pass([]) && alert.isOpen)
  }
}
