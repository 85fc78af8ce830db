/// A change that was tried and failed, or waited in vain.
struct ChangeFailure: Equatable, Sendable {
  var change: Change
  var error: FleetError
}

/// What of a plan could not be done, and what has to be left for it.
struct Undone: Sendable {
  private(set) var failures: [ChangeFailure] = []
  private var names: Set<String> = []
  private var services: Set<String> = []

  mutating func add(_ failure: ChangeFailure) {
    failures.append(failure)
    leave(failure.change)
  }

  /// It is not tried; whatever waits for it is not either.
  mutating func leave(_ change: Change) {
    names.insert(change.name)
    services.insert(change.service)
  }

  /// What a change would wait for in vain: a zone or a service; nil: nothing.
  func cause(of change: Change) -> String? {
    for wait in change.waits {
      switch wait {
      case .zone(let name) where names.contains(name): return name
      case .service(let service, _) where services.contains(service): return service
      case .zone, .service: continue
      }
    }
    return nil
  }

  /// What is told of it all: the first, which is whole, and how many there are.
  func check() throws(FleetError) {
    guard let first = failures.first else { return }
    guard failures.count > 1 else { throw first.error }
    throw .failed("\(first.error) (and \(failures.count - 1) more, see orchestrator events)")
  }
}
