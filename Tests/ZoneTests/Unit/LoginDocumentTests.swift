import Testing

@testable import ZoneRuntime

/// Which login of a file is for which image.
struct LoginDocumentTests {
  private func find(_ text: String, _ image: String) throws -> LoginDocument.Found {
    try JSON.decode(LoginDocument.self, from: Array(text.utf8), name: "logins").find(
      for: ImageReference(parsing: image))
  }

  private func auth(_ found: LoginDocument.Found) -> String? {
    guard case .entry(let entry) = found else { return nil }
    return entry.auth
  }

  @Test func theEntryThatSaysTheMostWins() throws {
    let text = #"{"auths":{"a.org":{"auth":"1"},"a.org/team":{"auth":"2"},"a.org/team/box":{"auth":"3"}}}"#
    #expect(try auth(find(text, "a.org/x")) == "1")
    #expect(try auth(find(text, "a.org/team/x:v1")) == "2")
    #expect(try auth(find(text, "a.org/team/box@sha256:\(String(repeating: "a", count: 64))")) == "3")
    #expect(try auth(find(text, "a.org/teams/box")) == "1", "parts count, not letters")
    #expect(try find(text, "a.org:443/x") == .nothing, "a port is another place")
    #expect(try find(text, "b.org/a.org/x") == .nothing)
  }

  @Test(arguments: [
    "https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io", "https://docker.io",
  ])
  func dockersOwnHasManyNames(key: String) throws {
    #expect(try auth(find(#"{"auths":{"\#(key)":{"auth":"1"}}}"#, "debian")) == "1")
  }

  @Test func helpersAreTold() throws {
    #expect(try find(#"{"credHelpers":{"a.org":"pass"},"auths":{"a.org":{"auth":"1"}}}"#, "a.org/x") == .helper("pass"))
    #expect(try find(#"{"credsStore":"desktop","auths":{"a.org":{}}}"#, "a.org/x") == .helper("desktop"))
    #expect(try find(#"{"credsStore":"desktop","auths":{}}"#, "a.org/x") == .nothing)
    #expect(try find(#"{"HttpHeaders":{"x":"y"},"currentContext":"z"}"#, "a.org/x") == .nothing)
  }

  @Test(arguments: ["[]", #"{"auths":[]}"#, #"{"auths":{"a.org":"x"}}"#, #"{"auths":{"a.org":{"auth":7}}}"#, ""])
  func whatIsNoSuchFileIsTold(text: String) { #expect(throws: JSONError.self) { try find(text, "a.org/x") } }
}
