import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// An import and a prune that are killed, fail, run beside each other or find the disk full: the next try makes a store equal
/// to one that was never disturbed.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
struct ImageFaultTests {
  /// What is done, at whose Nth call something happens.
  enum Verb: String, CaseIterable, CustomStringConvertible {
    case importing = "import"
    case prune

    var description: String { rawValue }

    func words(_ stand: ImageStand) -> [String] {
      self == .importing
        ? ["zonectl", "--root", stand.place, "image", "import", "\(stand.made)/box", "localhost/box:v1"]
        : ["zonectl", "--root", stand.place, "image", "prune"]
    }

    /// What is there before it.
    func prepare(_ stand: ImageStand) throws {
      try FileSystem.removeTree(stand.place)
      guard self == .prune else { return }
      try stand.ok("image", "import", "\(stand.made)/full")
      try stand.ok("image", "import", "\(stand.made)/saved.tar", "localhost/box:v1")
      try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    }

    /// Again, and nobody is in its way.
    func finish(_ stand: ImageStand) throws {
      if self == .importing { try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1") }
      try stand.ok("image", "prune")
    }
  }

  /// Calls by their numbers. Without brk(2) there is no memory, and without futex(2) no waiting: no program goes on then, and
  /// what counts is what it has left.
  #if arch(arm64)
    private static let vital: Set<Substring> = ["214", "98"]
    private static let writing = 64
    private static let making: Set<Substring> = ["32", "34"]
  #else
    private static let vital: Set<Substring> = ["12", "202"]
    private static let writing = 1
    private static let making: Set<Substring> = ["73", "83", "258"]
  #endif

  /// The numbers of the verb's own calls that can fail, from the first one that makes something on.
  private func calls(_ verb: Verb, _ stand: ImageStand) throws -> Range<Int> {
    try verb.prepare(stand)
    let outcome = try Command.run(
      try stand.tracer(), ["-a", "-o", "\(stand.folder)/told", "--", Command.orchestrator] + verb.words(stand),
      timeout: 120)
    try #require(outcome.status == 0, "\(outcome)")
    return Self.own(try String(contentsOfFile: "\(stand.folder)/told", encoding: .utf8))
  }

  /// Of what the tracer told the program's own calls: before them is the C and Swift libraries' beginning.
  static func own(_ told: String) -> Range<Int> {
    let calls = told.split(separator: "\n")
    let first = calls.firstIndex { making.contains($0.split(separator: " ")[1]) } ?? calls.count / 3
    return (first + 1)..<(calls.count + 1)
  }

  /// - Parameter hit: what the tracer told of the call that it made fail.
  static func isVital(_ hit: String) -> Bool {
    hit.split(separator: "\n").last?.split(separator: " ").last.map(vital.contains) ?? false
  }

  private func walk(_ verb: Verb, _ option: String, count: Int) throws {
    let stand = try ImageStand()
    let calls = try calls(verb, stand)
    try verb.finish(stand)
    let expected = try stand.contents()
    var hits = 0
    let step = max(1, calls.count / count)
    for number in stride(from: calls.lowerBound, to: calls.upperBound, by: step) {
      try verb.prepare(stand)
      let outcome = try Command.run(
        try stand.tracer(),
        ["-a", "-o", "\(stand.folder)/told", option, "0:\(number)", "--", Command.orchestrator] + verb.words(stand),
        timeout: 120)
      let hit = try String(contentsOfFile: "\(stand.folder)/told", encoding: .utf8)
      if !hit.isEmpty { hits += 1 }
      let at = "\(verb) \(option) \(number) (call \(hit.trimmingCharacters(in: .whitespacesAndNewlines))): \(outcome)"
      if option == "-k" {
        #expect(hit.isEmpty || outcome.status == 128 + SIGKILL || outcome.status == SIGKILL, "\(at)")
      } else if outcome.status != 0, !Self.isVital(hit) {
        #expect(outcome.status == 1, "\(at)")
        let last = outcome.errors.split(separator: "\n").last ?? ""
        // Where the line itself cannot be written, there is none.
        #expect(last.hasPrefix("zonectl: ") || hit.hasSuffix(" \(Self.writing)\n"), "\(at)")
      }
      // Whatever has happened, what is there can be told.
      try stand.ok("image", "list")
      try verb.finish(stand)
      #expect(try stand.contents() == expected, "\(at)")
    }
    #expect(hits > 0)
  }

  @Test(arguments: Verb.allCases) func whatIsKilledIsDoneByTheNextTry(_ verb: Verb) throws {
    try walk(verb, "-k", count: 5)
  }

  @Test(arguments: Verb.allCases) func whatFailsIsDoneByTheNextTry(_ verb: Verb) throws {
    try walk(verb, "-e", count: 3)
  }

  @Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 60))
  struct LongImageFaultTests {
    @Test(arguments: Verb.allCases, ["-k", "-e"]) func everyCall(_ verb: Verb, _ option: String) throws {
      try ImageFaultTests().walk(verb, option, count: 150)
    }
  }

  // MARK: beside each other

  @Test func importersOfOneImageMakeOneStore() throws {
    let stand = try ImageStand()
    try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    try stand.ok("image", "import", "\(stand.made)/two", "localhost/two")
    try stand.ok("image", "prune")
    let expected = try stand.contents()
    for _ in 0..<4 {
      try FileSystem.removeTree(stand.place)
      let one = "'\(Command.zonectl)' --root '\(stand.place)' image import made"
      try stand.sh(
        """
        pids=; for i in 1 2 3; do \(one)/box localhost/box:v1 & pids="$pids $!"; \(one)/two localhost/two & pids="$pids $!"; done
        for pid in $pids; do wait $pid; done
        """, timeout: 120)
      try stand.ok("image", "prune")
      #expect(try stand.contents() == expected)
    }
  }

  // MARK: a full disk

  @Test func aFullDiskIsToldAndTheNextTryGoesOn() throws {
    let stand = try ImageStand()
    try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    let expected = try stand.contents()
    try FileSystem.removeTree(stand.place)
    try FileSystem.makeDirectories(stand.place, mode: 0o700)
    defer { _ = try? Command.run("/bin/umount", [stand.place]) }
    var size = 48
    try stand.sh("mount -t tmpfs -o size=\(size)k,mode=700 tmpfs place")
    var failures = 0
    while true {
      let outcome = try stand.zonectl(["image", "import", "\(stand.made)/box", "localhost/box:v1"])
      if outcome.status == 0 { break }
      failures += 1
      #expect(outcome.status == 1 && outcome.errors.contains("ENOSPC"), "\(size): \(outcome)")
      try #require(size < 4096)
      size += 8
      try stand.sh("mount -o remount,size=\(size)k place")
    }
    #expect(failures > 1)
    try stand.ok("image", "prune")
    #expect(try stand.contents() == expected)
  }
}
