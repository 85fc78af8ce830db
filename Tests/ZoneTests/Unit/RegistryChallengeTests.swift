import Testing

@testable import ZoneRuntime

@Suite struct RegistryChallengeTests {
  private static let hub =
    #"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push repository:c:pull""#

  @Test func aTokensServiceIsRead() throws {
    let expected = TokenService(
      realm: "https://auth.docker.io/token", service: "registry.docker.io",
      scopes: ["repository:a/b:pull,push", "repository:c:pull"])
    #expect(try RegistryChallenge.choose([Self.hub]) == .bearer(expected))
    // A token where there is a choice, in one header or several.
    #expect(try RegistryChallenge.choose(["Basic realm=\"x\", \(Self.hub)"]) == .bearer(expected))
    #expect(try RegistryChallenge.choose(["Basic realm=x", Self.hub]) == .bearer(expected))
    #expect(try RegistryChallenge.choose(["Negotiate, Basic realm=\"a, \\\"b\\\"\""]) == .basic(realm: "a, \"b\""))
    #expect(try RegistryChallenge.choose(["NEGOTIATE YII=, bAsIc"]) == .basic(realm: ""))
  }

  @Test(arguments: [
    (["Digest realm=x"], "digest"), ([], "no scheme"), ([""], "no scheme"), (["Bearer service=x"], "no realm"),
    (["Bearer realm=\"\""], "no realm"), (["Bearer realm=\"x"], "cannot be read"), (["Bearer realm"], "no realm"),
    (["Bearer realm=a, realm=b"], "cannot be read"), (["realm=a"], "cannot be read"),
    (["Bearer realm=a b"], "cannot be read"),
    (["Bearer realm=\"a\rb\""], "cannot be read"), (["Bearer \"x\""], "cannot be read"), (["=x"], "cannot be read"),
    ([String(repeating: "a,", count: 5000)], "cannot be read"),
  ])
  func whatCannotBeAnsweredIsTold(_ values: [String], _ word: String) throws {
    let error = #expect(throws: ImageError.self) { try RegistryChallenge.choose(values) }
    #expect("\(try #require(error))".contains(word), "\(error?.why ?? "")")
  }

  @Test func aTokenIsAskedForWithWhatIsNeeded() throws {
    let reference = try ImageReference(parsing: "a.b:5/c/d")
    #expect(TokenService.scope(of: reference, push: false) == "repository:c/d:pull")
    let wanted = TokenService.scope(of: reference, push: true)
    let service = TokenService(realm: "https://t/x?y=1", service: "a&b=ä", scopes: [wanted])
    #expect(
      try service.url(wanting: [wanted], plain: false).text
        == "https://t/x?y=1&service=a%26b%3D%C3%A4&scope=repository:c/d:pull%2Cpush")
    #expect(
      try TokenService(realm: "http://t", service: nil, scopes: []).url(wanting: ["s"], plain: true).text
        == "http://t/?scope=s")
  }

  /// The registry says where a password is sent to.
  @Test(arguments: [
    ("http://t/", false), ("ftp://t/", true), ("t", true), ("https://", true), ("https://u:p@t/", true),
    ("https:///x", true),
    ("https://t/\r\nX: y", true), ("javascript:x", true), ("file:///etc/passwd", true),
  ])
  func aRealmThatWouldBetrayIsRefused(_ realm: String, _ plain: Bool) {
    #expect(throws: ImageError.self) {
      try TokenService(realm: realm, service: nil, scopes: []).url(wanting: [], plain: plain)
    }
  }

  @Test func answersOfServices() throws {
    let read = { (text: String) throws in try JSON.decode(TokenAnswer.self, from: Array(text.utf8), name: "x") }
    #expect(try read(#"{"access_token":"t","expires_in":300,"issued_at":"x"}"#).bearer() == "t")
    for text in ["{}", #"{"token":""}"#, #"{"token":"a b"}"#, #"{"token":"a\r\nX: y"}"#] {
      #expect(throws: ImageError.self) { try read(text).bearer() }
    }
    let errors = #"{"errors":[{"code":"DENIED","message":"requested access\u001b is denied","detail":{}}]}"#
    #expect(RegistryErrors.words(Array(errors.utf8)) == "requested access? is denied")
    #expect(RegistryErrors.words(Array(#"{"errors":[{"code":"X"}]}"#.utf8)) == "X")
    #expect(RegistryErrors.words(Array("<html>".utf8)) == nil)
  }

  // MARK: places

  @Test(arguments: [
    ("https://a.example/v2/x?y=1#z", "https://a.example/v2/x?y=1"), ("HTTPS://A.Example:443", "https://a.example/"),
    ("http://[::1]:5000?q", "http://[::1]:5000/?q"), ("http://a:80/", "http://a/"),
    ("https://a_b.c/%2f", "https://a_b.c/%2f"),
  ])
  func aPlaceIsRead(_ text: String, _ expected: String) throws {
    #expect(try RegistryURL(parsing: text).text == expected)
  }

  @Test func whereALocationLeads() throws {
    let here = try RegistryURL(parsing: "https://a.example:5000/v2/x/blobs/uploads/?s=1")
    for (location, expected) in [
      ("/v2/y", "https://a.example:5000/v2/y"), ("?t=2", "https://a.example:5000/v2/x/blobs/uploads/?t=2"),
      ("//b/c", "https://b/c"), ("https://b.example/c?d=e", "https://b.example/c?d=e"),
    ] {
      #expect(try here.following(location).text == expected)
    }
    for location in [
      "http://a.example:5000/v2/y", "ftp://b/", "y", "", "//", "https://u:p@b/", "/a b", "/a\r\nX: y", "/ä",
    ] {
      #expect(throws: ImageError.self, "\(location)") { try here.following(location) }
    }
    let plain = try RegistryURL(parsing: "http://a/x")
    #expect(try plain.following("http://b/").isPlain && !plain.following("https://a/").isPlain)
  }

  /// A login goes to the place that it is for, and to no other.
  @Test func onePlaceOrAnother() throws {
    let here = try RegistryURL(parsing: "https://a/x")
    #expect(here.isSamePlace(as: try RegistryURL(parsing: "https://A:443/y")))
    for other in ["https://a:444/x", "http://a:443/x", "https://b/x", "https://a.b/x"] {
      #expect(!here.isSamePlace(as: try RegistryURL(parsing: other)))
    }
    let reference = try ImageReference(parsing: "debian")
    let url = RegistryURL(reference, "library/debian/blobs/uploads/1?a=b", isPlain: false)
    #expect(
      url.adding("digest", "sha256:1 2").text
        == "https://registry-1.docker.io/v2/library/debian/blobs/uploads/1?a=b&digest=sha256:1%202")
  }

  struct Sent: Sendable {
    var status: Int
    var asked: Int64 = 0
    var range: String?
    var length: String?
    /// nil: refused.
    var answer: BlobAnswer?
  }

  @Test(arguments: [
    Sent(status: 200, length: "10", answer: .bytes(from: 0, count: 10)),
    Sent(status: 200, answer: .bytes(from: 0, count: 10)),
    // A server that knows no ranges sends all of it again.
    Sent(status: 200, asked: 4, length: "10", answer: .bytes(from: 0, count: 10)),
    Sent(status: 206, asked: 4, range: "bytes 4-9/10", length: "6", answer: .bytes(from: 4, count: 6)),
    Sent(status: 206, asked: 4, range: "Bytes 4-9/*", answer: .bytes(from: 4, count: 6)),
    Sent(status: 416, asked: 10, answer: .again),
    Sent(status: 200, length: "11", answer: nil), Sent(status: 200, length: "-1", answer: nil),
    Sent(status: 200, length: "1e1", answer: nil), Sent(status: 206, asked: 4, answer: nil),
    Sent(status: 206, asked: 4, range: "bytes 0-9/10", answer: nil),
    Sent(status: 206, asked: 4, range: "bytes 4-8/10", answer: nil),
    Sent(status: 206, asked: 4, range: "bytes 4-9/11", answer: nil),
    Sent(status: 206, asked: 4, range: "bytes 9-4/10", answer: nil),
    Sent(status: 206, asked: 4, range: "bytes 4-9", answer: nil),
    Sent(status: 206, asked: 4, range: "bytes 4-9/10", length: "7", answer: nil),
    Sent(status: 206, asked: 4, range: "bytes 4-99999999999999999999/10", answer: nil),
    Sent(status: 416, answer: nil), Sent(status: 404, answer: nil), Sent(status: 302, answer: nil),
  ])
  func whatAnAnswerBrings(_ sent: Sent) throws {
    let read = { () throws(ImageError) in
      try BlobAnswer.read(status: sent.status, asked: sent.asked, size: 10, range: sent.range, length: sent.length)
    }
    if let answer = sent.answer {
      #expect(try read() == answer)
    } else {
      #expect(throws: ImageError.self) { try read() }
    }
  }
}
