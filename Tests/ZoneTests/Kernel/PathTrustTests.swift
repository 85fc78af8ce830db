import Foundation
import Glibc
import LinuxNS
import Testing

/// Places that somebody else could lead elsewhere: no verb works there, and one line says what to do.
@Suite(.serialized, .needs(.root, .ordinaryUser), .ends(within: 2)) struct PathTrustTests {
  private static let verbs = [
    ["list"], ["show", "a"], ["create", "b"], ["configure", "b"], ["start", "a"], ["ready", "a"], ["halt", "a"],
    ["stop", "a"], ["delete", "--yes", "a"], ["run", "--rm", "--", "true"], ["exec", "a", "true"],
    ["set", "a", "pids=5"],
    ["logs", "a"], ["wait", "a"], ["boot", "--all"],
  ]
  private var user: OrdinaryUser { OrdinaryUser.found! }

  private func with(_ body: (Zonectl) throws -> Void) throws {
    try Zonectl.with { zones in
      try zones.make("a", "installed")
      defer {
        chown(zones.folder, 0, 0)
        chmod(zones.folder, 0o755)
        chmod(zones.root + "/data", 0o700)
      }
      try body(zones)
      chown(zones.folder, 0, 0)
      chmod(zones.folder, 0o755)
      chmod(zones.root + "/data", 0o700)
      #expect(try zones.list().map(\.name) == ["a"])
    }
  }

  @Test(arguments: verbs) func everyVerbLooksAtTheAncestors(verb: [String]) throws {
    try with { (zones) throws in
      chmod(zones.folder, 0o777)
      let line = try zones.refused(verb, status: ["run", "exec"].contains(verb[0]) ? 125 : 1)
      #expect(line.hasSuffix("others may write to \(zones.folder) (chmod go-w \(zones.folder))"), "\(line)")
    }
  }

  @Test func aGroupIsOthersToo() throws {
    try with { (zones) throws in
      chmod(zones.folder, 0o775)
      #expect(try zones.refused("list").contains("chmod go-w \(zones.folder)"))
    }
  }

  @Test func aStickyAncestorIsFine() throws {
    try with { (zones) throws in
      chmod(zones.folder, 0o1777)
      try zones.ok("list")
      try zones.make("b", "installed")
      try zones.ok("delete", "--yes", "b")
    }
  }

  @Test func anAncestorOfSomebodyElseIsNot() throws {
    try with { (zones) throws in
      chown(zones.folder, user.uid, user.gid)
      #expect(try zones.refused("list").contains("\(zones.folder) belongs to uid \(user.uid)"))
    }
  }

  @Test func aLinkIsAsGoodAsItsOwnerAndItsTarget() throws {
    try with { (zones) throws in
      let (link, real) = (zones.folder + "/link", zones.folder + "/real")
      mkdir(real, 0o755)
      symlink("real", link)
      let list: () throws -> Outcome = {
        var command = zones.command(["list"])
        command.argv = [zones.folder + "/zonectl", "--root", link + "/zones", "list"]
        return try command.run()
      }
      #expect(try list().status == 0)
      chmod(real, 0o777)
      #expect(try list().err.contains("others may write to \(real) "))
      chmod(real, 0o755)
      lchown(link, user.uid, user.gid)
      #expect(try list().err.contains("the link \(link) belongs to uid \(user.uid)"))
      #expect(try list().status == 1)
    }
  }

  /// What a zone of root's leaves with a set-uid bit is harmless only where nobody else comes near it.
  @Test func theDataOfZonesIsClosedToOthers() throws {
    try with { (zones) throws in
      for mode: UInt32 in [0o711, 0o755, 0o750, 0o701] {
        chmod(zones.root + "/data", mode)
        let line = try zones.refused("list")
        #expect(line.contains("chmod 700 \(zones.root)/data"), "mode \(String(mode, radix: 8)): \(line)")
      }
    }
  }

  /// A zone's files are put there by the host: a zone's root could have made the same.
  @Test func nobodyReachesASetUidFileOfAZone() throws {
    try with { (zones) throws in
      let volume = zones.root + "/data/.shared/volumes/data"
      try FileSystem.makeDirectories(volume, mode: 0o755)
      chmod(zones.root + "/data/.shared/volumes", 0o711)
      for place in [volume, zones.root + "/data/a/root/srv", zones.root + "/data/a/root/var/tmp"] {
        let file = place + "/id"
        try Command.text("cp", "/usr/bin/id", file)
        chmod(file, 0o4755)
        // By a shell: setpriv(1) itself still has powers of root when it executes.
        let outcome = try Command(OrdinaryUser.prefix + ["sh", "-c", "exec \(file) -u"]).run()
        #expect(outcome.status == 126 || outcome.status == 127 || outcome.status == 1, "\(outcome)")
        #expect(outcome.text != "0", "\(outcome)")
      }
    }
  }

  @Test func whoNamesAReachablePlaceIsTold() throws {
    try with { (zones) throws in
      let tree = zones.folder + "/tree"
      mkdir(tree, 0o755)
      let create = { (name: String, options: [String]) throws -> String in
        try zones.ok(["create", "--network", "none"] + options + [name, "--", "true"]).err
      }
      #expect(try create("c", ["-v", "\(tree):/x"]).contains("can reach \(tree)"))
      #expect(try create("d", ["-v", "\(tree):/x:ro"]).isEmpty)
      #expect(try create("e", ["-v", "data:/x"]).isEmpty)
      #expect(try create("f", ["--image", "dir:\(tree)"]).contains("can reach \(tree)"))
      chmod(tree, 0o700)
      #expect(try create("g", ["--image", "dir:\(tree)"]).isEmpty)
      for name in ["c", "d", "e", "f", "g"] { try zones.ok("delete", "--yes", name) }
    }
  }

  @Test func aPlaceInTheWayIsTold() throws {
    try with { (zones) throws in
      var command = zones.command([])
      command.argv = [zones.folder + "/zonectl", "--root", zones.folder + "/zonectl/x", "list"]
      let outcome = try command.run()
      #expect(outcome.status == 1 && outcome.err.contains("\(zones.folder)/zonectl is not a directory"), "\(outcome)")
    }
  }

  @Test(arguments: ["XDG_DATA_HOME", "XDG_RUNTIME_DIR"]) func anOrdinaryUsersPlacesToo(variable: String) throws {
    try Zonectl.with(.ordinaryUser) { (zones) throws in
      let open = zones.folder + "/open"
      mkdir(open, 0o777)
      chmod(open, 0o777)
      chown(open, user.uid, user.gid)
      var command = zones.command([])
      command.argv = zones.prefix + [zones.folder + "/zonectl", "list"]
      command.environment["XDG_DATA_HOME"] = zones.folder + "/share"
      command.environment["XDG_RUNTIME_DIR"] = zones.folder + "/runtime"
      #expect(try command.run().status == 0)
      command.environment[variable] = open + "/below"
      #expect(try command.run().err.contains("others may write to \(open) "))
      chmod(open, 0o755)
      chown(open, 0, 0)
      #expect(try command.run().status == 0)
    }
  }

  /// Every start asks.
  @Test func lookingCostsNextToNothing() throws {
    let least = try (0..<200).map { _ -> UInt64 in
      let begun = Clock.monotonicNanoseconds()
      for place in ["/var/lib/zones", "/run/zones"] { _ = try FileSystem.distrust(of: place) }
      return Clock.monotonicNanoseconds() - begun
    }.min()
    #expect(least.map { Double($0) < 50_000 * Patience.factor } == true, "\(least ?? 0) ns")
  }
}
