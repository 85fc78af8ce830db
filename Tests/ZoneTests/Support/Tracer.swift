import Foundation
import Glibc

/// Tests/tracer/tracer.c: tells the system calls of a command, or stops it at one of them.
enum Tracer {
  /// Runs a command under it.
  /// - Returns: how the command ended, and what the tracer has told.
  static func run(
    _ command: Command, _ options: [String], behind prefix: Int, _ quietly: (Command) -> Command
  ) throws -> (Outcome, [Substring]) {
    let source = "\(Zonectl.packageRoot)/Tests/tracer/tracer.c"
    let built = try CProgram.build(source, as: "tracer", ["-static", "-Wextra"])
    let folder = command.directory ?? "/tmp"
    let tracer = "\(folder)/tracer"
    // Where an ordinary user can reach it; he cannot reach a build below root's home.
    if !FileManager.default.fileExists(atPath: tracer) {
      try FileManager.default.copyItem(atPath: built, toPath: tracer)
      chmod(tracer, 0o755)
    }
    let told = "/tmp/zones-test-trace.\(UUID().uuidString)"
    defer { unlink(told) }
    var traced = command
    traced.argv =
      command.argv[..<prefix] + [tracer, "-o", told] + options + ["--"] + command.argv[prefix...]
    let outcome = try quietly(traced).run()
    return (outcome, (contents(told) ?? "").split(separator: "\n"))
  }

  static func read(_ line: Substring) -> (process: String, call: String)? {
    let words = line.split(separator: " ")
    guard words.count == 2, let number = Int(words[1]) else { return nil }
    return (String(words[0]), names[number] ?? "call \(number)")
  }

  /// The names of the calls, from the kernel's header.
  private static let names: [Int: String] = {
    var command = Command("gcc", "-dM", "-E", "-x", "c", "-")
    command.input = Data("#include <sys/syscall.h>\n".utf8)
    var names: [Int: String] = [:]
    for line in (try? command.run())?.lines ?? [] where line.hasPrefix("#define __NR_") {
      let words = line.split(separator: " ")
      if words.count == 3, let number = Int(words[2]) { names[number] = String(words[1].dropFirst("__NR_".count)) }
    }
    return names
  }()
}
