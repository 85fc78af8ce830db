import ArgumentParser
import Orchestrator

@main
struct OrchestratorCommand: AsyncParsableCommand {
  func run() async throws {}
}
