/// One command at a time works on a fleet; the others wait in their order.
actor FleetLocks {
  private var waiting: [String: [CheckedContinuation<Void, Never>]] = [:]

  func with<Value: Sendable>(_ fleet: String, _ body: @Sendable () async throws(FleetError) -> Value)
    async throws(FleetError) -> Value
  {
    await take(fleet)
    do {
      let value = try await body()
      release(fleet)
      return value
    } catch {
      release(fleet)
      throw error
    }
  }

  func isTaken(_ fleet: String) -> Bool { waiting[fleet] != nil }

  private func take(_ fleet: String) async {
    guard waiting[fleet] != nil else {
      waiting[fleet] = []
      return
    }
    await withCheckedContinuation { waiting[fleet]!.append($0) }
  }

  private func release(_ fleet: String) {
    guard var queue = waiting[fleet], !queue.isEmpty else {
      waiting[fleet] = nil
      return
    }
    let next = queue.removeFirst()
    waiting[fleet] = queue
    next.resume()
  }
}
