import Foundation
import Glibc
import Testing

/// Nothing is left: `.machine` compares mounts, cgroups, links, rules, sysctls, processes and files around each case.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 5)) struct LeakTests {
  @Test func fiveZonesOfEveryKind() throws {
    try Zonectl.with { zones in
      try LeakTests.startAndDelete(zones, count: 5)
      #expect(LeakTests.left(zones) == [])
    }
  }

  @Test func runsThatEnd() throws {
    try Zonectl.with { zones in
      let before = try Machine.snapshot()
      for number in 0..<5 {
        #expect(try zones.run("run", "--rm", "--network", "none", "--", "sh", "-c", "exit \(number)").status == number)
      }
      try before.expectNoLeak()
      #expect(LeakTests.left(zones) == [])
    }
  }

  /// A start that cannot be, and the status that tells so.
  static let failing: [([String], Int32)] = [
    (["--", "/no/such/program"], 127), (["--", "no-such-program"], 127), (["--", "/etc/passwd"], 126),
    (["--", "/usr"], 126), (["-v", "/no/such/folder:/srv", "--", "true"], 125),
    (["--image", "dir:/no/such/root", "--", "true"], 125), (["--workdir", "relative", "--", "true"], 125),
    (["-u", "no-such-user", "--", "true"], 125), (["--secret", "key=/no/such/file", "--", "true"], 125),
    (["--hostname", "with a blank", "--", "true"], 125), (["--cap-add", "NO_SUCH", "--", "true"], 125),
  ]

  @Test(arguments: failing)
  func aStartThatFailsLeavesNothing(words: [String], status: Int32) throws {
    try Zonectl.with { zones in
      let before = try Machine.snapshot()
      let outcome = try zones.command(["run", "--rm", "--network", "none"] + words).run()
      #expect(outcome.status == status || (status == 125 && outcome.status == 2), "\(outcome)")
      #expect(outcome.err.split(separator: "\n").count == 1, "an error is one line: \(outcome)")
      #expect(try zones.list().isEmpty)
      try before.expectNoLeak()
      #expect(LeakTests.left(zones) == [])
    }
  }

  @Test func aPortThatIsTakenLeavesNothing() throws {
    try Zonectl.with { zones in
      try zones.ok("run", "-d", "--name", "a", "-p", "18080:80", "--", "sleep", "infinity")
      let before = try Machine.snapshot()
      let line = try zones.refused("run", "--rm", "--name", "b", "-p", "18080:81", "--", "true", status: 125)
      #expect(line.contains("18080") && line.contains("a"), "\(line)")
      try before.expectNoLeak()
      #expect(try zones.state("a") == "running")
    }
  }

  /// Zones with network, ports, volumes, limits and secrets, started, executed in, and deleted.
  static func startAndDelete(_ zones: Zonectl, count: Int) throws {
    try "hidden".write(toFile: zones.folder + "/secret", atomically: false, encoding: .utf8)
    mkdir(zones.folder + "/shared", 0o755)
    let before = try Machine.snapshot()
    let names = (1...count).map { "leak\($0)" }
    for (index, name) in names.enumerated() {
      try zones.ok(
        "create", "-p", "\(20000 + index):80", "-v", "data\(index):/data", "-v", "\(zones.folder)/shared:/shared",
        "--memory", "128M", "--pids", "100", "--cpu-shares", "512", "--secret", "key=\(zones.folder)/secret",
        "--tmpfs", "/scratch:1M", name, "--", "sleep", "infinity")
      try zones.ok("start", name)
      #expect(try zones.ok("exec", name, "cat", "/run/secrets/key").text == "hidden")
    }
    #expect(try zones.list().allSatisfy { $0.state == "running" })
    #expect(Set(try zones.list().flatMap { $0.addresses ?? [] }).count >= count, "each has an address of its own")
    for (index, name) in names.enumerated() where index % 2 == 0 { try zones.ok("stop", "--timeout", "1", name) }
    for name in names { try zones.ok("delete", "--force", "--yes", name) }
    #expect(try zones.list().isEmpty)
    try before.expectNoLeak(timeout: 10 + Double(count) / 10)
  }

  /// Files below the root, now that there is no zone. Volumes outlive their zones, and data/.shared holds what is made
  /// once for all of them (the filter that was compiled, the template of /etc), run/.shared/id-ranges/next the number of
  /// the range leased last; nothing in them may tell of a zone. run/.shared/events is history, and bounded.
  static func left(_ zones: Zonectl) -> [String] {
    guard let walk = FileManager.default.enumerator(atPath: zones.root) else { return [] }
    var found: [String] = []
    for case let path as String in walk {
      if path.contains("leak") { found.append(path) }
      if path.hasPrefix("data/.shared/") || path.hasSuffix("lock") || path == "run/.shared/id-ranges/next" { continue }
      if path == "run/.shared/events" { continue }
      if walk.fileAttributes?[.type] as? FileAttributeType != .typeDirectory { found.append(path) }
    }
    return found
  }
}

@Suite(.serialized, .machine, .needs(.root), .ends(within: 30)) struct LongLeakTests {
  @Test func aHundredZones() throws {
    try Zonectl.with { zones in
      try LeakTests.startAndDelete(zones, count: 100)
      #expect(LeakTests.left(zones) == [])
    }
  }

  @Test func threeHundredRuns() throws {
    try Zonectl.with { zones in
      let before = try Machine.snapshot()
      for _ in 0..<300 { try zones.ok("run", "--rm", "--network", "none", "--", "true") }
      try before.expectNoLeak()
      #expect(LeakTests.left(zones) == [])
    }
  }
}
