internal import Dispatch
internal import Foundation
internal import LayerUnpacking
internal import Orchestrator

/// Where the program begins. Not async: who unpacks a layer makes namespaces, which takes a process of one thread
/// (unshare(2)), and the first task begins others.
@main enum Entry {
  static func main() {
    let words = CommandLine.arguments
    if words.count > 1, words[1] == "unpack" { exit(UnpackProgram.run(Array(words.dropFirst(2)))) }
    if words.count > 1, words[1] == "joint" { exit(JointProgram.run()) }
    if words.count > 1, words[1] == "pack" { exit(PackProgram.run()) }
    if words.count > 1, words[1] == "copy" { exit(PackProgram.copy()) }
    if words.count > 1, words[1] == "compare" { exit(CompareProgram.run()) }
    if words.count > 1, words[1] == "hold" { exit(HoldProgram.run(Array(words.dropFirst(2)))) }
    if words.count > 1, words[1] == "decode" { exit(DecodeProgram.run()) }
    if words.count > 1, words[1] == "bring" { exit(BringProgram.run(Array(words.dropFirst(2)))) }
    if words.count > 1, words[1] == "zonectl" { exit(HandedOver.run(Array(words.dropFirst(2)))) }
    Task {
      await OrchestratorCommand.main()
      exit(0)
    }
    dispatchMain()
  }
}
