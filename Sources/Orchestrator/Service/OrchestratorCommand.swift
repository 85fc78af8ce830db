internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import LinuxNS
internal import Orchestrator

struct OrchestratorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "orchestrator", abstract: "Fleets of zones from a manifest.",
    subcommands: [
      ApplyCommand.self, PlanCommand.self, PsCommand.self, LogsCommand.self, EventsCommand.self, DownCommand.self,
      FieldsCommand.self, DaemonCommand.self, BalanceCommand.self,
    ])

  /// VOCABULARY's exit statuses: 0, 1 failed, 2 usage; an error is one line.
  static func main() async {
    umask(0o022)  // modes are what the code says
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let error as FleetError {
      var prefix = "orchestrator: "
      if case .manifest = error { prefix = "" }  // FILE:LINE:COLUMN: goes first, as editors expect it
      Terminal.error(prefix + error.description)
      Foundation.exit(1)
    } catch {
      // Help and version are no failures; everything else that the parser throws is usage.
      if exitCode(for: error) == .success { exit(withError: error) }
      let words = message(for: error)
      Terminal.error("orchestrator: \(words.prefix(1).lowercased())\(words.dropFirst()) (see orchestrator help)")
      Foundation.exit(2)
    }
  }
}

/// Where the zones lie, on every command.
struct PlaceOptions: ParsableArguments {
  @Option(name: .customLong("root"), help: ArgumentHelp("Keep everything below DIR.", valueName: "dir"))
  var root: String?

  func client() throws -> FleetClient {
    let place = try Place(root: root)
    return FleetClient(
      directories: place.directories, executable: try Place.executable(),
      daemonArguments: ["daemon"] + (place.root.map { ["--root", $0] } ?? []))
  }
}

enum ManifestSource {
  /// The manifest named as an argument or by -f; standard input is `-`.
  static func read(_ argument: String?, _ option: String?) throws -> Manifest {
    guard let path = option ?? argument, option == nil || argument == nil else {
      throw ValidationError(
        argument == nil
          ? "name a manifest: orchestrator apply fleet.yaml" : "two manifests were named: \(argument!) and \(option!)")
    }
    return try Manifest.read(
      path: path, workingDirectory: FileManager.default.currentDirectoryPath,
      environment: ProcessInfo.processInfo.environment)
  }
}
