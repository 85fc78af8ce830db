/// Looks at what a client sends first through a tunnel, and holds it back until the name it shows in TLS was judged.
///
/// A server that asks for another hello (RFC 8446, 4.1.4) gets one that could show another name. So what follows the first
/// hello waits for the server's answer, which comes without it, and a second hello is judged as the first one was. What
/// comes later is encrypted. Bytes that are no TLS are let through: the name asked for was permitted.
struct HelloGate {
  enum Verdict: Equatable {
    /// Bytes that may go on to the server now; none, and it waits for more.
    case pass([UInt8])
    case refuse(EgressDenial)
  }

  private enum Phase { case first, answer, second, open }

  private let rules: EgressRules
  private let target: EgressTarget
  private var phase = Phase.first
  /// Of the client's bytes those not let through. At most `ClientHello.most` before the reader stops.
  private var held: [UInt8] = []
  /// The beginning of the server's answer.
  private var answer: [UInt8] = []

  init(_ rules: EgressRules, _ target: EgressTarget) {
    self.rules = rules
    self.target = target
  }

  /// Nothing is looked at any more.
  var isOpen: Bool { phase == .open }
  /// A hello has begun and has not ended: the client owes the rest.
  var owesHello: Bool { (phase == .first || phase == .second) && !held.isEmpty }
  var holds: Bool { !held.isEmpty }
  /// How much more of the client's may be read now.
  var room: Int { max(0, 2 * ClientHello.most - held.count) }

  /// - Parameter bytes: what the client has sent since the last time.
  mutating func client(_ bytes: some Collection<UInt8>) -> Verdict {
    held += bytes
    switch phase {
    case .first: return hello()
    case .answer: return .pass([])
    case .second: return secondHello()
    case .open: return .pass(release(held.count))
    }
  }

  /// - Parameter bytes: what the server has sent since the last time; it goes to the client in any case.
  mutating func server(_ bytes: some Collection<UInt8>) -> Verdict {
    guard phase == .answer else { return .pass([]) }
    answer += bytes.prefix(Self.answerLength - answer.count)
    guard answer.count == Self.answerLength || answer.first.map({ $0 != 22 }) == true else { return .pass([]) }
    phase = Self.asksAgain(answer) ? .second : .open
    return client([])
  }

  /// The server sends nothing more.
  mutating func serverEnded() -> Verdict {
    if phase == .answer { phase = .open }
    return client([])
  }

  /// The client sends nothing more: what it began cannot be a hello any more, and only where it is none does it go on.
  mutating func clientEnded() -> Verdict {
    owesHello ? refusal("a hello that ends early") : .pass([])
  }

  /// Its time ran out.
  func late() -> Verdict { refusal("a hello that does not end in time") }

  private mutating func hello() -> Verdict {
    switch ClientHello.read(held) {
    case .incomplete: return .pass([])
    case .wrong(let why): return refusal(why)
    case .complete(.noTLS, _):
      guard phase == .first else { return refusal("a record of no kind within the handshake") }
      phase = .open
      return .pass(release(held.count))
    case .complete(let shown, let length):
      if let refused = judge(shown) { return refused }
      phase = phase == .first ? .answer : .open
      return .pass(release(phase == .open ? held.count : length))
    }
  }

  /// Of the records before a second hello those that may stand there are let through: change_cipher_spec, alerts, and
  /// data sent too early, which the server passes over.
  private mutating func secondHello() -> Verdict {
    var whole = 0
    while held.count - whole >= 5, held[whole] != 22 {
      guard (20...23).contains(held[whole]) else { return refusal("a record of no kind within the handshake") }
      let length = 5 + (Int(held[whole + 3]) << 8 | Int(held[whole + 4]))
      guard length <= 5 + 16384 + 256 else { return refusal("a record of \(length) bytes") }
      guard held.count - whole >= length else { break }
      whole += length
    }
    let before = release(whole)
    guard let first = held.first, first == 22 else { return .pass(before) }
    let verdict = hello()
    guard case .pass(let after) = verdict else { return verdict }
    return .pass(before + after)
  }

  /// Without a name the server shows what it is by default, at an address that the name asked for or the rules gave: that
  /// leads nowhere that was not permitted, so it passes. With Encrypted ClientHello the outer name is what is seen, and
  /// counts.
  private func judge(_ shown: ClientHello.Shown) -> Verdict? {
    guard case .name(let bytes) = shown else { return nil }
    let text = EgressDenial.printable(bytes, most: 255)
    if let host = EgressHost(text), rules.permits(shown: host, to: target) { return nil }
    return .refuse(
      EgressDenial(
        name: "\(text):\(target.port)", call: .sni,
        rule: "shown in TLS to \(target), and not allowed by \(rules.summary)"))
  }

  private func refusal(_ why: String) -> Verdict {
    .refuse(EgressDenial(name: "\(target)", call: .sni, rule: "TLS whose name cannot be read: \(why)"))
  }

  private mutating func release(_ count: Int) -> [UInt8] {
    let bytes = Array(held[..<count])
    held.removeFirst(count)
    return bytes
  }

  // MARK: the server's answer

  /// A record's header, a handshake's, the version and the random number.
  private static let answerLength = 5 + 4 + 2 + 32

  /// ServerHello with the one random number that stands for HelloRetryRequest: SHA-256 of those letters (RFC 8446, 4.1.3).
  private static func asksAgain(_ answer: [UInt8]) -> Bool {
    let mark: [UInt8] = [
      0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
      0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
    ]
    return answer.count == answerLength && answer[5] == 2 && Array(answer[11...]) == mark
  }
}
