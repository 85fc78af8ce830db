internal import ArgumentParser
internal import Glibc
internal import LinuxNS
internal import Logging
internal import Orchestrator

struct DaemonCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "daemon", abstract: "Conduct the fleets; the first apply starts it by itself.",
    discussion: "Ends when the last fleet was taken down. It may be ended or killed at any time: zones go on.")

  @OptionGroup var place: PlaceOptions

  func run() async throws {
    signal(SIGPIPE, SIG_IGN)
    let logger = Logger(label: "orchestrator") { label in StreamLogHandler.standardError(label: label) }
    let place = try Place(root: place.root)
    try await Daemon(
      directories: place.directories, driver: try place.driver { logger.notice("\($0)") },
      executable: try Place.executable(), logger: logger
    ).run()
  }
}

struct BalanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "balance", abstract: "Share published ports among replicas.", shouldDisplay: false)

  @Argument(help: "What the daemon wrote for it.") var file: String

  func run() async throws { try await BalancerServer.run(file: file) }
}
