import Foundation
import PackagePlugin

/// Compiles the free-standing stage (Sources/CLinuxNS/Stage) and hands it to LinuxNS as a Swift source,
/// so that `swift build` alone makes everything.
@main
struct EmbedStage: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let package = context.package.directoryURL
    let stage = package.appending(path: "Sources/CLinuxNS/Stage")
    let shared = package.appending(path: "Sources/CLinuxNS/include")
    let output = context.pluginWorkDirectoryURL.appending(path: "StageImage.swift")
    let files = try FileManager.default.contentsOfDirectory(at: stage, includingPropertiesForKeys: nil)
      .filter { ["c", "h", "S"].contains($0.pathExtension) }
      .sorted { $0.path < $1.path }
    return [
      .buildCommand(
        displayName: "Compiling the stage",
        executable: try context.tool(named: "stage-embedder").url,
        arguments: [output.path, shared.path] + files.filter { $0.pathExtension != "h" }.map(\.path),
        inputFiles: files + [shared.appending(path: "stage_plan.h")],
        outputFiles: [output])
    ]
  }
}
