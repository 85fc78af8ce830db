import Testing
import ZoneRuntime

@testable import Orchestrator

/// Which requests go by a proxy.
struct ProxyRulesTests {
  private func proxy(_ environment: [String: String], _ url: String) throws -> String? {
    try ProxyRules(environment).proxy(for: RegistryURL(parsing: url)).map { "\($0.login ?? "-") \($0.host):\($0.port)" }
  }

  @Test func eachSchemeHasItsOwn() throws {
    let both = ["http_proxy": "http://p.org:1", "HTTPS_PROXY": "p.org:2/"]
    #expect(try proxy(both, "http://a.org/") == "- p.org:1" && proxy(both, "https://a.org/") == "- p.org:2")
    #expect(try proxy(["https_proxy": "http://me:a%40b@p.org"], "https://a.org/") == "me:a@b p.org:80")
    #expect(try proxy(["HTTP_PROXY": "http://p.org:1"], "http://a.org/") == nil, "CVE-2016-5385")
    #expect(try proxy(["https_proxy": "", "HTTPS_PROXY": ""], "https://a.org/") == nil)
    #expect(throws: ImageError.self) { try ProxyRules(["https_proxy": "socks5://p.org"]) }
    #expect(throws: ImageError.self) { try ProxyRules(["https_proxy": "http://p org"]) }
  }

  @Test(arguments: [
    ("*", true), ("a.org", true), (".org", true), ("*.org", true), ("org", true), ("b.org, x.a.org", true),
    ("x.a.org:443", true), ("x.a.org:80", false), ("y.a.org", false), ("aa.org", false), ("g", false), ("", false),
  ]) func exceptions(list: String, isExcepted: Bool) throws {
    #expect(try (proxy(["https_proxy": "p.org:1", "no_proxy": list], "https://x.a.org/") == nil) == isExcepted)
  }

  @Test(arguments: ["https://localhost/", "https://127.0.0.1:5000/", "https://[::1]/"])
  func thisMachineNeedsNone(url: String) throws { #expect(try proxy(["https_proxy": "p.org:1"], url) == nil) }
}
