import Foundation
import LinuxNS
import Testing

/// What the fuzz targets are begun with, and each input that once broke one: run by the same code as scripts/fuzz runs.
@Suite struct FuzzCorpusTests {
  struct Input: Sendable, CustomTestStringConvertible {
    let target: FuzzTarget
    let file: String
    var testDescription: String { "\(target.name)/\(file)" }
  }

  private static let folder = Zonectl.packageRoot + "/Tests/corpora"

  private static func files(_ name: String) -> [String] { ((try? FileSystem.list("\(folder)/\(name)")) ?? []).sorted() }

  private static let inputs: [Input] = FuzzTarget.all.flatMap { target in
    files(target.name).map { Input(target: target, file: $0) }
  }

  @Test(arguments: inputs)
  func everyInputThatIsKeptHoldsItsPromises(_ input: Input) throws {
    try input.target.run(FileSystem.read("\(Self.folder)/\(input.target.name)/\(input.file)"))
  }

  /// The stage is C, and no part of this program: its keeper is built beside what plays its kernel.
  private static let keeper = Result { () throws -> String in
    let built = "\(Zonectl.packageRoot)/.build/attacks/keeper-heard"
    try FileManager.default.createDirectory(
      atPath: FileSystem.parent(of: built), withIntermediateDirectories: true)
    let parts = Zonectl.packageRoot + "/Sources/CLinuxNS"
    let outcome = try Command([
      "gcc", "-DREPLAY", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-fno-builtin",
      "-fsanitize=address,undefined", "-fno-sanitize-recover", "-I", parts + "/include", "-I", parts + "/Stage", "-o",
      built, Zonectl.packageRoot + "/Tests/fuzz/hear.c",
    ]).run()
    guard outcome.status == 0 else { throw CommandFailed(outcome: outcome) }
    return built
  }

  @Test(.needs(.program("gcc")), arguments: files("keeper"))
  func theKeeperHearsEveryInputThatIsKept(_ file: String) throws {
    let outcome = try Command([try Self.keeper.get(), "\(Self.folder)/keeper/\(file)"]).run()
    #expect(outcome.status == 0, "\(outcome)")
  }

  @Test func everyTargetHasInputsAndTheirsAlone() {
    let names = FuzzTarget.all.map { $0.name } + ["keeper"]
    #expect(Self.files("") == names.sorted())
    for name in names { #expect(!Self.files(name).isEmpty, "\(name)") }
  }

  /// They are part of every clone, and of every run of the tests.
  @Test func whatIsKeptIsSmall() throws {
    var total = 0
    for input in Self.inputs {
      total += try FileSystem.read("\(Self.folder)/\(input.target.name)/\(input.file)").count
    }
    #expect(total < 400_000)
  }
}
