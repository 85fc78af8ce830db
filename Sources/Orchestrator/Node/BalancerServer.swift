internal import CLinuxNS
internal import Foundation
internal import Glibc
internal import LinuxNS
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix

/// `orchestrator balance FILE`: shares published TCP ports among replicas. A process of its own, so that the ports go
/// on serving while no daemon lives; it ends by SIGTERM, or when its file is gone.
public enum BalancerServer {
  public static func run(file path: String) async throws(FleetError) {
    let file = try BalancerFile.read(path)
    signal(SIGPIPE, SIG_IGN)
    let backends = Backends(path, file)
    let gate = ConnectionGate(descriptors: zns_raise_descriptor_limit())
    var channels: [any Channel] = []
    for (index, listener) in file.balancer.listeners.enumerated() {
      channels.append(try await listen(listener, index, backends, gate))
    }
    do {
      let identity = BalancerIdentity(process: try .current(), balancer: file.balancer)
      try FileSystem.replace("\(path).pid", with: Array(try JSONEncoder().encode(identity)))
    } catch { throw .failed("cannot write \(path).pid: \(error)") }
    // `down` ends us by signal. Where the daemon that knew us was killed in the middle of it, the missing file does.
    while FileSystem.exists(path) {
      do { try await Task.sleep(nanoseconds: 2_000_000_000) } catch { break }
    }
  }

  /// So that who has vanished without a word is known to have gone: idle within two minutes, with data on the way by the
  /// kernel's own retries. No TCP_USER_TIMEOUT, which also ends who lives and does not read for as long (tcp(7)).
  private static let liveness: [(ChannelOptions.Types.SocketOption, SocketOptionValue)] = [
    (.socketOption(.so_keepalive), 1),
    (.tcpOption(.init(rawValue: TCP_KEEPIDLE)), 60),
    (.tcpOption(.init(rawValue: TCP_KEEPINTVL)), 15),
    (.tcpOption(.init(rawValue: TCP_KEEPCNT)), 4),
  ]

  private static func listen(
    _ listener: Balancer.Listener, _ index: Int, _ backends: Backends, _ gate: ConnectionGate
  ) async throws(FleetError) -> any Channel {
    let plain = ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .serverChannelInitializer { server in
        server.eventLoop.makeCompletedFuture { try server.pipeline.syncOperations.addHandler(GatedListener(gate)) }
      }
      .serverChannelOption(.maxMessagesPerRead, value: 1)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.autoRead, value: false)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { client in
        connect(client, backends.order(of: index)[...], gate)
        return client.eventLoop.makeSucceededVoidFuture()
      }
    let bootstrap = liveness.reduce(plain) { $0.childChannelOption($1.0, value: $1.1) }
    let port = Int(listener.hostPort)
    do {
      if let address = listener.hostAddress { return try await bootstrap.bind(host: address, port: port).get() }
      // Both families on one socket; a machine without IPv6 has only the other.
      do { return try await bootstrap.bind(host: "::", port: port).get() } catch let error as IOError
        where error.errnoCode == EAFNOSUPPORT
      {
        return try await bootstrap.bind(host: "0.0.0.0", port: port).get()
      }
    } catch {
      let place = listener.hostAddress.map { "\($0):\(port)" } ?? "port \(port)"
      throw .failed("cannot listen on \(place): \(Probe.reason(error))")
    }
  }

  /// Tries the backends in turn: one that refuses, or does not answer in 2 s, is passed over.
  private static func connect(_ client: any Channel, _ endpoints: ArraySlice<Endpoint>, _ gate: ConnectionGate) {
    guard let endpoint = endpoints.first else { return client.close(promise: nil) }
    let plain = ClientBootstrap(group: client.eventLoop)
      .connectTimeout(.seconds(Int64(2)))
      .channelOption(.autoRead, value: false)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
    liveness.reduce(plain) { $0.channelOption($1.0, value: $1.1) }
      .connect(host: endpoint.host, port: Int(endpoint.port))
      .whenComplete { result in
        switch result {
        case .failure: connect(client, endpoints.dropFirst(), gate)
        case .success(let server):
          // What is still to be written to a backend may keep its side open for longer.
          client.closeFuture.whenComplete { _ in if server.isActive { gate.hold(server) } }
          Relay.join(client, server)
        }
      }
  }
}

/// The endpoints of each listener, read again when the file was replaced.
private final class Backends: Sendable {
  private struct State {
    var file: BalancerFile
    var seen: FileOwnership.Version?
    var next = 0
  }
  private let path: String
  private let state: NIOLockedValueBox<State>

  init(_ path: String, _ file: BalancerFile) {
    self.path = path
    state = NIOLockedValueBox(State(file: file))
  }

  /// Every endpoint, beginning with the one whose turn it is.
  func order(of listener: Int) -> [Endpoint] {
    state.withLockedValue { state in
      if let seen = try? FileOwnership.version(path) {
        // A file that cannot be read leaves the last known backends.
        if seen != state.seen, let file = try? BalancerFile.read(path) { (state.file, state.seen) = (file, seen) }
      }
      guard listener < state.file.backends.count, !state.file.backends[listener].isEmpty else { return [] }
      let endpoints = state.file.backends[listener]
      state.next = (state.next + 1) % endpoints.count
      return Array(endpoints[state.next...] + endpoints[..<state.next])
    }
  }
}

/// One half of a relayed connection: what arrives here is written to the other. It reads only while the other can take
/// more, and an end of file crosses over alone.
private final class Relay: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let other: any Channel
  private var partner: Relay?
  private var context: ChannelHandlerContext?
  private var wantsRead = false

  private init(to other: any Channel) { self.other = other }

  /// Both channels must be on one event loop, and this is called on it.
  static func join(_ client: any Channel, _ server: any Channel) {
    let (near, far) = (Relay(to: server), Relay(to: client))
    (near.partner, far.partner) = (far, near)
    do {
      try client.pipeline.syncOperations.addHandler(near)
      try server.pipeline.syncOperations.addHandler(far)
    } catch {  // one of them is closed already
      client.close(promise: nil)
      server.close(promise: nil)
      return
    }
    for channel in [client, server] {
      channel.setOption(.autoRead, value: true).whenFailure { _ in channel.close(promise: nil) }
    }
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    partner = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { other.write(unwrapInboundIn(data), promise: nil) }
  func channelReadComplete(context: ChannelHandlerContext) { other.flush() }

  func read(context: ChannelHandlerContext) {
    if other.isWritable { context.read() } else { wantsRead = true }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { partner?.readAgain() }
    context.fireChannelWritabilityChanged()
  }

  private func readAgain() {
    guard wantsRead else { return }
    wantsRead = false
    context?.read()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed = event { finish(.output) }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    finish(.all)
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  /// Behind what is still to be written: closing alone would drop it.
  private func finish(_ mode: CloseMode) {
    let other = other
    other.writeAndFlush(ByteBuffer()).whenComplete { _ in other.close(mode: mode, promise: nil) }
  }
}
