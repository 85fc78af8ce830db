internal import LinuxNS
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// A request of ours: to the daemon, or a health check's.
struct HTTPCall: Sendable {
  var method: HTTPMethod
  var uri: String
  var host = "orchestrator"
  var body: [UInt8] = []
}

/// HTTP/1.1, one request a connection, as much as the API and the checks need.
struct HTTPClient: Sendable {
  enum Peer: Sendable {
    case unix(String)
    case tcp(Endpoint)
  }
  let group: any EventLoopGroup

  /// The status of the answer; the rest of it is not waited for.
  /// - Parameter timeout: seconds for all of it.
  func status(of call: HTTPCall, at peer: Peer, timeout: Double) async throws -> Int {
    let channel = try await connect(peer, timeout: timeout)
    // The deadline closes the connection, which ends every wait below.
    let deadline = channel.channel.eventLoop.scheduleTask(in: .seconds(timeout)) { channel.channel.close(promise: nil) }
    defer { deadline.cancel() }
    return try await channel.executeThenClose { inbound, outbound in
      try await Self.send(call, outbound)
      for try await case .head(let head) in inbound { return Int(head.status.code) }
      throw FleetError.failed(
        "it closed the connection without an answer, or took longer than \(Units.text(seconds: timeout))")
    }
  }

  /// The whole exchange; the answer's body is given on as it comes.
  /// - Returns: the status.
  func exchange(_ call: HTTPCall, at peer: Peer, onBody: (ArraySlice<UInt8>) async throws -> Void) async throws -> Int {
    try await connect(peer, timeout: 10).executeThenClose { inbound, outbound in
      try await Self.send(call, outbound)
      var status: Int?
      for try await part in inbound {
        switch part {
        case .head(let head): status = Int(head.status.code)
        case .body(let buffer): try await onBody(Array(buffer.readableBytesView)[...])
        case .end: return status ?? 500
        }
      }
      throw FleetError.failed("the daemon closed the connection in the middle of its answer (see its log)")
    }
  }

  private static func send(
    _ call: HTTPCall, _ outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
  ) async throws {
    var head = HTTPRequestHead(version: .http1_1, method: call.method, uri: call.uri)
    head.headers.add(name: "host", value: call.host)
    head.headers.add(name: "connection", value: "close")
    head.headers.add(name: "user-agent", value: "zones")
    if !call.body.isEmpty || call.method == .POST {
      head.headers.add(name: "content-length", value: String(call.body.count))
    }
    // In one go: a request without a body is whole for the other side with its head, and it may have answered and closed
    // the connection before we came to write the end.
    let body = call.body.isEmpty ? [] : [HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: call.body)))]
    try await outbound.write(contentsOf: [.head(head)] + body + [.end(nil)])
  }

  private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

  private func connect(_ peer: Peer, timeout: Double) async throws -> Connection {
    let bootstrap = ClientBootstrap(group: group).connectTimeout(.seconds(timeout))
    let initializer: @Sendable (any Channel) -> EventLoopFuture<Connection> = { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHTTPClientHandlers()
        return try Connection(wrappingChannelSynchronously: channel)
      }
    }
    switch peer {
    case .unix(let path):
      return try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: initializer)
    case .tcp(let endpoint):
      return try await bootstrap.connect(host: endpoint.host, port: Int(endpoint.port), channelInitializer: initializer)
    }
  }
}
