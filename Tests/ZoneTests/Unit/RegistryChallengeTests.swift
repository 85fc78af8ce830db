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
      try service.url(wanting: [wanted], plain: false)
        == "https://t/x?y=1&service=a%26b%3D%C3%A4&scope=repository:c/d:pull%2Cpush")
    #expect(
      try TokenService(realm: "http://t", service: nil, scopes: []).url(wanting: ["s"], plain: true)
        == "http://t?scope=s")
  }

  /// The registry says where a password is sent to.
  @Test(arguments: [
    ("http://t/", false), ("ftp://t/", true), ("t", true), ("https://", true), ("https://u:p@t/", true),
    ("https:///x", true),
    ("https://t/\r\nX: y", true), ("https://t/#x", true), ("javascript:x", true), ("file:///etc/passwd", true),
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
}
