import Testing

@testable import VirtualNet

@Suite("the port relay's messages")
struct NetRelayTests {
  private static let message = RelayMessage(
    .add, "web", IPv4Address("10.88.0.2")!,
    [
      PublishedPort(hostPort: 8080, zonePort: 80),
      PublishedPort(hostAddress: "127.0.0.1", hostPort: 53, zonePort: 5353, transport: .udp),
    ])

  @Test("a message is read as it was written")
  func roundTrip() {
    let text = "zones-relay 1\nadd web 10.88.0.2\nport tcp * 8080 80\nport udp 127.0.0.1 53 5353\n"
    #expect(String(decoding: Self.message.bytes, as: UTF8.self) == text)
    #expect(RelayMessage(Self.message.bytes) == Self.message)
  }

  @Test(
    "what is no message is none",
    arguments: [
      "", "zones-relay 2\nadd web 10.88.0.2\n", "zones-relay 1\n", "zones-relay 1\nport tcp * 1 1\n",
      "zones-relay 1\nadd web 10.88.0\n", "zones-relay 1\nadd web 10.88.0.2\nadd web 10.88.0.3\n",
      "zones-relay 1\nadd web 10.88.0.2\nport tcp * 70000 1\n", "zones-relay 1\nadd web 10.88.0.2\nport sctp * 1 1\n",
      "zones-relay 1\nadd web 10.88.0.2",
    ])
  func refused(text: String) { #expect(RelayMessage(Array(text.utf8)) == nil) }
}
