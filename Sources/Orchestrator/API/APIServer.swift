internal import Foundation
internal import Glibc
internal import Hummingbird
internal import HummingbirdCore
internal import LinuxNS
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore

/// Whether anybody is being served, so that the daemon knows when it may end.
final class Activity: Sendable {
  private struct State {
    /// The first is the daemon's own beginning.
    var running = 1
    var last = Clock.monotonicNanoseconds()
    var isEnding = false
    var wasTakenDown = false
  }
  private let state = NIOLockedValueBox(State())

  func begin() { state.withLockedValue { $0.running += 1 } }
  func end() {
    state.withLockedValue {
      $0.running -= 1
      $0.last = Clock.monotonicNanoseconds()
    }
  }
  /// Seconds since the last request ended; 0 while one is served.
  var quiet: Double {
    state.withLockedValue { $0.running > 0 ? 0 : Double(Clock.monotonicNanoseconds() - $0.last) / 1e9 }
  }
  /// The last fleet was taken down: the daemon is to end without waiting for more.
  func takenDown() { state.withLockedValue { $0.wasTakenDown = true } }
  var wasTakenDown: Bool { state.withLockedValue { $0.wasTakenDown } }
  /// Endless answers end, too.
  func finish() { state.withLockedValue { $0.isEnding = true } }
  var isEnding: Bool { state.withLockedValue { $0.isEnding } }
}

/// The daemon's API: JSON over HTTP on a unix socket; what takes long answers line by line.
struct APIServer: Sendable {
  let conductor: Conductor
  let activity: Activity
  let directories: FleetDirectories
  let logger: Logger
  static let largestRequest = 64 << 20

  func application() -> some ApplicationProtocol {
    let owner = UInt32(geteuid())
    let peerLogger = logger
    var quiet = logger
    quiet.logLevel = .error
    return Application(
      router: router(),
      server: HTTPServerBuilder { responder in
        OwnerOnlyHTTP(http: HTTP1Channel(responder: responder), owner: owner, logger: peerLogger)
      },
      configuration: ApplicationConfiguration(address: .unixDomainSocket(path: directories.socket), serverName: nil),
      onServerRunning: { [directories, activity] _ in
        chmod(directories.socket, 0o600)  // its directory is 0700 all the time
        activity.end()
      },
      logger: quiet)
  }

  private func router() -> Router<BasicRequestContext> {
    let router = Router()
    router.get("/v1/version") { _, _ in
      // Who asks comes back with what he wants.
      await answer { try reply(VersionReply(version: APIVersion.current, pid: getpid())) }
    }
    router.post("/v1/plan") { request, context in
      await answer { try reply(try await conductor.plan(try await decode(ApplyRequest.self, request).manifest)) }
    }
    router.post("/v1/apply") { request, context in
      await answer {
        let wanted = try await decode(ApplyRequest.self, request)
        return stream { yield in
          try await conductor.apply(wanted.manifest, wanted.options) {
            yield(.plan($0))
          } progress: {
            yield(.progress($0))
          }
          return .done()
        }
      }
    }
    router.post("/v1/fleets/:name/down") { request, context in
      await answer {
        let wanted = try await decode(DownRequest.self, request)
        let name = try context.parameters.require("name")
        return stream { yield in
          try await conductor.down(name, volumes: wanted.volumes) { yield(.progress($0)) }
          guard await conductor.isIdle else { return .done() }
          activity.takenDown()
          return .done(daemonEnds: true)
        }
      }
    }
    router.get("/v1/fleets") { _, _ in
      await answer { try reply(FleetNames(names: await conductor.names)) }
    }
    router.get("/v1/zones") { request, context in
      await answer { try reply(try await conductor.rows(fleet: request.uri.queryParameters["fleet"].map(String.init))) }
    }
    router.get("/v1/events") { request, context in
      await answer {
        let follows = request.uri.queryParameters["follow"] == "1"
        let fleet = request.uri.queryParameters["fleet"].map(String.init)
        let events = try await conductor.eventStream(following: follows)
        return stream(isEndless: follows) { yield in
          for await event in events where fleet == nil || event.fleet == fleet { yield(.event(event)) }
          return .done()
        }
      }
    }
    router.get("/v1/logs") { request, context in
      await answer {
        let parameters = request.uri.queryParameters
        let query = LogQuery(
          fleet: parameters["fleet"].map(String.init), services: parameters.getAll("service"),
          tail: parameters["tail"].flatMap { Int($0) }, follows: parameters["follow"] == "1")
        var readers = LogReaders(query, conductor)
        try await readers.find()
        let found = readers
        return stream(isEndless: query.follows) { yield in
          var readers = found
          try await readers.run(until: { activity.isEnding }) { yield(.log($0)) }
          return .done()
        }
      }
    }
    return router
  }

  // MARK: answers

  private func reply(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    Response(
      status: status, headers: [.contentType: "application/json"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: try JSONEncoder().encode(value))))
  }

  private func decode<Value: Decodable>(_ type: Value.Type, _ request: Request) async throws -> Value {
    let buffer = try await request.body.collect(upTo: Self.largestRequest)
    do { return try JSONDecoder().decode(type, from: Data(buffer.readableBytesView)) } catch {
      throw FleetError.failed("cannot read the request: \(error)")
    }
  }

  private func answer(_ body: () async throws -> Response) async -> Response {
    activity.begin()
    defer { activity.end() }
    do { return try await body() } catch {
      let status: HTTPResponse.Status
      switch error as? FleetError {
      case .manifest: status = .unprocessableContent
      case .notFound: status = .notFound
      case .conflict: status = .conflict
      case .refused: status = .forbidden
      case .timedOut: status = .gatewayTimeout
      case .failed, nil: status = .internalServerError
      }
      let text = (error as? FleetError)?.description ?? "\(error)"
      return (try? reply(ErrorReply(error: text), status: status)) ?? Response(status: status)
    }
  }

  /// Lines as they come. The work goes on where the caller goes away: `apply` is not undone by Ctrl-C.
  private func stream(
    isEndless: Bool = false,
    _ work: @escaping @Sendable (_ yield: @escaping @Sendable (StreamLine) -> Void) async throws -> StreamLine
  ) -> Response {
    let (lines, continuation) = AsyncStream.makeStream(of: StreamLine.self)
    let activity = activity
    // An answer without an end is no reason to stay.
    if !isEndless { activity.begin() }
    let task = Task {
      defer { if !isEndless { activity.end() } }
      do { continuation.yield(try await work { continuation.yield($0) }) } catch {
        continuation.yield(.error((error as? FleetError)?.description ?? "\(error)"))
      }
      continuation.finish()
    }
    if isEndless { continuation.onTermination = { _ in task.cancel() } }
    let body = ResponseBody { writer in
      for await line in lines {
        try await writer.write(ByteBuffer(bytes: try JSONEncoder().encode(line) + [10]))
      }
      try await writer.finish(nil)
    }
    return Response(status: .ok, headers: [.contentType: "application/x-ndjson"], body: body)
  }
}

struct LogQuery: Sendable {
  var fleet: String?
  var services: [String]
  var tail: Int?
  var follows: Bool
}

/// The logs of several zones, read together; zones that come later are taken in.
struct LogReaders: Sendable {
  let query: LogQuery
  let conductor: Conductor
  private var readers: [String: LogReader] = [:]
  private var old: Set<String> = []

  init(_ query: LogQuery, _ conductor: Conductor) {
    self.query = query
    self.conductor = conductor
  }

  mutating func find() async throws(FleetError) {
    for (zone, path) in try await conductor.logFiles(fleet: query.fleet, services: query.services)
    where readers[zone] == nil {
      readers[zone] = LogReader(zone: zone, path: path)
    }
  }

  mutating func run(until isEnding: @Sendable () -> Bool, _ yield: @Sendable (LogLine) -> Void) async throws(FleetError)
  {
    while true {
      for zone in readers.keys.sorted() {
        // `--tail` is about what was there before we came.
        let tail = old.insert(zone).inserted ? query.tail : nil
        for line in try readers[zone]!.next(tail: tail) { yield(line) }
      }
      guard query.follows, !Task.isCancelled, !isEnding() else { return }
      do { try await Task.sleep(nanoseconds: 200_000_000) } catch { return }
      // A fleet that was taken down meanwhile has no more to say.
      do { try await find() } catch { return }
    }
  }
}
