import CLinuxNS
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet

@Suite(
  "networks in the kernel", .serialized, .enabled(if: geteuid() == 0, "needs root: network namespaces, links, nftables")
)
struct NetAttachTests {
  @Test("two zones reach each other, and the last detach leaves nothing")
  func twoZones() {
    NetHost.run { host in
      let before = try host.output("nft", "list", "ruleset") + host.output("ip", "-o", "link")
      let networks = try host.networks()
      let one = try NetZone()
      let two = try NetZone()
      let first = try networks.attach(AttachRequest(zone: "web"), netns: one.namespace)
      let second = try networks.attach(AttachRequest(zone: "db"), netns: two.namespace)
      host.checks.expect(first.address.description == "10.88.0.2", "first is \(first.address)")
      host.checks.expect(second.address.description == "10.88.0.3", "second is \(second.address)")
      host.checks.expect(try Sysctls.value(Sysctls.forwarding) == "1", "forwarding is off")
      host.checks.expect(host.notices.contains { $0.contains("ip_forward to 1") }, "not announced: \(host.notices)")
      let listener = try two.inside { try NetTCP.listen("0.0.0.0", 80) }
      guard let client = try one.inside({ try NetTCP.connect("10.88.0.3", 80) }),
        let server = try NetTCP.accept(listener)
      else { return host.checks.fail("no connection between zones") }
      host.checks.expect(try NetTCP.carries(client, server), "nothing passes")
      host.checks.expect(try NetTCP.carries(server, client), "nothing comes back")
      let again = try networks.attach(AttachRequest(zone: "web"), netns: one.namespace)
      host.checks.expect(again.address == first.address, "the lease was not kept")
      try networks.detach(zone: "web", network: "default", namespaceEnds: false)
      try networks.detach(zone: "web", network: "default")
      try networks.detach(zone: "db", network: "default", namespaceEnds: false)
      let after = try host.output("nft", "list", "ruleset") + host.output("ip", "-o", "link")
      host.checks.expect(before == after, "left:\n\(after)")
      host.checks.expect(try Sysctls.value(Sysctls.forwarding) == "0", "forwarding was not put back")
      host.checks.expect(try FileSystem.list(host.directories.run + "/networks").isEmpty, "state left")
      host.checks.expect(try networks.addresses(zone: "web").first?.address == first.address, "the lease is gone")
      try networks.release(zone: "web")
      try networks.release(zone: "db")
      host.checks.expect(try FileSystem.list(host.directories.data + "/networks").isEmpty, "leases left")
    }
  }
}
