internal import Dispatch
internal import Foundation
internal import LayerUnpacking
internal import Orchestrator

/// Where the program begins. Not async: who unpacks a layer makes namespaces, which takes a process of one thread
/// (unshare(2)), and the first task begins others.
@main enum Entry {
  static func main() {
    let words = CommandLine.arguments
    if words.count > 1, let status = hidden(words[1], Array(words.dropFirst(2))) { exit(status) }
    Task {
      await OrchestratorCommand.main()
      exit(0)
    }
    dispatchMain()
  }

  /// Programs that are ours alone to start.
  /// - Returns: nil for other words.
  private static func hidden(_ word: String, _ arguments: [String]) -> Int32? {
    switch word {
    case "unpack": UnpackProgram.run(arguments)
    case "joint": JointProgram.run()
    case "pack": PackProgram.run()
    case "copy": PackProgram.copy()
    case "fold": PackProgram.fold()
    case "compare": CompareProgram.run()
    case "compare-stacks": CompareProgram.stacks()
    case "machine": MachineProgram.run()
    case "rebase": RebaseProgram.run()
    case "pack-tree": VolumeProgram.pack()
    case "copy-tree": VolumeProgram.copy()
    case "swap": VolumeProgram.swap()
    case "disk": DiskProgram.run()
    case "hold": HoldProgram.run(arguments)
    case "remove-after": RemovalProgram.run(arguments)
    case "decode": DecodeProgram.run()
    case "bring": BringProgram.run(arguments)
    case "zonectl": HandedOver.run(arguments)
    default: nil
    }
  }
}
