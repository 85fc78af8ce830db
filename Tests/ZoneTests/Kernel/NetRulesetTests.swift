import CLinuxNS
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet

@Suite(
  "the rule set in the kernel", .serialized, .enabled(if: geteuid() == 0, "needs root: network namespaces, nftables"))
struct NetRulesetTests {
  @Test("nft lists our tables as they are written down")
  func listing() throws {
    let golden = try NetGolden.text("net-ruleset.nft")
    NetHost.run { host in
      let networks = try host.networks()
      let zone = try NetZone()
      let ports = [
        PublishedPort(hostPort: 8080, zonePort: 80),
        PublishedPort(hostAddress: "127.0.0.1", hostPort: 53, zonePort: 5353, transport: .udp),
      ]
      _ = try networks.attach(AttachRequest(zone: "web", ports: ports), netns: zone.namespace)
      // The index of the port's link differs from kernel to kernel.
      let index =
        "\(if_nametoindex(try NetworkState.read(host.directories.state("default"))!.attachments[0].interface))"
      let listed = try host.output("nft", "-n", "-s", "list", "ruleset")
        .replacing("elements = { \(index) .", with: "elements = { INDEX .")
        .replacing(
          "\"\(try NetworkState.read(host.directories.state("default"))!.attachments[0].interface)\" .", with: "INDEX ."
        )
      NetGolden.compare(listed, golden, "net-ruleset.nft", host.checks)
    }
  }

  @Test("rules that another program flushed come back with all zones at the next attach")
  func flushed() {
    NetHost.run { host in
      let networks = try host.networks()
      let zones = [try NetZone(), try NetZone(), try NetZone()]
      for index in 0..<2 { _ = try networks.attach(AttachRequest(zone: "z\(index)"), netns: zones[index].namespace) }
      let before = try host.output("nft", "list", "ruleset")
      _ = try host.output("nft", "flush", "ruleset")
      _ = try networks.attach(AttachRequest(zone: "z2"), netns: zones[2].namespace)
      try networks.detach(zone: "z2", network: "default", namespaceEnds: false)
      let after = try host.output("nft", "list", "ruleset")
      host.checks.expect(NetGolden.sorted(before) == NetGolden.sorted(after), "before:\n\(before)\nafter:\n\(after)")
    }
  }

  @Test("whoever looks puts flushed rules back, and starts a killed helper")
  func looked() {
    NetHost.run { host in
      let networks = try host.networks()
      let zone = try NetZone()
      _ = try networks.attach(AttachRequest(zone: "web"), netns: zone.namespace)
      host.checks.expect(try !networks.needMending(), "what stands is to be mended")
      let before = try host.output("nft", "list", "ruleset")
      _ = try host.output("nft", "flush", "ruleset")
      host.checks.expect(try networks.needMending(), "nobody misses the rules")
      try networks.mend()
      let after = try host.output("nft", "list", "ruleset")
      host.checks.expect(NetGolden.sorted(before) == NetGolden.sorted(after), "before:\n\(before)\nafter:\n\(after)")
      host.checks.expect(try !networks.needMending(), "mended, and not")
      // Seen from elsewhere nothing is there, and nothing is to be mended.
      try zone.inside { host.checks.expect(try !networks.needMending(), "another namespace is not the host") }
    }
  }

  @Test("tables, links and names that are not ours are refused and left alone")
  func foreign() {
    NetHost.run { host in
      let networks = try host.networks()
      let zone = try NetZone()
      func refusal() -> String {
        do {
          _ = try networks.attach(AttachRequest(zone: "web"), netns: zone.namespace)
          return "none"
        } catch { return "\(error)" }
      }
      _ = try host.output(
        "nft", "add table inet zones; add table ip host; add chain ip host c; add rule ip host c counter")
      var said = refusal()
      host.checks.expect(said.contains("inet zones") && said.contains("not ours"), said)
      _ = try host.output("nft", "delete", "table", "inet", "zones")
      let before = try host.output("nft", "list", "ruleset")
      _ = try host.output("ip", "link", "add", "zbr-default", "type", "bridge")
      said = refusal()
      host.checks.expect(said.contains("zbr-default") && said.contains("not ours"), said)
      host.checks.expect(try host.output("ip", "link").contains("zbr-default"), "a foreign bridge was deleted")
      _ = try host.output("ip", "link", "del", "zbr-default")
      said = refusal()
      host.checks.expect(said == "none", said)
      try networks.detach(zone: "web", network: "default", namespaceEnds: false)
      host.checks.expect(try host.output("nft", "list", "ruleset") == before, "the host's tables were changed")
    }
  }

  @Test("two instances on a host share nothing, and the last puts forwarding back")
  func instances() {
    NetHost.run { host in
      let one = try host.networks()
      let two = try host.networks(tag: "ab12")
      let zones = [try NetZone(), try NetZone()]
      let first = try one.attach(AttachRequest(zone: "web"), netns: zones[0].namespace)
      let second = try two.attach(AttachRequest(zone: "web"), netns: zones[1].namespace)
      host.checks.expect(first.address != second.address && first.bridge != second.bridge, "they share")
      let listener = try zones[1].inside { try NetTCP.listen("0.0.0.0", 80) }
      let crossed = try zones[0].inside { try NetTCP.connect("\(second.address)", 80, milliseconds: 400) } != nil
      host.checks.expect(!crossed, "instances reach each other")
      _ = consume listener
      try one.detach(zone: "web", network: "default", namespaceEnds: false)
      host.checks.expect(try Sysctls.value(Sysctls.forwarding) == "1", "forwarding was taken from the other instance")
      try two.detach(zone: "web", network: "default", namespaceEnds: false)
      host.checks.expect(try Sysctls.value(Sysctls.forwarding) == "0", "nobody put forwarding back")
      host.checks.expect(try host.output("nft", "list", "ruleset").isEmpty, "tables left")
    }
  }

  @Test("forwarding that another program has come to need is left on")
  func forwardingOfOthers() {
    NetHost.run { host in
      let networks = try host.networks()
      let zone = try NetZone()
      for (rule, isLeft) in [("tcp dport 1 counter", false), ("ip saddr 172.17.0.0/16 masquerade", true)] {
        _ = try networks.attach(AttachRequest(zone: "web"), netns: zone.namespace)
        _ = try host.output(
          "nft",
          "add table ip docker; add chain ip docker out { type nat hook postrouting priority 100; }; add rule ip docker out \(rule)"
        )
        try networks.detach(zone: "web", network: "default", namespaceEnds: false)
        host.checks.expect(try Sysctls.value(Sysctls.forwarding) == (isLeft ? "1" : "0"), "\(rule): \(host.notices)")
        _ = try host.output("nft", "delete table ip docker")
      }
      host.checks.expect(host.notices.contains { $0.contains("ip docker out needs it") }, "\(host.notices)")
    }
  }

  @Test("forwarding that was on stays on, and a value that somebody changed meanwhile is left")
  func forwarding() {
    NetHost.run { host in
      let networks = try host.networks()
      let zone = try NetZone()
      try Sysctls.write(Sysctls.forwarding, "1")
      _ = try networks.attach(AttachRequest(zone: "web"), netns: zone.namespace)
      try networks.detach(zone: "web", network: "default", namespaceEnds: false)
      host.checks.expect(try Sysctls.value(Sysctls.forwarding) == "1", "the host's own forwarding was turned off")
      host.checks.expect(
        !host.notices.contains { $0.contains("ip_forward") }, "announced without a change: \(host.notices)")
    }
  }
}

/// Golden files beside the tests; ZONES_RECORD=1 writes them anew.
enum NetGolden {
  static func path(_ name: String, _ here: String = #filePath) -> String {
    FileSystem.parent(of: FileSystem.parent(of: here)) + "/Golden/" + name
  }
  static func text(_ name: String) throws -> String {
    FileSystem.exists(path(name)) ? String(decoding: try FileSystem.read(path(name)), as: UTF8.self) : ""
  }
  static var records: Bool { getenv("ZONES_RECORD") != nil }

  static func compare(_ found: String, _ golden: String, _ name: String, _ checks: NetChecks) {
    if records {
      try? FileSystem.replace(path(name), with: Array(found.utf8), mode: 0o644)
    } else {
      checks.expect(found == golden, "\(name) differs from:\n\(found)")
    }
  }
  static func sorted(_ text: String) -> [String] {
    text.split(whereSeparator: { "\n ,{}".contains($0) }).map(String.init).sorted()
  }
}
