import Foundation
import Glibc
import LinuxNS
import Testing

/// `delete` of what a hostile or unlucky zone has left in its root. The host puts it there, as a zone could have: no zone
/// runs, so the machine is not touched.
@Suite(.serialized, .needs(.root), .ends(within: 5)) struct TreeRemovalTests {
  /// An installed zone, and the folder of its root that it writes to as /srv.
  private func zone(_ zones: Zonectl) throws -> String {
    try zones.make("a", "installed")
    return zones.root + "/data/a/root/srv"
  }

  private func deleted(_ zones: Zonectl, sourceLocation: SourceLocation = #_sourceLocation) throws {
    try zones.ok("delete", "--yes", "a", sourceLocation: sourceLocation)
    #expect(access(zones.root + "/data/a", F_OK) != 0, sourceLocation: sourceLocation)
  }

  @Test func namesThatAreNoText() throws {
    try Zonectl.with { zones in
      let top = try zone(zones)
      try Command.text(
        "sh", "-c",
        "cd \(top); d=$(printf 'x\\377\\376'); mkdir \"$d\"; echo 1 > \"$d/$(printf '\\300\\n1')\"; mkdir \"$d/$(printf '\\355\\240\\200')\""
      )
      try deleted(zones)
    }
  }

  @Test func fiftyThousandNestedDirectories() throws {
    try Zonectl.with { zones in
      let top = try zone(zones)
      defer { try? FileSystem.removeTree(top) }  // Foundation's own removal takes minutes for it
      try nest(50_000, in: top)
      // Few descriptors and a small stack: neither may grow with the depth.
      var command = zones.command(["delete", "--yes", "a"])
      command.argv = ["prlimit", "--nofile=64:64", "--stack=1048576:1048576"] + command.argv
      command.timeout = 120  // 1.3 s of work, and what the disk's other users leave of it
      zones.timeout = 120
      let outcome = try command.run()
      #expect(outcome.status == 0, "\(outcome)")
      #expect(access(zones.root + "/data/a", F_OK) != 0)
    }
  }

  /// Directories with a file each, one in the other; half way down also a wide one.
  private func nest(_ depth: Int, in top: String) throws {
    var folder = try OwnedFD.open(top, O_RDONLY | O_DIRECTORY)
    for level in 0..<depth {
      try FileSystem.call("mkdirat", "d") { mkdirat(folder.raw, "d", 0o700) }
      if level == depth / 2 {
        for number in 0..<200 { try FileSystem.call("mkdirat", "w") { mkdirat(folder.raw, "w\(number)", 0o700) } }
      }
      if level % 500 == 0 { _ = try OwnedFD.openat(folder.raw, "f", O_WRONLY | O_CREAT, mode: 0o600) }
      folder = try OwnedFD.openat(folder.raw, "d", O_RDONLY | O_DIRECTORY)
    }
  }

  private func refusedWhile(_ path: String, has flag: String, _ zones: Zonectl) throws {
    try Command.text("chattr", "+\(flag)", path)
    let line = try zones.refused("delete", "--yes", "a")
    try Command.text("chattr", "-\(flag)", path)
    #expect(line.contains("\(path):") && line.contains("chattr -\(flag)"), "\(line)")
    try deleted(zones)
  }

  @Test(arguments: ["i", "a"]) func aFlaggedFileIsNamedAndTheMendTold(flag: String) throws {
    try Zonectl.with { zones in
      let top = try zone(zones)
      try FileSystem.makeDirectories(top + "/deep/er")
      try "x".write(toFile: top + "/deep/er/kept", atomically: false, encoding: .utf8)
      try refusedWhile("\(top)/deep/er/kept", has: flag, zones)
    }
  }

  @Test func aFlaggedDirectoryIsNamedNotItsFile() throws {
    try Zonectl.with { zones in
      let top = try zone(zones)
      try FileSystem.makeDirectories(top + "/flagged")
      try "x".write(toFile: top + "/flagged/file", atomically: false, encoding: .utf8)
      try refusedWhile("\(top)/flagged", has: "i", zones)
    }
  }

  /// Also of the same file system, where the device's number tells nothing.
  @Test func nothingBelowAMountPointIsTouched() throws {
    try Zonectl.with { zones in
      let top = try zone(zones)
      let others = zones.folder + "/others"
      try FileSystem.makeDirectories(top + "/inner/mounted")
      try FileSystem.makeDirectories(others + "/folder")
      try "x".write(toFile: others + "/folder/file", atomically: false, encoding: .utf8)
      zones.privateMounts = "mount --bind \(others) \(top)/inner/mounted"
      let line = try zones.refused("delete", "--yes", "a")
      zones.privateMounts = nil
      #expect(line.contains(top + "/inner/mounted") && line.contains("mounted"), "\(line)")
      #expect(contents(others + "/folder/file") == "x")
      try deleted(zones)
    }
  }

  @Test func aLinkIsRemovedAndNotItsTarget() throws {
    try Zonectl.with { zones in
      let top = try zone(zones)
      let others = zones.folder + "/others"
      try FileSystem.makeDirectories(others)
      try "x".write(toFile: others + "/file", atomically: false, encoding: .utf8)
      symlink(others, top + "/link")
      try deleted(zones)
      #expect(contents(others + "/file") == "x")
    }
  }

  /// Directories of his subordinate ids that their owner has closed to all.
  @Test(.needs(.ordinaryUser, .program("newuidmap"))) func closedDirectoriesOfMappedIds() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let top = try zone(zones)
      let first = try #require(
        (contents("/etc/subuid") ?? "").split(separator: "\n").first { $0.hasPrefix("\(OrdinaryUser.name):") }?
          .split(separator: ":").dropFirst().first)
      try Command.text(
        "sh", "-c",
        """
        cd \(top); mkdir -p a/b c own/x; echo x > a/b/file; echo x > c/file
        chown -R \(first):\(first) a; chown \(first):\(first) c own/x; chown \(OrdinaryUser.name) own
        chmod 700 a/b; chmod 0 a c own
        """)
      try deleted(zones)
    }
  }
}
