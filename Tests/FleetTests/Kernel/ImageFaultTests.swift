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

  /// write(2).
  #if arch(arm64)
    private static let writing = "64"
  #else
    private static let writing = "1"
  #endif

  private func walk(_ verb: Verb, _ option: String, count: Int) throws {
    let stand = try ImageStand()
    let walk = CallWalk(stand, [Command.orchestrator] + verb.words(stand))
    try verb.prepare(stand)
    let calls = try walk.calls()
    try verb.finish(stand)
    let expected = try stand.contents()
    try walk.stop(option, at: calls, count: count, "\(verb)", before: { try verb.prepare(stand) }) { stop in
      let outcome = stop.outcome
      if option == "-k" {
        #expect(
          stop.call == nil || outcome.status == 128 + SIGKILL || outcome.status == SIGKILL, "\(stop.words)")
      } else if outcome.status != 0, !stop.isVital {
        let last = outcome.errors.split(separator: "\n").last ?? ""
        // Where the line itself cannot be written, there is none.
        #expect(last.hasPrefix("zonectl: ") || stop.call == Self.writing[...], "\(stop.words)")
      }
      // Whatever has happened, what is there can be told.
      try stand.ok("image", "list")
      try verb.finish(stand)
      #expect(try stand.contents() == expected, "\(stop.words)")
    }
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
