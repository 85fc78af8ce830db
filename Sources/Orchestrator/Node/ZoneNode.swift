internal import NIOPosix

/// One machine's zones for asynchronous callers: the driver's blocking calls run on threads of their own, and each kind
/// on its own: a stop may take its zone's grace and a check its timeout, while looking must always be possible.
public struct ZoneNode: Sendable {
  public let driver: any ZoneDriver
  /// What only looks.
  let look: Lane
  let call: Lane
  /// What may wait for a zone's end.
  let stop: Lane
  let check: Lane

  public init(_ driver: any ZoneDriver) {
    self.driver = driver
    (look, call) = (Lane(driver, threads: 2), Lane(driver, threads: 8))
    (stop, check) = (Lane(driver, threads: 16), Lane(driver, threads: 16))
  }

  public func shutDown() async {
    // Fails only where it was shut down already.
    for lane in [look, call, stop, check] { try? await lane.pool.shutdownGracefully() }
  }

  /// One kind of calls, on threads of its own.
  struct Lane: Sendable {
    private let driver: any ZoneDriver
    fileprivate let pool: NIOThreadPool

    fileprivate init(_ driver: any ZoneDriver, threads: Int) {
      self.driver = driver
      pool = NIOThreadPool(numberOfThreads: threads)
      pool.start()
    }

    func callAsFunction<Value: Sendable>(
      _ body: @escaping @Sendable (any ZoneDriver) throws -> Value
    ) async throws(FleetError) -> Value {
      do {
        return try await pool.runIfActive { [driver] in try body(driver) }
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
}
