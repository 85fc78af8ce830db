internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// One connection through a published port: two sockets, and what one could not take yet of the other.
final class RelayFlow {
  let client: OwnedFD
  let zone: OwnedFD
  /// A circle, which `PortRelay.drop` opens.
  let listener: RelayListener
  private var isConnecting = true
  private var toZone = Half(), toClient = Half()
  private var interests: (client: UInt32, zone: UInt32) = (0, PortRelay.writes)

  private struct Half {
    /// Read, and not yet written; nothing more is read while there is some.
    var waiting: ArraySlice<UInt8> = []
    var sourceEnded = false
    var isShut = false
  }

  /// - Returns: nil where no connection to the zone can be begun; the client is then told by a reset.
  init?(_ client: consuming OwnedFD, _ listener: RelayListener) {
    let number = socket(
      AF_INET, SocketType.stream | SocketType.closeOnExec | SocketType.nonBlocking, 0)
    guard number >= 0 else {
      Self.reset(client.raw)
      return nil
    }
    let zone = OwnedFD(raw: number)
    var target = SocketAddress.ipv4(listener.address, listener.port.zonePort)
    let result = SocketAddress.connect(number, &target)
    let error = errno
    // Nothing is executed here, so there is no moment in which the descriptor could be inherited.
    guard result == 0 || error == EINPROGRESS, zns_fcntl(client.raw, F_SETFD, Int(FD_CLOEXEC)) >= 0,
      zns_fcntl(client.raw, F_SETFL, Int(O_NONBLOCK)) >= 0
    else {
      Self.reset(client.raw)
      return nil
    }
    var on: CInt = 1
    for socket in [client.raw, number] {
      setsockopt(socket, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
      // So that a peer which vanished does not hold two descriptors for ever.
      setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, socklen_t(MemoryLayout<CInt>.size))
    }
    self.client = client
    self.zone = zone
    self.listener = listener
  }

  /// Moves what can be moved.
  /// - Returns: whether it has ended.
  func advance(_ relay: PortRelay) -> Bool {
    if isConnecting {
      var error: CInt = 0
      var length = socklen_t(MemoryLayout<CInt>.size)
      getsockopt(zone.raw, SOL_SOCKET, SO_ERROR, &error, &length)
      guard error == 0 else {
        Self.reset(client.raw)
        return true
      }
      isConnecting = false
    }
    guard Self.move(from: client.raw, to: zone.raw, &toZone, relay),
      Self.move(from: zone.raw, to: client.raw, &toClient, relay)
    else {
      Self.reset(client.raw)
      Self.reset(zone.raw)
      return true
    }
    if toZone.isShut && toClient.isShut { return true }
    let wanted = (
      client: Self.wish(reads: toZone, writes: toClient), zone: Self.wish(reads: toClient, writes: toZone)
    )
    relay.change(client.raw, from: interests.client, to: wanted.client)
    relay.change(zone.raw, from: interests.zone, to: wanted.zone)
    interests = wanted
    return false
  }

  private static func wish(reads: Half, writes: Half) -> UInt32 {
    (reads.sourceEnded || !reads.waiting.isEmpty ? 0 : PortRelay.reads)
      | (writes.waiting.isEmpty ? 0 : PortRelay.writes)
  }

  /// - Returns: false where one of the two is broken.
  private static func move(from source: CInt, to target: CInt, _ half: inout Half, _ relay: PortRelay) -> Bool {
    // Bounded, so that one busy flow leaves the others their turn.
    for _ in 0..<8 {
      while !half.waiting.isEmpty {
        let sent = half.waiting.withUnsafeBytes {
          send(target, $0.baseAddress, $0.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL | MSG_DONTWAIT))
        }
        let error = errno
        guard sent > 0 else { return error == EAGAIN || error == EINTR }
        half.waiting = sent < half.waiting.count ? half.waiting.dropFirst(sent) : []
      }
      if half.sourceEnded {
        if !half.isShut { shutdown(target, CInt(SHUT_WR)) }
        half.isShut = true
        return true
      }
      let got = recv(source, &relay.room, relay.room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT))
      let error = errno
      if got < 0 { return error == EAGAIN || error == EINTR }
      if got == 0 {
        half.sourceEnded = true
      } else {
        // Straight on, and only what does not fit is kept.
        let sent = send(target, relay.room, got, CInt(truncatingIfNeeded: MSG_NOSIGNAL | MSG_DONTWAIT))
        let failure = errno
        guard sent >= 0 || failure == EAGAIN || failure == EINTR else { return false }
        if sent < got {
          half.waiting = ArraySlice(Array(relay.room[max(0, sent)..<got]))  // a copy of its own, not the whole room
          return true
        }
      }
    }
    return true
  }

  /// The end of this socket shall be seen as a broken connection, as the zone's own refusal would be.
  private static func reset(_ socket: CInt) {
    var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }
}
