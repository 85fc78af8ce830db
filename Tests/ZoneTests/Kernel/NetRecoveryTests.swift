import CLinuxNS
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet

@Suite(
  "networks after a kill", .serialized, .enabled(if: geteuid() == 0, "needs root: network namespaces, links, nftables"))
struct NetRecoveryTests {
  /// What the host has of networks: links but the dying ones of ended zones, rules, forwarding, state.
  static func leftovers(_ host: NetHost) throws -> String {
    try host.output("nft", "list", "ruleset")
      + host.output("ip", "-o", "link").split(separator: "\n").dropFirst().joined()
      + (Sysctls.value(Sysctls.forwarding) == "0" ? "" : "forwarding")
      + FileSystem.list(host.directories.stateFolder).filter { !$0.hasSuffix(".tmp") }.joined()
  }

  @Test("a maker killed at any moment leaves nothing that recover and the next attach do not see")
  func killed() {
    NetHost.run { host in
      let networks = try host.networks()
      var stages: Set<String> = []
      try FileSystem.makeDirectories(host.directories.stateFolder)
      for round in 0..<60 {
        let zone = try NetZone()
        let child = fork()
        if child == 0 {
          _ = try? networks.attach(
            AttachRequest(zone: "web", ports: [PublishedPort(hostPort: 8080, zonePort: 80)]), netns: zone.namespace)
          while true { pause() }
        }
        // Not to wait for a state, but to cut at another moment of the attach's few milliseconds each time.
        usleep(UInt32(Double(round) * 150 * Patience.factor))
        kill(child, SIGKILL)
        var status: CInt = 0
        waitpid(child, &status, 0)
        let state = try? NetworkState.read(host.directories.state("default"))
        stages.insert(state.map { $0.attachments.first?.phase.rawValue ?? "network" } ?? "nothing")
        if round % 2 == 0 {
          let second = try NetZone()
          let attachment = try networks.attach(
            AttachRequest(zone: "web", ports: [PublishedPort(hostPort: 8080, zonePort: 80)]), netns: second.namespace)
          let listener = try second.inside { try NetTCP.listen("0.0.0.0", 80) }
          let reached = try NetTCP.connect("127.0.0.1", 8080) != nil
          host.checks.expect(reached, "round \(round): not reached after a kill")
          _ = attachment
          _ = consume listener
          try networks.detach(zone: "web", network: "default", namespaceEnds: false)
        } else {
          try networks.recover()
          try networks.detach(zone: "web", network: "default", namespaceEnds: false)
        }
        let left = try Self.leftovers(host)
        host.checks.expect(left.isEmpty, "round \(round) left: \(left)")
      }
      print("networks: killed in stages \(stages.sorted())")
      host.checks.expect(stages.count > 1, "every kill hit the same stage: \(stages)")
    }
  }

  @Test("recover takes away zones that died without a word, and their ports are free at once")
  func died() {
    NetHost.run { host in
      let networks = try host.networks()
      let port = PublishedPort(hostPort: 8080, zonePort: 80)
      var zone: NetZone? = try NetZone()
      _ = try networks.attach(AttachRequest(zone: "dead", ports: [port]), netns: zone!.namespace)
      zone = nil
      func links() throws -> Bool { try host.output("ip", "-o", "link").contains("dzv-") }
      let end = Clock.monotonicNanoseconds() + 5_000_000_000
      while try links(), Clock.monotonicNanoseconds() < end { usleep(10_000) }
      host.checks.expect(try !links(), "the link outlived its namespace")
      let next = try NetZone()
      _ = try networks.attach(AttachRequest(zone: "next", ports: [port]), netns: next.namespace)
      try networks.detach(zone: "next", network: "default", namespaceEnds: false)
      var third: NetZone? = try NetZone()
      _ = try networks.attach(AttachRequest(zone: "third"), netns: third!.namespace)
      third = nil
      while try links(), Clock.monotonicNanoseconds() < end { usleep(10_000) }
      try networks.recover()
      host.checks.expect(try networks.list().isEmpty, "a network without zones stands")
      let left = try Self.leftovers(host)
      host.checks.expect(left.isEmpty, "left: \(left)")
      try networks.release(zone: "dead")
      host.checks.expect(try networks.addresses(zone: "dead").isEmpty, "the lease is left")
    }
  }

  @Test("a route of the host into the recorded prefix moves the network, its zones keep their places")
  func moved() {
    NetHost.run { host in
      let networks = try host.networks()
      let zone = try NetZone()
      _ = try networks.attach(AttachRequest(zone: "web"), netns: zone.namespace)
      try networks.detach(zone: "web", network: "default", namespaceEnds: false)
      _ = try host.output("ip", "link", "add", "other", "type", "bridge")
      _ = try host.output("ip", "addr", "add", "10.88.0.129/26", "dev", "other")
      let moved = try networks.attach(AttachRequest(zone: "web"), netns: zone.namespace)
      host.checks.expect(moved.address.description == "10.88.1.2", "it is \(moved.address)")
      host.checks.expect(
        host.notices.contains { $0.contains("moves from 10.88.0.0/24 to 10.88.1.0/24") }, "\(host.notices)")
      try networks.detach(zone: "web", network: "default", namespaceEnds: false)
    }
  }

  @Test("leases that somebody deleted are not given a second time, a damaged file is told")
  func deletedLeases() {
    NetHost.run { host in
      let networks = try host.networks()
      let zones = [try NetZone(), try NetZone()]
      let first = try networks.attach(AttachRequest(zone: "one"), netns: zones[0].namespace)
      try FileSystem.removeTree(host.directories.leases("default"))
      // As a start does, before it attaches.
      let prepared = try networks.prepare(zone: "two", network: "default")
      host.checks.expect(prepared.address != first.address, "one address is leased to two zones")
      let second = try networks.attach(AttachRequest(zone: "two"), netns: zones[1].namespace)
      host.checks.expect(first.address != second.address, "one address for two zones")
      host.checks.expect(
        try networks.addresses(zone: "one").map(\.address) == [first.address], "the lease did not come back")
      try FileSystem.replace(host.directories.leases("default"), with: Array("zones-leases 1\nrubbish\n".utf8))
      do {
        _ = try networks.attach(AttachRequest(zone: "two"), netns: zones[1].namespace)
        host.checks.fail("rubbish was read")
      } catch { host.checks.expect("\(error)".contains("line 2") && "\(error)".contains("move it away"), "\(error)") }
    }
  }

  @Test("the time of an attach with 1 and with 200 zones")
  func time() {
    NetHost.run { host in
      let networks = try host.networks()
      var zones: [NetZone] = []
      var times: [Double] = []
      for index in 0..<200 {
        let zone = try NetZone()
        zones.append(zone)
        let start = Clock.monotonicNanoseconds()
        _ = try networks.attach(AttachRequest(zone: "zone-\(index)"), netns: zone.namespace)
        times.append(Double(Clock.monotonicNanoseconds() - start) / 1e6)
      }
      let median = { (slice: ArraySlice<Double>) in slice.sorted()[slice.count / 2] }
      print(
        "networks: first attach (makes the network) \(times[0]) ms; zones 2 to 11 \(median(times[1...10])) ms, "
          + "191 to 200 \(median(times[190...199])) ms, least \(times.min()!) ms")
      let start = Clock.monotonicNanoseconds()
      for index in 0..<200 { try networks.detach(zone: "zone-\(index)", network: "default") }
      print("networks: detach, mean of 200 with the last \(Double(Clock.monotonicNanoseconds() - start) / 2e8) ms")
      zones = []
    }
  }
}
