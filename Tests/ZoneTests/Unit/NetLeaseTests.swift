import Testing

@testable import VirtualNet

@Suite("leases, prefixes and the files of networks")
struct NetLeaseTests {
  @Test("no address is leased twice, a zone keeps its own, and what is written is read back", arguments: UInt64(1)...40)
  func property(_ seed: UInt64) throws {
    var generator = NetRandom(seed: seed)
    var leases = Leases(subnet: IPv4Subnet("10.88.7.0/24")!)
    var model: [String: IPv4Address] = [:]
    for _ in 0..<600 {
      let zone = "z\(Int.random(in: 0..<300, using: &generator))"
      if Int.random(in: 0..<4, using: &generator) == 0 {
        #expect(leases.release(zone) == (model.removeValue(forKey: zone) != nil))
      } else if model[zone] == nil && model.count == 253 {
        #expect(throws: NetworkError.self) { try leases.lease(zone, network: "n") }
      } else {
        let address = try leases.lease(zone, network: "n")
        if let known = model[zone] { #expect(address == known) } else { #expect(!model.values.contains(address)) }
        #expect(leases.subnet.contains(address) && ![0, 1, 255].contains(address.bytes[3]))
        model[zone] = address
      }
    }
    #expect(try Leases(leases.bytes, path: "f") == leases)
    leases.move(to: IPv4Subnet("172.29.3.0/24")!)
    for (zone, address) in leases.zones {
      #expect(address.bytes[3] == model[zone]?.bytes[3] && leases.subnet.contains(address))
    }
  }

  @Test("a full network says so")
  func full() throws {
    var leases = Leases(subnet: IPv4Subnet("10.88.7.0/24")!)
    for number in 0..<253 { _ = try leases.lease("z\(number)", network: "n") }
    let error = #expect(throws: NetworkError.self) { try leases.lease("more", network: "n") }
    #expect(error?.description.contains("network n is full") == true)
  }

  @Test(
    "a damaged lease file is refused with its line",
    arguments: [
      ("", 1), ("zones-leases 1\n", 2), ("zones-leases 1\nsubnet 10.88.0.0/24\nzone a 10.88.0.2", 1), ("other 1\n", 1),
      ("zones-leases 1\nsubnet 10.88.0.0/16\n", 2), ("zones-leases 1\nsubnet 10.88.0.0/24\nzone a 10.88.1.2\n", 3),
      ("zones-leases 1\nsubnet 10.88.0.0/24\nzone a 10.88.0.2\nzone b 10.88.0.2\n", 4),
      ("zones-leases 1\nsubnet 10.88.0.0/24\nzone a 10.88.0.1\n", 3),
      ("zones-leases 1\nsubnet 10.88.0.0/24\nzone a 10.88.0.2\n\n", 4),
    ])
  func damaged(_ text: String, _ line: Int) {
    let error = #expect(throws: NetworkError.self) {
      try Leases(Array(text.utf8), path: "/x")
    }
    guard case .damaged(_, let found, _)? = error else {
      return #expect(Bool(false), "\(String(describing: error))") as Void
    }
    #expect(found == line)
  }

  @Test(
    "addresses are read strictly",
    arguments: [
      "", "1.2.3", "1.2.3.4.5", "1..2.3", ".1.2.3", "1.2.3.", "01.2.3.4", "1.2.3.00", "256.1.1.1", "1.2.3.4 ",
      "1.2.3.a", "99999999999.1.1.1", "-1.2.3.4",
    ])
  func strict(_ text: String) {
    #expect(IPv4Address(text) == nil)
    #expect(MACAddress(text) == nil)
  }

  @Test("addresses and their text", arguments: ["0.0.0.0", "255.255.255.255", "10.88.0.1"])
  func text(_ text: String) {
    #expect(IPv4Address(text)?.description == text)
    #expect(MACAddress("02:aB:00:ff:10:09")?.description == "02:ab:00:ff:10:09")
    for wrong in ["02:ab:00:ff:10", "02:ab:00:ff:10:09:01", "2:ab:00:ff:10:09", "02:ab:00:ff:10:0g", "02:ab:00:ff:10:"]
    {
      #expect(MACAddress(wrong) == nil)
    }
  }

  @Test("a file of another version is not guessed at")
  func version() {
    let error = #expect(throws: NetworkError.self) {
      try Leases(Array("zones-leases 9\n".utf8), path: "/x")
    }
    #expect(error?.description.contains("version 9") == true)
  }

  @Test("a network's state is read as it was written")
  func state() throws {
    var state = NetworkState(bridge: "zbr-a", subnet: IPv4Subnet("10.88.2.0/24")!, boot: "b-1")
    state.helper = ProcessRecord(pid: 7, started: 99)
    state.pasta = ProcessRecord(pid: 8, started: 101)
    state.closed = [IPv4Subnet("192.0.2.1/32")!, IPv4Subnet("10.88.0.0/24")!]
    state.attachments = [
      .init(
        zone: "web", phase: .up, interface: "dzv-1", index: 9, address: IPv4Address("10.88.2.2")!,
        mac: MACAddress("02:00:00:00:00:01")!,
        aliases: ["www", "w"],
        ports: [
          PublishedPort(hostPort: 1, zonePort: 2),
          PublishedPort(hostAddress: "127.0.0.1", hostPort: 3, zonePort: 4, transport: .udp),
        ]),
      .init(
        zone: "db", phase: .making, interface: "dzv-2", index: 0, address: IPv4Address("10.88.2.3")!,
        mac: MACAddress("02:00:00:00:00:02")!),
      .init(
        zone: "old", phase: .lost, interface: "dzv-3", index: 4, address: IPv4Address("10.88.2.4")!,
        mac: MACAddress("02:00:00:00:00:03")!),
    ]
    #expect(try NetworkState(state.bytes, path: "f") == state)
    (state.pasta, state.pastaIsStarting) = (nil, true)
    #expect(try NetworkState(state.bytes, path: "f") == state)
  }

  @Test(
    "the prefix chosen meets no route of the host",
    arguments: [
      ([], "10.88.0.0/24"), (["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"], "10.88.0.0/24"),
      (["10.88.0.0/24", "10.88.1.7/32"], "10.88.2.0/24"),
      (["10.88.0.0/23", "10.88.2.128/25"], "10.88.3.0/24"), (["10.88.0.0/16"], "10.89.0.0/24"),
      (["10.0.0.0/8"], "172.29.0.0/24"),
      (["10.0.0.0/8", "172.16.0.0/12"], "192.168.128.0/24"), (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], nil),
    ] as [([String], String?)])
  func subnet(_ routes: [String], _ chosen: String?) {
    #expect(SubnetChoice.choose(avoiding: routes.map { IPv4Subnet($0)! })?.description == chosen)
  }

  @Test("names on the host fit, are told apart, and no instance's are another's")
  func hostNames() throws {
    let standard = try HostNames(tag: "")
    let other = try HostNames(tag: "ab12")
    #expect(standard.bridge("default") == "zbr-default" && standard.table == "zones" && other.table == "zones-ab12")
    let long = String(repeating: "n", count: 63)
    for names in [standard, other] {
      #expect(names.bridge(long).utf8.count <= 15 && names.bridge("default").utf8.count <= 15)
      #expect(names.port(.max).utf8.count <= 15 && names.port(0).utf8.count <= 15)
      #expect(names.bridge(long) != names.bridge(long.dropLast() + "m"))
    }
    #expect(!standard.portPrefix.hasPrefix(other.portPrefix) && !other.portPrefix.hasPrefix(standard.portPrefix))
    #expect(standard.bridge("default") != other.bridge("default"))
    for tag in ["abcde", "A", "-", "a b"] { #expect(throws: NetworkError.self) { try HostNames(tag: tag) } }
    for name in ["", "-a", "a-", "A", "a.b", "../x", String(repeating: "a", count: 64), "a\nb"] {
      #expect(throws: NetworkError.self) { try HostNames.check(name, "zone") }
    }
  }

  @Test("a table's mark is read back, and another's comment is none")
  func marker() {
    for marker in [Firewall.Marker(version: 1), Firewall.Marker(version: 12, forwardingBefore: "0")] {
      #expect(Firewall.Marker(marker.text) == marker)
    }
    for text in ["", "made by zones", "made by zones, ruleset x", "made by others, ruleset 1"] {
      #expect(Firewall.Marker(text) == nil)
    }
  }
}
