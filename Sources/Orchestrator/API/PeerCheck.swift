internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOPosix

/// Lets nobody through but the socket's owner and root, by what the kernel says of the other end (unix(7), SO_PEERCRED):
/// before a byte of a request is read, and whatever the modes of the socket and its directory are.
final class PeerCheck: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let owner: UInt32
  private let logger: Logger
  private var isRefused = false

  init(owner: UInt32, logger: Logger) {
    self.owner = owner
    self.logger = logger
  }

  func channelActive(context: ChannelHandlerContext) {
    if let uid = Self.peer(context.channel), uid == owner || uid == 0 {
      context.fireChannelActive()
    } else {
      refuse(context)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isRefused else { return }
    context.fireChannelRead(data)
  }

  private func refuse(_ context: ChannelHandlerContext) {
    isRefused = true
    let uid = Self.peer(context.channel).map(String.init) ?? "unknown"
    logger.warning("refused a connection of uid \(uid)")
    let body = #"{"error":"this orchestrator obeys its owner (uid \#(owner)) and root alone, not uid \#(uid)"}"#
    let text =
      "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text))).whenComplete { _ in channel.close(promise: nil) }
  }

  /// nil where the kernel does not say: refused.
  private static func peer(_ channel: any Channel) -> UInt32? {
    guard let provider = channel as? any SocketOptionProvider else { return nil }
    let option: EventLoopFuture<Credentials> = provider.unsafeGetSocketOption(
      level: .socket, name: .init(rawValue: Self.soPeercred))
    // On the channel's own loop, where handlers run, the future is fulfilled already.
    var uid: UInt32?
    option.assumeIsolated().whenSuccess { uid = $0.uid }
    return uid
  }

  /// `struct ucred` of unix(7), which Swift's Glibc does not show.
  private struct Credentials: Sendable {
    var pid: Int32 = 0
    var uid: UInt32 = .max
    var gid: UInt32 = .max
  }
  /// SO_PEERCRED of asm-generic/socket.h, which x86-64 and aarch64 use.
  private static let soPeercred: CInt = 17
}

/// HTTP/1.1 behind the check of the peer.
struct OwnerOnlyHTTP: ServerChildChannel {
  typealias Value = HTTP1Channel.Value
  let http: HTTP1Channel
  let owner: UInt32
  let logger: Logger

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    channel.eventLoop.makeCompletedFuture {
      try channel.pipeline.syncOperations.addHandler(PeerCheck(owner: owner, logger: self.logger))
    }.flatMap { http.setup(channel: channel, logger: logger) }
  }

  func handle(value: Value, logger: Logger) async { await http.handle(value: value, logger: logger) }
}
