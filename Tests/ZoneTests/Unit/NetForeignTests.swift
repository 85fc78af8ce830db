import Testing

@testable import VirtualNet

@Suite("other programs' firewalls, judged")
struct NetForeignTests {
  private typealias Chain = ForeignFirewall.Chain
  private typealias Rule = ForeignFirewall.Rule
  private static let dropping = Chain(family: 2, table: "filter", name: "FORWARD", hook: 2, policy: 0, type: "filter")

  private func judge(_ base: Chain, _ rules: [Rule], _ chains: [Chain] = []) -> ForeignFirewall.Finding? {
    ForeignFirewall.judge(base, .forward, rules: rules, chains: chains, bridge: "zbr-default")
  }

  @Test("a policy that drops is found, a policy that accepts is not")
  func policy() {
    #expect(judge(Self.dropping, [])?.chain == "ip filter FORWARD (policy drop)")
    var accepting = Self.dropping
    accepting.policy = 1
    #expect(judge(accepting, []) == nil)
    #expect(judge(accepting, [Rule(chain: "FORWARD", dropsAll: true)])?.chain.contains("its last rule") == true)
    #expect(judge(accepting, [Rule(chain: "FORWARD", dropsAll: true), Rule(chain: "FORWARD", dropsAll: false)]) == nil)
    #expect(judge(accepting, [Rule(chain: "OTHER", dropsAll: true)]) == nil)
  }

  @Test("it is let be where both directions are accepted by our bridge's name")
  func mended() {
    let incoming = Rule(chain: "X", acceptsIn: "zbr-default", dropsAll: false)
    let outgoing = Rule(chain: "X", acceptsOut: "zbr-*", dropsAll: false)
    #expect(judge(Self.dropping, [incoming, outgoing]) == nil)
    #expect(judge(Self.dropping, [incoming]) != nil && judge(Self.dropping, [outgoing]) != nil)
    #expect(judge(Self.dropping, [Rule(chain: "X", acceptsIn: "zbr-other", dropsAll: false), outgoing]) != nil)
  }

  @Test("for what comes to the host, one direction is enough")
  func input() {
    let base = Chain(family: 2, table: "filter", name: "INPUT", hook: 1, policy: 0, type: "filter")
    let found = ForeignFirewall.judge(base, .input, rules: [], chains: [], bridge: "zbr-default")
    #expect(
      found?.chain == "ip filter INPUT (policy drop)"
        && found?.mend == "let it pass: iptables -I INPUT -i zbr-default -j ACCEPT")
    let rule = Rule(chain: "INPUT", acceptsIn: "zbr-default", dropsAll: false)
    #expect(ForeignFirewall.judge(base, .input, rules: [rule], chains: [], bridge: "zbr-default") == nil)
  }

  @Test("the mend names the tool's own place")
  func mend() {
    let docker = Chain(family: 2, table: "filter", name: "DOCKER-USER")
    #expect(judge(Self.dropping, [])?.mend.contains("iptables -I FORWARD -i zbr-default") == true)
    #expect(judge(Self.dropping, [], [docker])?.mend.contains("iptables -I DOCKER-USER -o zbr-default") == true)
    let own = Chain(family: 1, table: "corp", name: "fwd", hook: 2, policy: 0, type: "filter")
    #expect(judge(own, [])?.mend.contains("nft insert rule inet corp fwd iifname zbr-default accept") == true)
  }
}

@Suite("pasta's command line")
struct NetPastaTests {
  @Test("neither the host's loopback nor its listeners are offered, and no port is pasta's")
  func arguments() {
    #expect(
      Pasta.arguments(helper: ProcessRecord(pid: 7, started: 1), pidFile: "/run/p") == [
        "--quiet", "--config-net", "--no-map-gw", "--mtu", "1500", "--ns-ifname", "pasta0", "-T", "none",
        "-U", "none", "-t", "none", "-u", "none", "--pid", "/run/p", "--userns", "/proc/7/ns/user", "--netns",
        "/proc/7/fd/6",
      ])
  }

  @Test("a missing pasta is told with the package that has it")
  func missing() {
    if let found = try? Pasta.find(searchPath: nil) {
      #expect(found.hasSuffix("/pasta"))
    } else {
      let error = #expect(throws: NetworkError.self) { try Pasta.find(searchPath: "/nonexistent") }
      #expect(error?.description.contains("passt package") == true)
    }
  }
}
