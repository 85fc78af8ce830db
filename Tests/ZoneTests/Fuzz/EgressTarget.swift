@testable import VirtualNet

extension FuzzTarget {
  /// What programs in a zone send to their proxy: SOCKS, HTTP, bodies and TLS.
  static let egress = FuzzTarget("egress") { (bytes) throws(Finding) in
    try socks(bytes)
    try http(bytes)
    try body(bytes)
    try hello(bytes)
  }

  private static func within<Value>(_ reading: Reading<Value>, _ bytes: [UInt8]) throws(Finding) -> Value? {
    guard case .complete(let value, let length) = reading else { return nil }
    try hold((0...bytes.count).contains(length), "\(length) bytes were taken of \(bytes.count)")
    return value
  }

  private static func socks(_ bytes: [UInt8]) throws(Finding) {
    _ = try within(SocksRequest.greeting(bytes), bytes)
    guard case .connect(let target)? = try within(SocksRequest.request(bytes), bytes) else { return }
    try hold(EgressTarget(authority: target.description) == target, "\(target) reads as another")
  }

  private static func http(_ bytes: [UInt8]) throws(Finding) {
    guard let request = try within(HTTPRequest.read(bytes), bytes) else { return }
    try hold(
      EgressTarget(authority: request.target.description) == request.target, "\(request.target) reads as another")
    guard case .request(let head, _) = request.kind else { return }
    let lines = text(head).split(separator: "\r\n", omittingEmptySubsequences: false)
    try hold(
      lines.count { $0.isEmpty } == 2 && lines.suffix(2).allSatisfy { $0.isEmpty }, "no one end of \(text(head))")
    let loose = lines.contains { $0.utf8.contains(10) || $0.utf8.contains(13) || $0.utf8.contains(0) }
    try hold(!loose, "a line within a line of \(text(head))")
  }

  private static func body(_ bytes: [UInt8]) throws(Finding) {
    var whole = HTTPBody.chunked, parts = HTTPBody.chunked
    let taken = whole.take(bytes)
    try hold(taken <= bytes.count, "more was taken than there is")
    var count = 0
    for byte in bytes where !parts.isOver && !parts.isWrong { count += parts.take([byte]) }
    try hold(whole == parts && taken == count, "in pieces it is another body")
  }

  private static func hello(_ bytes: [UInt8]) throws(Finding) {
    if case .name(let name)? = try within(ClientHello.read(bytes), bytes) { try hold(!name.isEmpty, "an empty name") }
    guard let rules = accepted({ try EgressRules("a.example,b.example") }),
      let target = EgressTarget(authority: "a.example:443")
    else { return }
    // The first byte says in what pieces they come, and where the server answers.
    let size = Int(bytes.first ?? 0) % 64 + 1
    var gate = HelloGate(rules, target)
    var passed: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      let piece = bytes[start..<min(bytes.count, start + size)]
      for verdict in [gate.client(piece), gate.server(piece)] {
        guard case .pass(let more) = verdict else { return }
        passed += more
      }
    }
    try hold(bytes.starts(with: passed), "other bytes went on than came")
    try hold(!gate.isOpen || passed.count == bytes.count, "an open gate holds something back")
  }
}
