internal import LinuxNS

/// Runs the checks of all zones, each in a task of its own from a zone's start to its end.
///
/// While a zone is starting it is looked at often, so that it is known healthy soon; a failure counts only once an
/// interval has gone by, as in Compose, so that a slow start is no reason to call it unhealthy earlier.
actor HealthKeeper {
  struct Subject: Sendable, Equatable {
    var zone: String
    var startId: String?
    var check: HealthCheck
    var endpoints: [UInt16: Endpoint]
  }
  typealias Report = @Sendable (_ zone: String, _ health: Health) async -> Void

  private struct Watch {
    var subject: Subject
    var task: Task<Void, Never>
    var health: Health
  }
  private let probe: Probe
  private let report: Report
  private var watches: [String: Watch] = [:]

  init(_ probe: Probe, report: @escaping Report) {
    self.probe = probe
    self.report = report
  }

  var health: [String: Health] { watches.mapValues(\.health) }

  /// Watches exactly these from now on. One that was started anew or has another check begins from the start; that nobody has
  /// looked at it yet does not mean that it does not serve.
  /// - Parameter serving: of these, the ones that have served since their start.
  func keep(_ subjects: [Subject], serving: Set<String> = []) {
    let wanted = Dictionary(subjects.map { ($0.zone, $0) }) { first, _ in first }
    for (zone, watch) in watches where wanted[zone] != watch.subject {
      watch.task.cancel()
      watches[zone] = nil
    }
    for (zone, subject) in wanted where watches[zone] == nil {
      var health = Health(.starting)
      if serving.contains(zone) { health.servedBefore = true }
      watches[zone] = Watch(subject: subject, task: Task { await self.run(subject) }, health: health)
    }
  }

  func stop() { keep([]) }

  private func run(_ subject: Subject) async {
    let check = subject.check
    let start = Clock.monotonicNanoseconds()
    func age() -> Double { Double(Clock.monotonicNanoseconds() - start) / 1e9 }
    var lastCounted = 0.0
    var pause = 0.05
    while !Task.isCancelled {
      let why = await probe.run(check, zone: subject.zone) { subject.endpoints[$0] }
      guard !Task.isCancelled, var health = watches[subject.zone]?.health, watches[subject.zone]?.subject == subject
      else { return }
      if let why {
        health.why = why
        let counts = health.state != .starting || age() >= check.startPeriod + lastCounted + check.interval
        if counts {
          health.failures += 1
          health.servedBefore = nil
          lastCounted += check.interval
          if health.failures >= check.retries { health.state = .unhealthy }
        }
      } else {
        health = Health(.healthy)
      }
      watches[subject.zone]!.health = health
      await report(subject.zone, health)
      if health.state == .starting {
        pause = min(pause * 2, min(age() < check.startPeriod ? check.startInterval : check.interval, 2))
      } else {
        pause = check.interval
      }
      // A record of an earlier release may hold any time.
      do { try await Task.sleep(nanoseconds: UInt64(min(pause, Units.longest) * 1e9)) } catch { return }
    }
  }
}
