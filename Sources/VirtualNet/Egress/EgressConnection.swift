internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// One connection that a program in the zone has made to its proxy: the whole life of a process.
///
/// Until the tunnel stands it waits for each thing in turn: it has the process to itself.
final class EgressConnection {
  private let client: OwnedFD
  private let rules: EgressRules
  private let tell: (EgressDenial) -> Void
  private let deadline = Clock.monotonicNanoseconds() + EgressServer.Limit.handshake
  /// Of the client's, and not used yet.
  private var input: [UInt8] = []

  /// - Parameter tell: is told of each denial before the client hears of it.
  init(_ client: consuming OwnedFD, _ rules: EgressRules, tell: @escaping (EgressDenial) -> Void) {
    self.client = client
    self.rules = rules
    self.tell = tell
  }

  func serve() {
    do throws(EgressRefusal) {
      while input.isEmpty { try fill() }
    } catch { return }  // it has asked nothing
    if input[0] == SocksRequest.version { socks() } else { http() }
  }

  // MARK: the two ways to ask

  private func socks() {
    do throws(EgressRefusal) {
      let accepts = try next { SocksRequest.greeting($0) }
      say(SocksRequest.greetingReply(accepts: accepts))
      guard accepts else { return leave() }
      switch try next({ SocksRequest.request($0) }) {
      case .refused(let number):
        say(SocksRequest.reply(number))
        leave()
      case .connect(let target):
        let server = try connect(target)
        say(SocksRequest.reply(SocksRequest.Reply.succeeded))
        carry(server, .hello(HelloGate(rules, target)), head: [])
      }
    } catch {
      if error == .gone { return }
      say(SocksRequest.reply(error.socksReply))
      leave()
    }
  }

  private func http() {
    do throws(EgressRefusal) {
      let request = try next { HTTPRequest.read($0) }
      let server = try connect(request.target)
      switch request.kind {
      case .tunnel:
        say(Array("HTTP/1.1 200 Connection established\r\n\r\n".utf8))
        carry(server, .hello(HelloGate(rules, request.target)), head: [])
      case .request(let head, let body): carry(server, .body(body), head: head)
      }
    } catch {
      if error == .gone { return }
      say(error.httpAnswer)
      leave()
    }
  }

  private func connect(_ target: EgressTarget) throws(EgressRefusal) -> OwnedFD {
    do throws(EgressRefusal) {
      let server = try EgressDial.connect(target, rules, deadline: deadline)
      if rules.learns { tellAllowed(target, server) }
      return server
    } catch {
      if case .denied(let denial) = error { tell(denial) }
      throw error
    }
  }

  /// The name, and beside it an address that rules have to name where a name leads to it.
  private func tellAllowed(_ target: EgressTarget, _ server: borrowing OwnedFD) {
    tell(EgressDenial(name: "\(target)", call: .allowed, rule: ""))
    guard case .name(let name) = target.host, !EgressHost.isLocal(name), let address = Self.peer(server),
      SpecialAddress.block(of: address) != nil
    else { return }
    let other = EgressTarget(host: .address(address), port: target.port)
    tell(EgressDenial(name: "\(other)", call: .allowed, rule: ""))
  }

  private static func peer(_ server: borrowing OwnedFD) -> IPAddress? {
    var place = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &place) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(server.raw, $0, &length) }
    }
    guard result == 0 else { return nil }
    let bytes = withUnsafeBytes(of: place) { Array($0) }
    return place.ss_family == sa_family_t(AF_INET)
      ? IPv4Address(bytes: bytes[4..<8]).map { IPAddress($0) } : IPAddress(bytes: bytes[8..<24])
  }

  private func carry(_ server: borrowing OwnedFD, _ filter: EgressTunnel.Filter, head: [UInt8]) {
    var tunnel = EgressTunnel(client: client, server: server, filter)
    switch tunnel.run(head: head, early: input) {
    case .over: leave()
    case .broken:
      Self.reset(client)
      Self.reset(server)
    case .refused(let denial):
      tell(denial)
      Self.reset(server)
      // A fatal alert: unrecognized_name (RFC 6066, 3).
      say([21, 3, 1, 0, 2, 2, 112])
      leave()
    }
  }

  // MARK: the client

  /// Reads until there is the whole of something.
  private func next<Value>(_ read: ([UInt8]) -> Reading<Value>) throws(EgressRefusal) -> Value {
    while true {
      switch read(input) {
      case .complete(let value, let length):
        input.removeFirst(length)
        return value
      case .wrong(let why): throw .malformed(why)
      case .incomplete: try fill()
      }
    }
  }

  private func fill() throws(EgressRefusal) {
    let now = Clock.monotonicNanoseconds()
    let left = now < deadline ? CInt((deadline - now) / 1_000_000) : 0
    var isReady = false
    do throws(SyscallError) { isReady = try Poll.wait(client.raw, for: Int16(POLLIN), timeout: left) } catch {
      throw .gone
    }
    guard isReady else { throw .late }
    var room = [UInt8](repeating: 0, count: 8192)
    let got = recv(client.raw, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT))
    let error = errno
    if got > 0 { input += room[..<got] } else if got == 0 || (error != EAGAIN && error != EINTR) { throw .gone }
  }

  /// A few bytes to a socket that has had none, or has been read: they fit.
  private func say(_ bytes: [UInt8]) {
    send(client.raw, bytes, bytes.count, CInt(truncatingIfNeeded: MSG_NOSIGNAL | MSG_DONTWAIT))
  }

  /// Lets the client read what was said: a socket that is closed with something unread takes its last words back.
  private func leave() {
    shutdown(client.raw, CInt(SHUT_WR))
    let until = Clock.monotonicNanoseconds() + EgressServer.Limit.farewell
    var room = [UInt8](repeating: 0, count: 65536)
    while true {
      let now = Clock.monotonicNanoseconds()
      guard now < until,
        (try? Poll.wait(client.raw, for: Int16(POLLIN), timeout: CInt((until - now) / 1_000_000 + 1))) == true,
        recv(client.raw, &room, room.count, CInt(truncatingIfNeeded: MSG_DONTWAIT)) > 0
      else { return }
    }
  }

  /// The end of this socket shall be seen as a broken connection, as the other one is.
  private static func reset(_ socket: borrowing OwnedFD) {
    var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
    setsockopt(socket.raw, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }
}
