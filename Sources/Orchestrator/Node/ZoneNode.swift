internal import NIOPosix

/// One machine's zones for asynchronous callers: the driver's blocking calls run on threads of their own, so that no
/// zone that takes long to stop can hold up the daemon. Checks have their own threads: they may wait for a timeout.
public struct ZoneNode: Sendable {
  public let driver: any ZoneDriver
  private let calls: NIOThreadPool
  private let checks: NIOThreadPool

  public init(_ driver: any ZoneDriver) {
    self.driver = driver
    calls = NIOThreadPool(numberOfThreads: 8)
    checks = NIOThreadPool(numberOfThreads: 16)
    calls.start()
    checks.start()
  }

  public func shutDown() async {
    try? await calls.shutdownGracefully()  // fails only where it was shut down already
    try? await checks.shutdownGracefully()
  }

  func call<Value: Sendable>(_ body: @escaping @Sendable (any ZoneDriver) throws -> Value) async throws(FleetError)
    -> Value
  {
    try await Self.run(calls, driver, body)
  }

  func check<Value: Sendable>(_ body: @escaping @Sendable (any ZoneDriver) throws -> Value) async throws(FleetError)
    -> Value
  {
    try await Self.run(checks, driver, body)
  }

  private static func run<Value: Sendable>(
    _ pool: NIOThreadPool, _ driver: any ZoneDriver, _ body: @escaping @Sendable (any ZoneDriver) throws -> Value
  ) async throws(FleetError) -> Value {
    do {
      return try await pool.runIfActive { try body(driver) }
    } catch let error as DriverError {
      switch error.kind {
      case .notFound: throw .notFound(error.description)
      case .timedOut: throw .timedOut(error.description)
      case .failed: throw .failed(error.description)
      }
    } catch let error as FleetError {
      throw error
    } catch { throw .failed("\(error)") }
  }
}
