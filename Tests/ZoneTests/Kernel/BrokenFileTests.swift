import Foundation
import Glibc
import LinuxNS
import Testing

/// The same through `zonectl`: what is no file, no text, of another version, or larger than memory should bear.
@Suite(.serialized, .needs(.root), .ends(within: 2)) struct BrokenFileTests {
  enum Break: String, CaseIterable { case empty, zeros, binary, huge, deep, version, directory, pipe, link }

  private func make(_ how: Break, _ path: String) throws {
    try FileSystem.removeTree(path)
    try FileSystem.makeDirectories(FileSystem.parent(of: path), mode: 0o700)
    let write = { (bytes: [UInt8]) throws in
      try FileSystem.write(bytes, to: try OwnedFD.open(path, O_WRONLY | O_CREAT, mode: 0o600))
    }
    switch how {
    case .empty: try write([])
    case .zeros: try write([UInt8](repeating: 0, count: 4096))
    case .binary: try write((0..<4096).map { UInt8(truncatingIfNeeded: $0 * 167 + 13) })
    case .huge:
      try write(Array("{\"version\":1,\"x\":\"".utf8))
      truncate(path, 20 << 30)  // a hole
    case .deep: try write([UInt8](repeating: UInt8(ascii: "["), count: 1_000_000))
    case .version: try write(Array("{\"version\":99}".utf8))
    case .directory: try FileSystem.makeDirectories(path + "/in")
    case .pipe: mkfifo(path, 0o600)
    case .link: symlink("/dev/zero", path)
    }
  }

  @Test(arguments: ["data/a/spec.json", "data/a/exit.json", "run/a/state.json", "run/a/keeper.json"], Break.allCases)
  func oneZoneIsUnavailable(file: String, how: Break) throws {
    try Zonectl.with { zones in
      zones.timeout = 10
      try zones.make("a", "installed")
      try zones.make("b", "installed")
      let path = "\(zones.root)/\(file)"
      try make(how, path)
      let found = try zones.list()
      #expect(found.map(\.name) == ["a", "b"])
      #expect(found.last?.state == "installed")
      // Without a record of the start the keeper's word is of no use either, but it is one that nobody can read.
      #expect(found.first?.state == "unavailable")
      #expect(found.first?.why?.contains(path) == true, "\(found.first?.why ?? "")")
      #expect(try zones.ok("show", "a").out.contains(path))
      let refusal = try zones.refused("delete", "--yes", "a")
      #expect(refusal.contains("unavailable") && refusal.contains("--force"), "\(refusal)")
      try zones.ok("halt", "a")
      #expect(try zones.state("a") == (file.hasSuffix("spec.json") ? "unavailable" : "installed"))
      try zones.ok("delete", "--force", "--yes", "a")
      #expect(try zones.list().map(\.name) == ["b"])
      try zones.ok("delete", "--yes", "b")
    }
  }

  /// What has the name of a zone's directory and is none.
  @Test(arguments: ["data/a", "run/a"]) func aFileInADirectorysPlace(place: String) throws {
    try Zonectl.with { zones in
      try zones.make("b", "installed")
      try "x".write(toFile: "\(zones.root)/\(place)", atomically: false, encoding: .utf8)
      #expect(try zones.list().map(\.name) == ["a", "b"])
      try zones.ok("halt", "a")
      try zones.run("delete", "--force", "--yes", "a")
      #expect(try zones.list().map(\.name) == ["b"])
      try zones.make("a", "installed")
    }
  }

  @Test func theUnreadableLastEndIsKept() throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed")
      try "half".write(toFile: zones.root + "/data/a/exit.json", atomically: false, encoding: .utf8)
      let outcome = try zones.ok("halt", "a")
      #expect(outcome.err.contains("exit.json"), "\(outcome)")
      #expect(contents(zones.root + "/data/a/exit.json.unreadable") == "half")
    }
  }

  @Test func bootTellsOfASpecThatItCannotRead() throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed")
      try "{".write(toFile: zones.root + "/data/a/spec.json", atomically: false, encoding: .utf8)
      #expect(try zones.refused("boot", "--all").contains("spec.json"))
    }
  }
}
