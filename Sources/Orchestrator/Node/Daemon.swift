internal import Foundation
internal import Glibc
internal import Hummingbird
internal import LinuxNS
public import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// `orchestrator daemon`: the conductor and its API until there is nothing left to conduct.
public struct Daemon: Sendable {
  public var directories: FleetDirectories
  public var driver: any ZoneDriver
  /// The `orchestrator` program, for balancers.
  public var executable: String
  /// Seconds without a request after which a daemon without a fleet ends. After `down` of the last one it ends at once.
  public var idle: Double = 10
  public var logger: Logger

  public init(directories: FleetDirectories, driver: any ZoneDriver, executable: String, logger: Logger) {
    self.directories = directories
    self.driver = driver
    self.executable = executable
    self.logger = logger
  }

  /// Returns when the last fleet was taken down, or on SIGTERM or SIGINT; zones go on in the latter cases.
  public func run() async throws(FleetError) {
    let lock = try await DaemonLock(directories, patience: 10)
    let store: SQLiteStore
    do { store = try SQLiteStore(path: directories.database) } catch { throw .failed(error.description) }
    let setup = ConductorSetup(
      directories: directories, driver: driver, store: store, box: try SecretBox(keyFile: directories.key),
      executable: executable,
      logger: logger)
    let conductor = try await Conductor(setup)
    try await conductor.load()
    logger.notice("daemon \(getpid()) begins")
    let activity = Activity()
    let api = APIServer(conductor: conductor, activity: activity, directories: directories, logger: logger)
    do { try await serve(conductor, activity, api.application()) } catch { throw .failed("the daemon ended: \(error)") }
    let isEmpty = await conductor.isEmpty
    await conductor.shutDown()
    unlink(directories.socket)
    do { try store.close() } catch { logger.error("cannot close the state: \(error)") }
    logger.notice("daemon \(getpid()) ends")
    if isEmpty { try clear() }
    lock.remove()
    if isEmpty { _ = rmdir(directories.runDirectory) }  // another daemon may have begun in it
  }

  private func serve(_ conductor: Conductor, _ activity: Activity, _ api: some ServiceLifecycle.Service) async throws {
    let look = Look(conductor: conductor, activity: activity, idle: idle)
    // Not our logger: the group's own words are of no use to a person.
    var quiet = logger
    quiet.logLevel = .error
    var configuration = ServiceGroupConfiguration(
      services: [
        .init(service: api),
        .init(service: look, successTerminationBehavior: .gracefullyShutdownGroup),
      ], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
    configuration.maximumGracefulShutdownDuration = .seconds(3)
    try await ServiceGroup(configuration: configuration).run()
  }

  /// Nothing of ours stays where no fleet is left to remember.
  private func clear() throws(FleetError) {
    do {
      try driver.removeCaches()
      try FileSystem.removeTree(directories.stateDirectory)
      try FileSystem.removeTree("\(directories.runDirectory)/balance")
      try FileSystem.removeTree(directories.secretsRoot)
    } catch { throw .failed("cannot clean up: \(error)") }
  }
}

/// The conductor's loop as a service, which ends the daemon when there is nothing left to do.
private struct Look: ServiceLifecycle.Service {
  let conductor: Conductor
  let activity: Activity
  let idle: Double

  func run() async throws {
    var orphans = OrphanReaper()
    await withGracefulShutdownHandler {
      while !Task.isCancelled, !activity.isEnding {
        await conductor.tick()
        orphans.look()
        // Short steps, so that the end of the last fleet is the daemon's too.
        for _ in 0..<10 {
          if await conductor.isIdle {
            if activity.quiet > (activity.wasTakenDown ? 0.05 : idle) { return activity.finish() }
          }
          if activity.isEnding { break }
          do { try await Task.sleep(nanoseconds: 100_000_000) } catch { return }
        }
      }
    } onGracefulShutdown: {
      activity.finish()
    }
    await conductor.finishEvents()
  }
}
