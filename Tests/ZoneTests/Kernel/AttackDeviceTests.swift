import Foundation
import Glibc
import Testing

/// Device nodes in what a zone is given: none may be opened, wherever it lies.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("busybox"), .program("gcc")), .ends(within: 5))
struct AttackDeviceTests {
  private static func plant(_ paths: String...) throws {
    for path in paths {
      try FileManager.default.createDirectory(
        atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      try Command.text("mknod", "-m", "666", path, "c", "1", "5")
    }
  }

  private func expectRefused(_ outcome: Outcome, _ what: String) {
    let report = Report(lines: outcome.lines)
    #expect(report.lines.first == "control: opened" && report.lines.last == "end", "\(what): \(outcome)")
    #expect(report.done.isEmpty, "\(what): \(report.done)")
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser], [[], ["--cap-add", "ALL", "--nesting"]])
  func aNodeInATreeOrAVolumeIsNotOpened(who: Zonectl.Who, power: [String]) throws {
    try Zonectl.with(who) { zones in
      let root = zones.folder + "/rootfs"
      let volume = zones.folder + "/volume"
      try BusyboxRoot.make(at: root)
      try Self.plant(
        root + "/planted", root + "/deep/er/planted", root + "/bin/planted", volume + "/planted",
        volume + "/deep/planted")
      for folder in ["/mounted", "/data", "/named"] { mkdir(root + folder, 0o755) }
      mkdir(volume + "/mounted", 0o755)
      mkdir(root + "/attacks", 0o755)
      // The tree is not the user's, who can make no mount point in it.
      try "".write(toFile: root + "/single", atomically: false, encoding: .utf8)
      // A mount of the host's in the tree and in the volume: root's zones do not see it, a user's see it with all else.
      zones.privateMounts = [root, volume].map {
        "mount -t tmpfs -o mode=755 tmpfs \($0)/mounted; mknod -m 666 \($0)/mounted/planted c 1 5"
      }.joined(separator: "\n")
      let options = [
        "run", "--rm", "--network", "none", "--image", "dir:\(root)", "-v", "\(volume):/data", "-v", "named:/named",
        "-v",
        "\(volume)/planted:/single",
      ]
      // The named volume is made by its first use.
      try zones.ok(options + ["--", "/bin/true"])
      try Self.plant("\(zones.root)/data/.shared/volumes/named/planted")
      let paths = [
        "/planted", "/deep/er/planted", "/bin/planted", "/mounted/planted", "/data/planted", "/data/deep/planted",
        "/data/mounted/planted",
        "/named/planted", "/single",
      ]
      let words = options + power + (try zones.attacks("devices")) + ["--", "/attacks/devices"] + paths
      let outcome = try zones.ok(words)
      expectRefused(outcome, "\(power)")
      let report = Report(lines: outcome.lines)
      for path in paths where !path.contains("mounted") {
        #expect(report.refusal("open \(path)") == "EACCES", "\(outcome)")
      }
    }
  }

  /// What lasts of a sparse zone lies on the host's disk as well.
  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func aNodeInWhatLastsIsNotOpened(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let attacks = try zones.attacks("devices")
      let folders = ["home", "root", "srv", "var", "local", "etc"]
      let paths = folders.map { $0 == "local" ? "/usr/local/planted" : "/\($0)/planted" }
      try zones.make("a", "installed", ["--network", "none"] + attacks, command: ["/attacks/devices"] + paths)
      for folder in folders { try Self.plant("\(zones.root)/data/a/root/\(folder)/planted") }
      try zones.ok("start", "a")
      try zones.expect("a", becomes: "installed")
      let log = try zones.ok("logs", "a")
      expectRefused(log, "sparse")
      for path in paths { #expect(Report(lines: log.lines).refusal("open \(path)") == "EACCES", "\(log)") }
    }
  }
}
