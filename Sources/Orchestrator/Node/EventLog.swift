internal import LinuxNS
internal import Logging

/// Events in their order: kept in the store, told to whoever follows.
actor EventLog {
  private let records: FleetRecords
  private let logger: Logger
  private var next: Int64 = 1
  private var followers: [Int: AsyncStream<FleetEvent>.Continuation] = [:]
  private var nextFollower = 0

  init(_ records: FleetRecords, logger: Logger) async throws(FleetError) {
    self.records = records
    self.logger = logger
    next = (try await records.events().last?.sequence ?? 0) + 1
  }

  func add(_ kind: String, fleet: String, zone: String? = nil, _ text: String) async {
    let event = FleetEvent(
      sequence: next, at: Clock.realtimeNanoseconds(), fleet: fleet, zone: zone, kind: kind, text: text)
    next += 1
    logger.notice("\(kind) \(zone ?? fleet): \(text)")
    do { try await records.append(event) } catch { logger.error("cannot keep an event: \(error)") }
    for follower in followers.values { follower.yield(event) }
  }

  func all() async throws(FleetError) -> [FleetEvent] { try await records.events() }

  /// What is kept and, following, what comes.
  func stream(following: Bool) async throws(FleetError) -> AsyncStream<FleetEvent> {
    let (stream, continuation) = AsyncStream.makeStream(of: FleetEvent.self)
    // Join first: what is added while the past is read would otherwise be lost. Doubles are left out by their number.
    let id = nextFollower
    nextFollower += 1
    let (live, liveContinuation) = AsyncStream.makeStream(of: FleetEvent.self)
    if following { followers[id] = liveContinuation } else { liveContinuation.finish() }
    let past = try await records.events()
    let relay = Task {
      for event in past { continuation.yield(event) }
      let last = past.last?.sequence ?? 0
      for await event in live where event.sequence > last { continuation.yield(event) }
      continuation.finish()
    }
    continuation.onTermination = { _ in
      relay.cancel()
      Task { await self.leave(id) }
    }
    return stream
  }

  private func leave(_ id: Int) { followers.removeValue(forKey: id)?.finish() }

  func finish() {
    for follower in followers.values { follower.finish() }
    followers = [:]
  }
}
