import Testing

@testable import VirtualNet

@Suite("egress: how the proxy is asked") struct EgressRequestTests {
  // MARK: SOCKS

  @Test("SOCKS 5 is read at any cut") func socks() {
    #expect(SocksRequest.greeting([5, 2, 1, 0]) == .complete(true, length: 4))
    #expect(SocksRequest.greeting([5, 1, 2]) == .complete(false, length: 3))
    for bytes: [UInt8] in [[], [5], [5, 2, 0]] { #expect(SocksRequest.greeting(bytes) == .incomplete) }
    let name = Array("A.example".utf8)
    for (bytes, target): ([UInt8], String) in [
      ([5, 1, 0, 1, 192, 0, 2, 1, 1, 187], "192.0.2.1:443"),
      ([5, 1, 0, 3, UInt8(name.count)] + name + [0, 80], "a.example:80"),
      ([5, 1, 0, 3, 9] + Array("127.0.0.1".utf8) + [0, 80], "127.0.0.1:80"),
      ([5, 1, 0, 4] + [UInt8](repeating: 0, count: 15) + [1, 0, 22], "[::1]:22"),
    ] {
      let asked = EgressTarget(authority: target)!
      #expect(SocksRequest.request(bytes + [9]) == .complete(.connect(asked), length: bytes.count))
      for count in 0..<bytes.count { #expect(SocksRequest.request(Array(bytes[..<count])) == .incomplete, "\(count)") }
    }
  }

  @Test("what SOCKS cannot have is refused") func socksRefused() {
    func refusal(_ bytes: [UInt8]) -> UInt8? {
      if case .complete(.refused(let number), _) = SocksRequest.request(bytes) { number } else { nil }
    }
    #expect(refusal([5, 2, 0, 1, 1, 2, 3, 4, 0, 1]) == 7 && refusal([5, 3, 0, 1, 1, 2, 3, 4, 0, 1]) == 7)
    #expect(refusal([5, 1, 0, 2, 1, 2, 3, 4]) == 8 && refusal([5, 1, 0, 1, 1, 2, 3, 4, 0, 0]) == 8)
    #expect(refusal([5, 1, 0, 3, 3, 97, 0, 98, 0, 80]) == 8 && refusal([5, 1, 0, 3, 0, 0, 80]) == 8)
    #expect(refusal([5, 1, 0, 3, 3] + Array("0x1".utf8) + [0, 80]) == 8)
    guard case .wrong = SocksRequest.request([4, 1, 0, 80, 1, 2, 3, 4]) else {
      Issue.record("SOCKS 4 was taken")
      return
    }
  }

  // MARK: HTTP

  private static func read(_ text: String) -> Reading<HTTPRequest> { HTTPRequest.read(Array(text.utf8)) }

  @Test("CONNECT and requests in absolute form are read") func http() {
    let connect = "CONNECT A.example:443 HTTP/1.1\r\nHost: a.example:443\r\nProxy-Authorization: Basic eA==\r\n\r\n"
    #expect(
      Self.read(connect + "rest")
        == .complete(
          HTTPRequest(target: EgressTarget(authority: "a.example:443")!, kind: .tunnel), length: connect.utf8.count))
    for count in 0..<connect.utf8.count { #expect(HTTPRequest.read(Array(connect.utf8.prefix(count))) == .incomplete) }
  }

  @Test(
    "a request goes on in origin form, without what is between the client and us",
    arguments: [
      (
        "GET http://a.example/x?y HTTP/1.1\r\nHost: A.example\r\nProxy-Connection: keep-alive\r\nX: 1\r\n\r\n",
        "a.example:80", "GET /x?y HTTP/1.1\r\nHost: a.example\r\nX: 1\r\nConnection: close\r\n\r\n"
      ),
      (
        "POST HTTP://a.example:8080 HTTP/1.1\r\nHost:a.example:8080\r\nConnection: close, X-Hop, Content-Length\r\nX-Hop: 1\r\n"
          + "Upgrade: h2c\r\nTE: trailers\r\nContent-Length: 3\r\nProxy-Authorization: z\r\n\r\n",
        "a.example:8080",
        "POST / HTTP/1.1\r\nHost: a.example:8080\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
      ),
      (
        "GET http://[::1]:8080?q HTTP/1.0\r\n\r\n", "[::1]:8080",
        "GET /?q HTTP/1.0\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n"
      ),
      (
        "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "a:80",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      ),
    ])
  func origin(_ text: String, _ target: String, _ head: String) {
    guard case .complete(let request, let length) = Self.read(text), case .request(let bytes, _) = request.kind else {
      Issue.record("\(Self.read(text))")
      return
    }
    #expect(
      request.target.description == target && String(decoding: bytes, as: UTF8.self) == head
        && length == text.utf8.count)
  }

  @Test(
    "what two could read as two things is refused",
    arguments: [
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET http://a/ HTTP/1.1\r\nHost: evil\r\n\r\n", "GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n",
      "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "GET http://u@a/ HTTP/1.1\r\n\r\n",
      "GET http://a@evil/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET http:///x HTTP/1.1\r\n\r\n",
      "GET http://a/#x HTTP/1.1\r\n\r\n",
      "GET http://a/ HTTP/2\r\n\r\n", "GET  http://a/ HTTP/1.1\r\n\r\n", "GET http://a/ b HTTP/1.1\r\n\r\n",
      "CONNECT a HTTP/1.1\r\n\r\n", "CONNECT http://a:1 HTTP/1.1\r\n\r\n", "CONNECT a:443/ HTTP/1.1\r\n\r\n",
      "CONNECT 2130706433:80 HTTP/1.1\r\n\r\n", "CONNECT a\u{1b}[2J:443 HTTP/1.1\r\n\r\n",
      "GET http://a/ HTTP/1.1\r\nX : 1\r\n\r\n", "GET http://a/ HTTP/1.1\r\n X: 1\r\n\r\n",
      "GET http://a/ HTTP/1.1\r\nX: 1\nHost: a\r\n\r\n", "GET http://a/ HTTP/1.1\r\nX: a\rb\r\n\r\n",
      "GET http://a/ HTTP/1.1\r\nX: a\u{0}b\r\n\r\n", "GET http://a/ HTTP/1.1\r\nnothing\r\n\r\n",
      "POST http://a/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST http://a/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "POST http://a/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
      "POST http://a/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
      "POST http://a/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "\r\n\r\n", "\u{4}\u{1}\r\n\r\n",
    ])
  func refused(_ text: String) {
    if case .wrong = Self.read(text) { return }
    Issue.record("\(Self.read(text))")
  }

  @Test("a header has an end") func endless() {
    guard case .wrong = HTTPRequest.read([UInt8](repeating: 65, count: HTTPRequest.most)) else {
      Issue.record("an endless header is waited for")
      return
    }
    guard case .wrong = Self.read("GET http://a/ HTTP/1.1\r\nX: \(String(repeating: "x", count: 20000))\r\n\r\n") else {
      Issue.record("a long header was taken")
      return
    }
  }

  // MARK: bodies

  @Test("a body ends where it ends, at any cut") func bodies() {
    let chunked = "4;a=b\r\nwiki\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
    for (body, text): (HTTPBody, String) in [(.length(5), "hello"), (.length(0), ""), (.chunked, chunked)] {
      let bytes = Array(text.utf8)
      for size in [1, 2, 3, 7, 1000] {
        var body = body
        var taken = 0
        let all = bytes + Array("GET http://evil/ HTTP/1.1\r\n\r\n".utf8)
        for start in stride(from: 0, to: all.count, by: size) where !body.isOver {
          taken += body.take(all[start..<min(all.count, start + size)])
        }
        #expect(taken == bytes.count && body.isOver, "\(text) in pieces of \(size)")
      }
    }
    for text in [
      "x\r\n", "\r\n", "4\nwiki", "4\r\nwikix", "-1\r\n", "1000000000000000\r\n", "4\r\rwiki", "1;x\n", "0\r\n\n",
    ] {
      var body = HTTPBody.chunked
      _ = body.take(Array(text.utf8))
      #expect(body.isWrong, "\(text.debugDescription)")
    }
  }

  @Test("a refusal is told in the client's own protocol") func answers() {
    let denied = EgressRefusal.denied(EgressDenial(name: "evil.example:443", call: .connect, rule: "not allowed"))
    let text = String(decoding: denied.httpAnswer, as: UTF8.self)
    #expect(
      text.hasPrefix("HTTP/1.1 403 Forbidden\r\n") && text.hasSuffix("\r\n\r\nzonectl: evil.example:443: not allowed\n")
    )
    #expect(denied.socksReply == 2)
  }
}
