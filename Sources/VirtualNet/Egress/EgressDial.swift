internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// From a target that may be asked for to a connection with it.
enum EgressDial {
  /// Nanoseconds for one address of several.
  private static let attempt: UInt64 = 10_000_000_000

  /// - Parameter deadline: on the monotonic clock, nanoseconds.
  static func connect(_ target: EgressTarget, _ rules: EgressRules, deadline: UInt64) throws(EgressRefusal) -> OwnedFD {
    guard rules.permits(target) else {
      throw .denied(EgressDenial(name: "\(target)", call: .connect, rule: "not allowed by \(rules.summary)"))
    }
    switch target.host {
    case .address(let address):
      if !rules.isFor(address, port: target.port), try isOwn(address, target) {
        throw .denied(EgressDenial(name: "\(target)", call: .connect, rule: "\(own), which \(closed(rules))"))
      }
      return try connect([address], target, deadline)
    case .name(let name):
      let found = EgressHost.isLocal(name) ? loopback : try resolve(name, target)
      let good = try choose(found, name, target, rules) { address throws(EgressRefusal) in try isOwn(address, target) }
      return try connect(good, target, deadline)
    }
  }

  private static let loopback = [IPAddress("127.0.0.1")!, IPAddress("::1")!]

  private static let own = "an address of this machine's own"
  private static func closed(_ rules: EgressRules) -> String { "no address in \(rules.summary) opens" }

  /// Of what a name resolves to that which may be connected with.
  /// - Parameter isOwn: the machine has the address itself.
  static func choose(
    _ found: [IPAddress], _ name: String, _ target: EgressTarget, _ rules: EgressRules,
    isOwn: (IPAddress) throws(EgressRefusal) -> Bool
  ) throws(EgressRefusal) -> [IPAddress] {
    var good: [IPAddress] = []
    var denied: String?
    for address in found {
      let what: String
      if !rules.permits(address, of: name, port: target.port) {
        what = "a \(SpecialAddress.block(of: address)?.use.rawValue ?? "") address"
      } else if !rules.isFor(address, port: target.port), try isOwn(address) {
        what = own
      } else {
        good.append(address)
        continue
      }
      denied = denied ?? "resolves to \(address), \(what), which \(closed(rules))"
    }
    guard good.isEmpty, let denied else { return good }
    throw .denied(EgressDenial(name: "\(target)", call: .resolve, rule: denied))
  }

  /// Whether it leads back to this machine, other than by its loopback, which rules open by port: what listens on all of a
  /// machine's addresses was not meant for who may ask for a stranger's name.
  private static func isOwn(_ address: IPAddress, _ target: EgressTarget) throws(EgressRefusal) -> Bool {
    if SpecialAddress.block(of: address)?.use == .loopback { return false }
    do throws(NetworkError) {
      var socket = try NetlinkSocket(.route)
      for one in [address, SpecialAddress.carried(by: address)] {
        if let one, try Route.isLocal(one, on: &socket) { return true }
      }
      return false
    } catch { throw .unresolved(target, "\(error)") }
  }

  /// The C library's resolver, of the host: /etc/hosts and the servers of resolv.conf(5).
  private static func resolve(_ name: String, _ target: EgressTarget) throws(EgressRefusal) -> [IPAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = SocketType.stream
    var list: UnsafeMutablePointer<addrinfo>?
    let result = getaddrinfo(name, nil, &hints, &list)
    guard result == 0 else { throw .unresolved(target, String(cString: gai_strerror(result))) }
    defer { freeaddrinfo(list) }
    var found: [IPAddress] = []
    var next = list
    while let entry = next {
      next = entry.pointee.ai_next
      guard let place = entry.pointee.ai_addr else { continue }
      let bytes = UnsafeRawBufferPointer(start: place, count: Int(entry.pointee.ai_addrlen))
      var address: IPAddress?
      if entry.pointee.ai_family == AF_INET, bytes.count >= 8 {
        address = IPv4Address(bytes: bytes[4..<8]).map { IPAddress($0) }
      } else if entry.pointee.ai_family == AF_INET6, bytes.count >= 24 {
        address = IPAddress(bytes: bytes[8..<24])
      }
      if let address, !found.contains(address) { found.append(address) }
    }
    guard !found.isEmpty else { throw .unresolved(target, "it has no address") }
    return found
  }

  /// One after the other, in the resolver's order.
  private static func connect(_ addresses: [IPAddress], _ target: EgressTarget, _ deadline: UInt64)
    throws(EgressRefusal)
    -> OwnedFD
  {
    var last = ETIMEDOUT
    for address in addresses {
      let now = Clock.monotonicNanoseconds()
      guard now < deadline else { break }
      let time = addresses.count > 1 ? min(attempt, deadline - now) : deadline - now
      do throws(SyscallError) { return try connect(address, target.port, milliseconds: CInt(time / 1_000_000)) } catch {
        last = error.errno
      }
    }
    throw .unreachable(target, last)
  }

  private static func connect(_ address: IPAddress, _ port: UInt16, milliseconds: CInt) throws(SyscallError) -> OwnedFD
  {
    var place = address.socketAddress(port: port)
    let number = socket(
      CInt(place.ss_family), SocketType.stream | SocketType.closeOnExec | SocketType.nonBlocking, 0)
    let failure = errno
    guard number >= 0 else { throw SyscallError(call: "socket", errno: failure) }
    let opened = OwnedFD(raw: number)
    let result = SocketAddress.connect(number, &place)
    let error = errno
    guard result != 0 else { return opened }
    guard error == EINPROGRESS else { throw SyscallError(call: "connect", errno: error) }
    guard try Poll.wait(number, for: Int16(POLLOUT), timeout: milliseconds) else {
      throw SyscallError(call: "connect", errno: ETIMEDOUT)
    }
    var outcome: CInt = 0
    var length = socklen_t(MemoryLayout<CInt>.size)
    getsockopt(number, SOL_SOCKET, SO_ERROR, &outcome, &length)
    guard outcome == 0 else { throw SyscallError(call: "connect", errno: outcome) }
    return opened
  }
}
