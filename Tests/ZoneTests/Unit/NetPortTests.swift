import Testing

@testable import VirtualNet

@Suite("published ports as text")
struct NetPortTests {
  @Test(
    "what is right is taken",
    arguments: [
      ("8080:80", [PublishedPort(hostPort: 8080, zonePort: 80)]),
      ("80", [PublishedPort(hostPort: 80, zonePort: 80)]),
      ("53/udp", [PublishedPort(hostPort: 53, zonePort: 53, transport: .udp)]),
      ("127.0.0.1:8080:80/tcp", [PublishedPort(hostAddress: "127.0.0.1", hostPort: 8080, zonePort: 80)]),
      ("[::1]:1:2/udp", [PublishedPort(hostAddress: "::1", hostPort: 1, zonePort: 2, transport: .udp)]),
      ("[2001:DB8:0:0::1]:1:2", [PublishedPort(hostAddress: "2001:db8::1", hostPort: 1, zonePort: 2)]),
      ("65534-65535:1-2", [PublishedPort(hostPort: 65534, zonePort: 1), PublishedPort(hostPort: 65535, zonePort: 2)]),
      ("7-8", [PublishedPort(hostPort: 7, zonePort: 7), PublishedPort(hostPort: 8, zonePort: 8)]),
    ])
  func right(_ text: String, _ ports: [PublishedPort]) throws {
    #expect(try PublishedPort.parse(text) == ports)
    for port in ports { #expect(try PublishedPort.parse(port.text) == [port]) }
  }

  @Test(
    "what is wrong is refused, and the part is named",
    arguments: [
      ("", "'' is no port"), ("0:80", "'0' is no port"), ("80:0", "'0'"), ("65536:1", "'65536'"), ("-1:1", "'-1'"),
      ("+1:1", "'+1'"),
      ("1:2:3:4", "too many colons"), ("a:1:2", "'a' is no IPv4"), ("127.0.0.01:1:2", "no IPv4"),
      ("256.0.0.1:1:2", "no IPv4"),
      ("::1:1:2", "too many colons"), ("[::1:1:2", "not closed"), ("[::1]1:2", "colon must follow"),
      ("[zz]:1:2", "no IPv6"),
      ("[::1]:80", "both"), ("1:2/sctp", "neither tcp nor udp"), ("1:2/", "neither"), ("1-3:1-2", "differ in length"),
      ("2-1:2-1", "'2-1'"), ("1-2-3:1", "'1-2-3'"), ("1-2000:1-2000", "more than 1024"), ("80 :80", "'80 '"),
      ("٣:80", "no port"), ("1:2\n", "no port"),
    ])
  func wrong(_ text: String, _ part: String) {
    let error = #expect(throws: NetworkError.self) { try PublishedPort.parse(text) }
    #expect(error?.description.contains(part) == true, "\(error?.description ?? "none")")
    #expect(error?.description.contains("publish '\(text)'") == true)
  }

  @Test("ports clash where transport, port and an address are in common")
  func clashes() {
    let any = PublishedPort(hostPort: 80, zonePort: 1)
    let one = PublishedPort(hostAddress: "10.0.0.1", hostPort: 80, zonePort: 2)
    let other = PublishedPort(hostAddress: "10.0.0.2", hostPort: 80, zonePort: 2)
    let datagrams = PublishedPort(hostPort: 80, zonePort: 1, transport: .udp)
    #expect(any.clashes(with: one) && one.clashes(with: any) && any.clashes(with: any) && one.clashes(with: one))
    #expect(!one.clashes(with: other) && !any.clashes(with: datagrams))
    #expect(!any.clashes(with: PublishedPort(hostPort: 81, zonePort: 1)))
  }
}
