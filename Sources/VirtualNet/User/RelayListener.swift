internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// A published port of a zone: the host's socket, and what goes through it.
final class RelayListener {
  let socket: OwnedFD
  let port: PublishedPort
  let zone: String
  let address: IPv4Address
  var flows: [ObjectIdentifier: RelayFlow] = [:]
  fileprivate(set) var datagramFlows: [DatagramClient: RelayDatagrams] = [:]

  init(_ socket: consuming OwnedFD, _ port: PublishedPort, zone: String, address: IPv4Address) {
    self.socket = socket
    self.port = port
    self.zone = zone
    self.address = address
  }

  /// Sends datagrams on, each client's from a socket of its own, so that answers find their way back.
  func take(_ relay: PortRelay) {
    for _ in 0..<64 {
      var client = DatagramClient()
      let got = zns_receive_datagram(socket.raw, &relay.room, relay.room.count, &client.raw)
      guard got >= 0 else { return }
      guard let flow = flow(of: client, relay) else { continue }
      flow.lastUse = Clock.monotonicNanoseconds()
      // A full buffer loses a datagram, as the network might.
      send(flow.socket.raw, relay.room, got, CInt(truncatingIfNeeded: MSG_NOSIGNAL | MSG_DONTWAIT))
    }
  }

  private func flow(of client: DatagramClient, _ relay: PortRelay) -> RelayDatagrams? {
    if let flow = datagramFlows[client] { return flow }
    if datagramFlows.count >= PortRelay.Limit.datagramFlows,
      let oldest = datagramFlows.values.min(by: { $0.lastUse < $1.lastUse })
    {
      relay.forget(oldest.socket.raw)
      datagramFlows[oldest.client] = nil
    }
    let number = Glibc.socket(
      AF_INET, SocketType.datagram | SocketType.closeOnExec | SocketType.nonBlocking, 0)
    guard number >= 0 else { return nil }
    let open = OwnedFD(raw: number)
    var target = SocketAddress.ipv4(address, port.zonePort)
    guard SocketAddress.connect(number, &target) == 0 else { return nil }
    let flow = RelayDatagrams(open, client, self)
    datagramFlows[client] = flow
    relay.watch(number, .answers(flow))
    return flow
  }

  /// Ends flows that were last used before then.
  func forget(before: UInt64, _ relay: PortRelay) {
    for (client, flow) in datagramFlows where flow.lastUse < before {
      relay.forget(flow.socket.raw)
      datagramFlows[client] = nil
    }
  }
}

/// Who sent a datagram, and which of the host's addresses it was sent to.
struct DatagramClient: Hashable {
  var raw = zns_datagram_ends()

  static func == (a: Self, b: Self) -> Bool {
    a.raw.peer == b.raw.peer && a.raw.port == b.raw.port && a.raw.own == b.raw.own
  }
  func hash(into hasher: inout Hasher) {
    hasher.combine(raw.peer)
    hasher.combine(raw.port)
    hasher.combine(raw.own)
  }
}

/// Datagrams of one client through one port.
final class RelayDatagrams {
  let socket: OwnedFD
  let client: DatagramClient
  /// A circle, which `forget` opens.
  private let listener: RelayListener
  var lastUse = Clock.monotonicNanoseconds()

  init(_ socket: consuming OwnedFD, _ client: DatagramClient, _ listener: RelayListener) {
    self.socket = socket
    self.client = client
    self.listener = listener
  }

  func answer(_ relay: PortRelay) {
    for _ in 0..<64 {
      let got = recv(socket.raw, &relay.room, relay.room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT))
      guard got >= 0 else { return }
      lastUse = Clock.monotonicNanoseconds()
      var ends = client.raw
      // A full buffer loses it, as the network might.
      _ = zns_send_datagram(listener.socket.raw, relay.room, got, &ends)
    }
  }
}
