import Foundation
import Glibc
import Testing
import ZoneRuntime

/// What happened, as `zonectl events` tells it.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser), .ends(within: 5))
struct EventsTests {
  @Test func aZonesLifeIsTold() throws {
    try Zonectl.with { zones in
      try zones.ok("create", "--network", "none", "a", "--", "sleep", "1000")
      try zones.ok("ready", "a")
      try zones.ok("start", "a")
      try zones.ok("pause", "a")
      try zones.ok("resume", "a")
      try zones.ok("stop", "a")
      try zones.ok("delete", "--yes", "a")
      let run = try zones.run("run", "--rm", "--name", "b", "--network", "none", "--", "sh", "-c", "exit 7")
      #expect(run.status == 7)
      let told = try events(zones)
      #expect(
        told.map { "\($0.zone) \($0.kind.rawValue)" } == [
          "a created", "a ready", "a started", "a paused", "a resumed", "a ended", "a deleted", "b started", "b ended",
        ])
      #expect(told.last?.exit?.code == 7)
      #expect(zip(told, told.dropFirst()).allSatisfy { $0.at <= $1.at })
      #expect(try events(zones, "b").count == 2 && events(zones, "--tail", "1").map { $0.zone } == ["b"])
      let words = try zones.ok("events", "--tail", "1").out
      #expect(words.hasSuffix("Z  b  ended  7\n"), "\(words)")
    }
  }

  @Test func anEndThatNobodySawIsToldAsThat() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      try zones.ok("create", "--network", "none", "--restart", "on-failure:1", "c", "--", "sh", "-c", "exit 3")
      try zones.ok("start", "c")
      let keeper = try #require(try zones.status("a")?.keeper)
      try #require(kill(keeper, SIGKILL) == 0)
      #expect(eventually { (try? zones.run("halt", "a").status) == 0 })
      let end = try #require(try events(zones, "a").last)
      #expect(end.kind == .ended && end.exit == nil)
      #expect(try zones.ok("events", "--tail", "1", "a").out.contains("its keeper was killed"))
      // One start by us, one by the keeper.
      let again = try eventually { try events(zones, "c").count { $0.kind == .ended } == 2 }
      #expect(again)
      #expect(try events(zones, "c").filter { $0.kind == .started }.map { $0.restarts } == [nil, 1])
    }
  }

  @Test func whatComesIsTold() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let follower = try zones.command(["events", "-f", "-o", "json", "a"]).start()
      defer {
        kill(follower.pid, SIGKILL)
        _ = try? follower.finish(timeout: 5)
      }
      #expect(follower.readUntil { $0.contains("\"started\"") })
      // The file it reads is rotated away meanwhile.
      try FileManager.default.moveItem(
        atPath: zones.root + "/run/.shared/events", toPath: zones.root + "/run/.shared/events.1")
      try zones.ok("stop", "a")
      #expect(follower.readUntil { $0.contains("\"ended\"") })
      #expect(try events(zones, "a").map { $0.kind } == [.created, .started, .ended], "both files count")
    }
  }

  /// A file of a megabyte is set aside, once.
  @Test func theJournalIsBounded() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let path = zones.root + "/run/.shared/events"
      let line = try #require(contents(path)?.split(separator: "\n").first) + "\n"
      try String(repeating: String(line), count: (1 << 20) / line.utf8.count).write(
        toFile: path, atomically: false, encoding: .utf8)
      for _ in 0..<3 {
        try zones.ok("pause", "a")
        try zones.ok("resume", "a")
      }
      var old = stat()
      var new = stat()
      #expect(stat(path + ".1", &old) == 0 && old.st_size >= 1 << 20)
      #expect(stat(path, &new) == 0 && new.st_size < 4096)
      #expect(
        try events(zones, "--tail", "6").map { $0.kind } == [.paused, .resumed, .paused, .resumed, .paused, .resumed])
    }
  }

  /// Nobody else may write what is told, or read it.
  @Test func itIsItsOwnersAlone() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      var status = stat()
      #expect(lstat(zones.root + "/run/.shared/events", &status) == 0 && status.st_mode & 0o777 == 0o600)
    }
  }

  @Test func aSandboxIsNamedById() throws {
    try Developer.with { (me) throws in
      let asked = try me.inside(
        ["--id", "build-8", "--network", "allow=one.example:443"],
        "python3 -c 'import socket; s = socket.create_connection((\"127.0.0.1\", 3128)); s.sendall(b\"CONNECT two.example:443 HTTP/1.1\\r\\n\\r\\n\"); print(s.recv(12))'"
      )
      #expect(asked.out.contains("403"), "\(asked)")
      let told = try me.zones.ok("events", "-o", "json", "build-8").text.split(separator: "\n").compactMap {
        Journal.event(ArraySlice(Array($0.utf8)))
      }
      #expect(told.map { $0.kind } == [.started, .denied, .ended], "\(told)")
      #expect(told.count == 3 && told[1].denial?.name == "two.example:443")
    }
  }

  private func events(_ zones: Zonectl, _ words: String...) throws -> [ZoneEvent] {
    let text = try zones.ok(["events", "-o", "json"] + words).out
    return text.split(separator: "\n").compactMap { Journal.event(ArraySlice(Array($0.utf8))) }
  }
}
