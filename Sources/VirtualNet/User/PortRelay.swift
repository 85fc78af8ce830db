internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Published ports of an ordinary user's network: what comes in on the host's sockets goes on to the zones, through
/// sockets of the network's namespace.
///
/// pasta takes ports only at its start, so they are ours. A thread of the names helper that has gone into the network
/// namespace (setns(2) is a thread's): sockets it makes belong there, those it was given belong to the host. One
/// epoll(7) loop; nothing in it waits. Zones see the network's gateway as the sender.
final class PortRelay {
  enum Limit {
    /// Descriptors kept free of flows: listeners, control, what the other thread needs.
    static let reserve = 512
    /// Datagram flows of one port; the one that was silent longest makes room.
    static let datagramFlows = 1024
    /// Nanoseconds of silence after which a datagram flow is forgotten (the kernel's own for an UDP stream).
    static let datagramSilence: UInt64 = 120_000_000_000
  }

  private let control: OwnedFD
  private let epoll: OwnedFD
  private var sources: [CInt: RelaySource] = [:]
  private var listeners: [RelayListener] = []
  private var descriptors = 0
  private let mostDescriptors: Int
  /// Where every flow reads into.
  var room = [UInt8](repeating: 0, count: 65536)

  /// - Parameter control: bound and listening.
  init(control: consuming OwnedFD) throws(SyscallError) {
    self.control = control
    epoll = OwnedFD(raw: CInt(try check(zns_epoll_create(), "epoll_create1")))
    mostDescriptors = max(64, min(zns_raise_descriptor_limit(), 1 << 20) - Limit.reserve)
    watch(self.control.raw, .control)
  }

  /// Starts the thread: it joins `namespace`, gives up every power and serves until the process ends.
  static func start(namespace: CInt, control: CInt) -> Bool {
    let box = Unmanaged.passRetained(Start(namespace: namespace, control: control))
    return zns_start_thread(
      { argument in
        let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
        guard zns_setns(start.namespace, NetlinkSocket.newNetwork) >= 0, zns_drop_capabilities() >= 0,
          let relay = try? PortRelay(control: OwnedFD(raw: start.control))
        else { exit(1) }
        while true { relay.step() }
      }, box.toOpaque()) == 0
  }

  private final class Start {
    let namespace: CInt, control: CInt
    init(namespace: CInt, control: CInt) {
      self.namespace = namespace
      self.control = control
    }
  }

  // MARK: the loop

  func step() {
    var ready = [CInt](repeating: -1, count: 64)
    let count = zns_epoll_wait(epoll.raw, &ready, hasDatagramFlows ? 10_000 : -1)
    for number in ready.prefix(max(0, count)) {
      // One that an earlier event of this turn closed is no source any more.
      switch sources[number] {
      case .control: takeCommander()
      case .commander(let commander): if !takeCommand(commander) { forget(number) }
      case .streams(let listener): accept(listener)
      case .datagrams(let listener): listener.take(self)
      case .flow(let flow): if flow.advance(self) { close(flow) }
      case .answers(let flow): flow.answer(self)
      case nil: continue
      }
    }
    if isPaused, hasRoom { pauseListeners(false) }
    if hasDatagramFlows {
      // The clock begins with the machine: in its first minutes nothing is that old.
      let now = Clock.monotonicNanoseconds()
      let oldest = now - min(now, Limit.datagramSilence)
      for case .datagrams(let listener) in sources.values { listener.forget(before: oldest, self) }
    }
  }

  private var hasDatagramFlows: Bool { listeners.contains { !$0.datagramFlows.isEmpty } }

  static let reads = UInt32(ZNS_EPOLL_IN), writes = UInt32(ZNS_EPOLL_OUT)

  func watch(_ number: CInt, _ source: RelaySource, events: UInt32 = reads) {
    sources[number] = source
    descriptors += 1
    change(number, from: 0, to: events)
  }

  /// Of whom nothing is wanted is not asked: epoll(7) tells of an end whatever it was asked, and tells it again each time.
  func change(_ number: CInt, from old: UInt32, to new: UInt32) {
    guard old != new else { return }
    let verb = old == 0 ? ZNS_EPOLL_ADD : new == 0 ? ZNS_EPOLL_DELETE : ZNS_EPOLL_MODIFY
    _ = zns_epoll_control(epoll.raw, CInt(verb), number, new)
  }

  /// Called before the descriptor closes.
  func forget(_ number: CInt) {
    _ = zns_epoll_control(epoll.raw, CInt(ZNS_EPOLL_DELETE), number, 0)
    sources[number] = nil
    descriptors -= 1
  }

  // MARK: commands

  private func takeCommander() {
    let number = Glibc.accept(control.raw, nil, nil)
    guard number >= 0 else { return }
    let commander = RelayCommander(link: OwnedFD(raw: number))
    _ = zns_fcntl(number, F_SETFD, Int(FD_CLOEXEC))
    var pid: pid_t = 0
    var uid: uid_t = 0
    var gid: gid_t = 0
    guard zns_peer_credentials(number, &pid, &uid, &gid) == 0, uid == geteuid() else { return }
    watch(number, .commander(commander))
  }

  /// One message, and its answer.
  /// - Returns: whether there may be more.
  private func takeCommand(_ commander: RelayCommander) -> Bool {
    var bytes = [UInt8](repeating: 0, count: RelayMessage.room)
    var sockets = [CInt](repeating: -1, count: RelayMessage.most)
    var count = CInt(sockets.count)
    let got = zns_receive_fds(commander.link.raw, &bytes, bytes.count, &sockets, &count, 0)
    guard got > 0 else { return false }
    var answer = UInt8(truncatingIfNeeded: obey(RelayMessage(Array(bytes[0..<got])), Array(sockets[0..<Int(count)])))
    send(commander.link.raw, &answer, 1, CInt(truncatingIfNeeded: MSG_NOSIGNAL | MSG_DONTWAIT))
    return true
  }

  /// - Parameter sockets: become ours.
  /// - Returns: 0 or an errno.
  private func obey(_ message: RelayMessage?, _ sockets: [CInt]) -> CInt {
    switch message?.verb {
    case .add where message?.ports.count == sockets.count:
      for (port, number) in zip(message!.ports, sockets) {
        let listener = RelayListener(OwnedFD(raw: number), port, zone: message!.zone, address: message!.address)
        listeners.append(listener)
        switch port.transport {
        case .tcp: watch(number, .streams(listener), events: isPaused ? 0 : Self.reads)
        case .udp: watch(number, .datagrams(listener))
        }
      }
      return 0
    case .drop where sockets.isEmpty:
      listeners.removeAll { listener in
        guard listener.zone == message!.zone, message!.ports.contains(listener.port) else { return false }
        drop(listener)
        return true
      }
      return 0
    default:
      for number in sockets { Glibc.close(number) }
      return EINVAL
    }
  }

  private func drop(_ listener: RelayListener) {
    forget(listener.socket.raw)
    for flow in listener.flows.values { release(flow) }
    listener.flows = [:]
    listener.forget(before: .max, self)
  }

  // MARK: flows

  private func accept(_ listener: RelayListener) {
    // A few at a time, so that a flood on one port does not starve the others.
    for _ in 0..<16 {
      guard hasRoom else { return pauseListeners(true) }
      let number = Glibc.accept(listener.socket.raw, nil, nil)
      guard number >= 0 else { return }
      let client = OwnedFD(raw: number)
      guard let flow = RelayFlow(client, listener) else { continue }
      listener.flows[ObjectIdentifier(flow)] = flow
      watch(flow.client.raw, .flow(flow), events: 0)
      watch(flow.zone.raw, .flow(flow), events: Self.writes)
    }
  }

  private func close(_ flow: RelayFlow) {
    flow.listener.flows[ObjectIdentifier(flow)] = nil
    release(flow)
  }

  private func release(_ flow: RelayFlow) {
    forget(flow.client.raw)
    forget(flow.zone.raw)
  }

  private var hasRoom: Bool { descriptors + 2 <= mostDescriptors }
  private var isPaused = false
  /// Where descriptors run out, what connects waits in the sockets.
  private func pauseListeners(_ pause: Bool) {
    guard pause != isPaused else { return }
    isPaused = pause
    for listener in listeners where listener.port.transport == .tcp {
      change(listener.socket.raw, from: pause ? Self.reads : 0, to: pause ? 0 : Self.reads)
    }
  }
}

/// A command that has come to the relay, for as long as it stays.
final class RelayCommander {
  let link: OwnedFD
  init(link: consuming OwnedFD) { self.link = link }
}

/// What a descriptor of the relay's is.
enum RelaySource {
  case control
  case commander(RelayCommander)
  case streams(RelayListener)
  case datagrams(RelayListener)
  case flow(RelayFlow)
  case answers(RelayDatagrams)
}
