import Testing

@testable import VirtualNet

@Suite("egress: rules and addresses") struct EgressRuleTests {
  private static func target(_ text: String) -> EgressTarget { EgressTarget(authority: text)! }

  @Test(
    "what is right is taken, and told as it is read",
    arguments: [
      ("pypi.org", "pypi.org"), ("PyPI.org.:443", "pypi.org:443"), ("*.Example.com", "*.example.com"),
      ("*.example.com:8443", "*.example.com:8443"), ("10.0.0.0/8", "10.0.0.0/8"), ("192.0.2.7:80", "192.0.2.7:80"),
      ("192.0.2.7/32", "192.0.2.7"), ("[2001:DB8::1]:443", "[2001:db8::1]:443"), ("2001:db8::/32", "[2001:db8::/32]"),
      ("[2001:db8::/32]:443", "[2001:db8::/32]:443"), ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
      ("localhost:8443", "localhost:8443"), ("[::1]:8443", "[::1]:8443"),
      ("_dmarc.a-b.xn--p1ai", "_dmarc.a-b.xn--p1ai"),
      ("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "[::/0]"),
    ])
  func right(_ text: String, _ spelled: String) throws {
    let rule = try EgressRule(text)
    #expect(rule.description == spelled)
    #expect(try EgressRule(spelled) == rule)
  }

  @Test(
    "what is wrong is refused, and the item is named",
    arguments: [
      ("", "'' is no host's name"), ("a b", "'a b'"), ("pypi.org:0", "'0' is no port"), ("pypi.org:99999", "'99999'"),
      ("pypi.org:", "'' is no port"), ("https://pypi.org", "an address of the web"), ("*", "--network full"),
      ("*.", "'' is no host's name"), ("*.*.org", "'*.org'"), ("a*.org", "'a*.org'"), ("10.0.0.1/8", "no prefix"),
      ("10.0.0.0/33", "no prefix"), ("2130706433", "'2130706433'"), ("0x7f.1", "'0x7f.1'"), ("127.1", "'127.1'"),
      ("[2001:db8::1", "bracket"), ("[10.0.0.1]:80", "no IPv6"), ("[::1]8443", "a colon"), ("localhost", "loopback"),
      ("127.0.0.1", "loopback"), ("127.0.0.0/8", "loopback"), ("[::1]", "loopback"), ("a..b", "'a..b'"),
      ("b\u{fc}cher.de", "is no host's name"), ("a\u{1b}[m", "is no host's name"),
    ])
  func wrong(_ text: String, _ words: String) throws {
    let error = #expect(throws: NetworkError.self) { try EgressRule(text) }
    let line = error.map { "\($0)" } ?? "it is taken"
    #expect(line.hasPrefix("network 'allow=\(text)': ") && line.contains(words), "\(line)")
  }

  @Test("an empty item among others is refused") func empty() throws {
    #expect(try EgressRules("a.b,10.0.0.0/8:53").rules.count == 2)
    #expect(throws: NetworkError.self) { try EgressRules("a.b,,c.d") }
    #expect(throws: NetworkError.self) { try EgressRules("") }
  }

  @Test(
    "who asks for a name is judged by names, who asks for an address by addresses",
    arguments: [
      ("pypi.org:443", true), ("PYPI.org.:443", true), ("pypi.org:80", false), ("www.pypi.org:443", false),
      ("apypi.org:443", false), ("a.npmjs.org:1", true), ("a.b.npmjs.org:9", true), ("npmjs.org:443", false),
      ("xnpmjs.org:443", false), ("192.0.2.5:80", true), ("192.0.3.5:80", false), ("[::ffff:192.0.2.5]:80", true),
      ("[64:ff9b::c000:205]:80", false), ("[2001:db8::7]:443", true), ("[2001:db8::7]:80", false),
      ("localhost:8443", true), ("localhost:8444", false), ("127.0.0.1:8443", false), ("[::1]:8443", false),
    ])
  func permits(_ asked: String, _ allowed: Bool) throws {
    let rules = try EgressRules("pypi.org:443,*.npmjs.org,192.0.2.0/24:80,[2001:db8::/32]:443,localhost:8443")
    #expect(rules.permits(Self.target(asked)) == allowed)
  }

  @Test(
    "addresses that lead to no stranger are known in every form",
    arguments: [
      ("127.0.0.1", "127.0.0.0/8", "loopback"), ("127.255.0.9", "127.0.0.0/8", "loopback"), ("::1", "::1", "loopback"),
      ("0.0.0.0", "0.0.0.0/8", "unspecified"), ("::", "::", "unspecified"),
      ("10.1.2.3", "10.0.0.0/8", "private-use"), ("172.31.255.255", "172.16.0.0/12", "private-use"),
      ("192.168.0.1", "192.168.0.0/16", "private-use"), ("100.127.0.1", "100.64.0.0/10", "private-use"),
      ("169.254.169.254", "169.254.0.0/16", "link-local"), ("fe80::1", "fe80::/10", "link-local"),
      ("fd00:ec2::254", "fc00::/7", "private-use"), ("224.0.0.251", "224.0.0.0/4", "multicast"),
      ("ff02::1", "ff00::/8", "multicast"), ("255.255.255.255", "240.0.0.0/4", "reserved"),
      ("::ffff:127.0.0.1", "127.0.0.0/8", "loopback"), ("::ffff:a00:1", "10.0.0.0/8", "private-use"),
      ("64:ff9b::7f00:1", "64:ff9b::7f00:0/104", "loopback"),
      ("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:0/112", "link-local"),
      ("2002:7f00:1::", "2002:7f00::/24", "loopback"), ("2002:c0a8:1:2:3::4", "2002:c0a8::/32", "private-use"),
      ("::127.0.0.1", "::127.0.0.0/104", "loopback"), ("::ffff:0:10.0.0.1", "::ffff:0:a00:0/104", "private-use"),
      ("64:ff9b:1::1", "64:ff9b:1::/48", "translated"), ("2001:0:1::1", "2001::/32", "translated"),
    ])
  func special(_ address: String, _ block: String, _ use: String) throws {
    let found = try #require(SpecialAddress.block(of: IPAddress(address)!))
    #expect(found.prefix.description == block)
    #expect(found.use.rawValue == use)
  }

  @Test(
    "ordinary addresses are ordinary",
    arguments: [
      "1.1.1.1", "126.255.255.255", "128.0.0.1", "172.15.0.1", "172.32.0.1", "192.0.2.1", "198.51.100.2", "223.0.0.1",
      "2606:4700::1111", "2001:db8::1", "64:ff9b::101:101", "2002:101:101::1", "::ffff:1.1.1.1",
    ])
  func ordinary(_ address: String) { #expect(SpecialAddress.block(of: IPAddress(address)!) == nil) }

  @Test(
    "a name that leads to a special address needs a rule for that address, or for its kind",
    arguments: [
      ("a.test", "192.0.2.1", "a.test", true), ("a.test", "127.0.0.1", "a.test", false),
      ("a.test", "10.0.0.1", "a.test:443", false), ("a.test", "10.0.0.1", "a.test,10.0.0.1", true),
      ("a.test", "10.0.0.1", "a.test,10.0.0.0/8:443", true), ("a.test", "10.0.0.1", "a.test,10.0.0.0/8:80", false),
      ("a.test", "10.0.0.1", "a.test,0.0.0.0/0", false), ("a.test", "10.0.0.1", "a.test,8.0.0.0/6", false),
      ("a.test", "::1", "a.test,::/0", false), ("a.test", "127.0.0.1", "a.test,localhost:443", false),
      ("localhost", "127.0.0.1", "localhost:443", true), ("api.localhost", "::1", "*.localhost:443", true),
      ("localhost", "10.0.0.1", "localhost:443", false), ("a.test", "64:ff9b::a00:1", "a.test,10.0.0.0/8", false),
      ("a.test", "64:ff9b::a00:1", "a.test,64:ff9b::a00:0/104", true),
      ("a.test", "64:ff9b::a00:1", "a.test,64:ff9b::/96", false),
      ("a.test", "::ffff:10.0.0.1", "a.test,10.0.0.0/8", true),
    ])
  func resolved(_ name: String, _ address: String, _ rules: String, _ allowed: Bool) throws {
    let rules = try EgressRules(rules)
    #expect(rules.permits(IPAddress(address)!, of: name, port: 443) == allowed)
    let target = EgressTarget(host: .name(name), port: 443)
    func choose(_ found: [IPAddress], own: IPAddress? = nil) throws -> [IPAddress] {
      try EgressDial.choose(found, name, target, rules) { $0 == own }
    }
    let chosen = try? choose([IPAddress(address)!])
    #expect((chosen?.count == 1) == allowed)
    // Beside an ordinary address the special one is passed over.
    let both = [IPAddress(address)!, IPAddress("192.0.2.9")!]
    #expect(try choose(both).count == (allowed ? 2 : 1))
    // So is one of the machine's own, where no rule is for it alone.
    let isNamed = rules.isFor(both[0], port: 443)
    #expect(try choose(both, own: both[0]).count == (isNamed ? 2 : 1))
  }

  @Test("an address is opened by its own kind of rule alone") func literal() throws {
    let world = try EgressRules("0.0.0.0/0,::/0")
    #expect(world.permits(Self.target("192.0.2.1:1")) && world.permits(Self.target("[2001:db8::1]:1")))
    for special in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"] {
      #expect(!world.permits(Self.target("\(special):80")), "\(special)")
    }
    #expect(try EgressRules("::/0").permits(Self.target("192.0.2.1:1")) == false)
  }

  @Test(
    "authorities are read as they are meant",
    arguments: [
      ("a.b:1", "a.b:1"), ("[::1]:2", "[::1]:2"), ("1.2.3.4:5", "1.2.3.4:5"), ("A.B", nil), ("a:b:1", nil),
      ("user@a:1", nil), ("[a]:1", nil), ("[1.2.3.4]:1", nil), ("::1:2", nil), ("[::1]", nil), ("a:", nil), (":1", nil),
      ("a:65536", nil), ("a:+1", nil), ("[::1%lo]:1", nil), ("a%00:1", nil), ("2130706433:1", nil),
    ] as [(String, String?)])
  func authority(_ text: String, _ read: String?) {
    #expect(EgressTarget(authority: text)?.description == read)
  }

  @Test("what strangers wrote is printable when it is told") func printable() {
    let denial = EgressDenial(name: "a\n\u{1b}[2J\u{7f}\\\u{e9}:443", call: .connect, rule: "x\r\n\u{0}y")
    #expect(denial.name == "a\\x0a\\x1b[2J\\x7f\\x5c\\xc3\\xa9:443" && denial.rule == "x\\x0d\\x0a\\x00y")
    #expect(EgressDenial(message: denial.message) == denial)
    let long = EgressDenial(
      name: String(repeating: "\u{1}", count: 5000), call: .sni, rule: String(repeating: "r", count: 5000))
    #expect(long.message.count < 2048 && EgressDenial(message: long.message) == long)
  }

  @Test("programs are told of the proxy, and of what needs none") func environment() throws {
    func variable(_ name: String, _ rules: String) throws -> String? {
      ProxyEnvironment.variables(port: 3128, try EgressRules(rules)).first { $0.name == name }?.value
    }
    for name in ["http_proxy", "HTTPS_PROXY", "all_proxy"] {
      #expect(try variable(name, "a.b") == "http://127.0.0.1:3128")
    }
    #expect(try variable("NO_PROXY", "a.b") == "localhost,127.0.0.1,::1")
    #expect(try variable("no_proxy", "localhost:8443") == "127.0.0.1,::1")
    #expect(try variable("no_proxy", "127.0.0.0/8:80,[::1]:80") == "localhost")
  }
}
