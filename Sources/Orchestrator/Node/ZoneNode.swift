internal import NIOPosix

/// One machine's zones for asynchronous callers: the driver's blocking calls run on threads of their own, and each kind
/// on its own: a stop may take its zone's grace and a check its timeout, while looking must always be possible.
public struct ZoneNode: Sendable {
  public let driver: any ZoneDriver
  private let looks = NIOThreadPool(numberOfThreads: 2)
  private let calls = NIOThreadPool(numberOfThreads: 8)
  private let stops = NIOThreadPool(numberOfThreads: 16)
  private let checks = NIOThreadPool(numberOfThreads: 16)
  private var pools: [NIOThreadPool] { [looks, calls, stops, checks] }

  public init(_ driver: any ZoneDriver) {
    self.driver = driver
    for pool in pools { pool.start() }
  }

  public func shutDown() async {
    for pool in pools { try? await pool.shutdownGracefully() }  // fails only where it was shut down already
  }

  /// What only looks.
  func look<Value: Sendable>(_ body: @escaping @Sendable (any ZoneDriver) throws -> Value) async throws(FleetError)
    -> Value
  {
    try await Self.run(looks, driver, body)
  }

  /// What may wait for a zone's end.
  func stop<Value: Sendable>(_ body: @escaping @Sendable (any ZoneDriver) throws -> Value) async throws(FleetError)
    -> Value
  {
    try await Self.run(stops, driver, body)
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
