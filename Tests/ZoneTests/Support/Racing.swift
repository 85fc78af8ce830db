/// Runs `body` while two paths are exchanged with each other without a pause, by a process of its own.
/// - Parameter helpers: a folder for its program.
func racing<Result>(_ one: String, _ other: String, helpers: String, _ body: () throws -> Result) throws -> Result {
  let swapper = try Command(try Attack.build("swap", into: helpers), one, other).start()
  guard swapper.readUntil({ $0.contains("swapping") }) else { throw CommandFailed(outcome: try swapper.finish()) }
  let result = try body()
  guard swapper.isRunning else { throw CommandFailed(outcome: try swapper.finish()) }
  return result
}
