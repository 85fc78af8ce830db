internal import NIOConcurrencyHelpers
internal import NIOCore

/// How many connections a balancer has open at once: as many as there are descriptors for. Who comes when all are taken
/// waits in the listener's queue, and is let in when another has gone.
final class ConnectionGate: Sendable {
  private struct State {
    var open = 0
    var waiting: [@Sendable () -> Void] = []
  }
  /// Descriptors for everything that is no connection: each event loop has some.
  static let reserve = 64 + 4 * System.coreCount

  let most: Int
  private let state = NIOLockedValueBox(State())

  /// - Parameter descriptors: that the process may have; two go to a connection.
  init(descriptors: Int) { most = max(1, (min(descriptors, 1 << 20) - Self.reserve) / 2) }

  /// Counts a channel until it is closed.
  func hold(_ channel: any Channel) {
    enter()
    channel.closeFuture.whenComplete { _ in self.leave() }
  }

  func enter() { state.withLockedValue { $0.open += 1 } }

  func leave() {
    let waiting = state.withLockedValue { state in
      state.open -= 1
      defer { state.waiting = [] }
      return state.waiting
    }
    for again in waiting { again() }
  }

  /// - Parameter again: called once where it is false, from any thread, when one has left.
  /// - Returns: whether one more may come in.
  func hasRoom(_ again: @escaping @Sendable () -> Void) -> Bool {
    state.withLockedValue { state in
      if state.open < most { return true }
      state.waiting.append(again)
      return false
    }
  }
}

/// In a listener's pipeline: it accepts only while the gate has room.
final class GatedListener: ChannelDuplexHandler {
  typealias InboundIn = any Channel
  typealias InboundOut = any Channel
  typealias OutboundIn = Never

  private let gate: ConnectionGate

  init(_ gate: ConnectionGate) { self.gate = gate }

  func read(context: ChannelHandlerContext) {
    let channel = context.channel
    if gate.hasRoom({ channel.read() }) { context.read() }
  }

  /// Counted here, before the next is looked for: it is set up on a thread of its own.
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    gate.hold(unwrapInboundIn(data))
    context.fireChannelRead(data)
  }
}
