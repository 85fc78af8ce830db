import Foundation
import Testing

/// C programs of the tests.
enum CProgram {
  private static let folder = Zonectl.packageRoot + "/.build/attacks"

  /// Builds it, where its source or what it includes is newer; where it lies.
  static func build(_ source: String, as name: String, _ flags: [String]) throws -> String {
    let built = "\(folder)/\(name)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let age = { (path: String) in
      (try? FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date) ?? .distantPast
    }
    let header = "\(Zonectl.packageRoot)/Tests/attacks/attack.h"
    if age(built) <= max(age(source), age(header)) {
      let outcome = try Command(["gcc", "-O1", "-Wall", "-Werror"] + flags + ["-o", built + ".new", source]).run()
      guard outcome.status == 0 else { throw CommandFailed(outcome: outcome) }
      try? FileManager.default.removeItem(atPath: built)
      try FileManager.default.moveItem(atPath: built + ".new", toPath: built)
    }
    return built
  }
}

/// A C program of Tests/attacks, built static, so that it runs in a zone that has no library.
enum Attack {
  /// Builds it, where its source is newer, and copies it into `folder`; the copy's path.
  /// - Parameter kind: a way of building other than the plain one, and the end of the file's name.
  static func build(_ name: String, _ kind: (name: String, flags: [String]) = ("", []), into target: String) throws
    -> String
  {
    let source = "\(Zonectl.packageRoot)/Tests/attacks/\(name).c"
    let name = name + kind.name
    let built = try CProgram.build(source, as: name, kind.flags.isEmpty ? ["-static"] : kind.flags)
    let copy = "\(target)/\(name)"
    if FileManager.default.fileExists(atPath: copy) { return copy }
    try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: built, toPath: copy)
    return copy
  }
}

/// A root directory with a static busybox in it, for `dir:` zones.
enum BusyboxRoot {
  /// Makes the tree at `path`. Nothing in it belongs to anybody but its maker.
  static func make(at path: String) throws {
    for folder in ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "root", "var"] {
      try FileManager.default.createDirectory(atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
    }
    let busybox = Command.find("busybox") ?? "/bin/busybox"
    try FileManager.default.copyItem(atPath: busybox, toPath: path + "/bin/busybox")
    for applet in try Command.text(busybox, "--list").split(separator: "\n") where applet != "busybox" {
      // Not symbolic ones: ext4 looks long for an inode that nobody had of late, and a run makes a hundred such roots.
      try FileManager.default.linkItem(atPath: path + "/bin/busybox", toPath: "\(path)/bin/\(applet)")
    }
    try "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n".write(
      toFile: path + "/etc/passwd", atomically: false, encoding: .utf8)
    try "root:x:0:\nnogroup:x:65534:\n".write(toFile: path + "/etc/group", atomically: false, encoding: .utf8)
  }
}

extension Zonectl {
  /// The option that shows the attack programs in a zone, at /attacks.
  func attacks(_ names: String...) throws -> [String] {
    for name in names { _ = try Attack.build(name, into: folder + "/attacks") }
    return ["-v", "\(folder)/attacks:/attacks:ro"]
  }

  /// Runs an attack in a throw-away zone; what it printed.
  func attack(_ name: String, _ arguments: [String] = [], options: [String] = []) throws -> Report {
    let words = ["run", "--rm", "--network", "none"] + (try attacks(name)) + options
    let outcome = try command(words + ["--", "/attacks/\(name)"] + arguments).run()
    guard outcome.status == 0, !outcome.lines.isEmpty else { throw CommandFailed(outcome: outcome) }
    return Report(lines: outcome.lines)
  }
}

/// What an attack printed: lines of `NAME: refused ERRNO`, `NAME: DONE`, and facts.
struct Report {
  var lines: [String]
  var done: [String] { lines.filter { $0.contains(": DONE") } }
  /// The errno that a try was refused with; nil where it was not tried or not refused.
  func refusal(_ name: String) -> String? {
    lines.first { $0.hasPrefix("\(name): refused ") }.map { String($0.dropFirst("\(name): refused ".count)) }
  }
}
