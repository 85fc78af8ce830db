import Foundation
import Glibc
import LinuxNS
import Testing

@testable import Orchestrator

/// manifests/hello.yaml on the real kernel, through the real programs, in a place of its own.
@Suite(.serialized, .enabled(if: geteuid() == 0, "a network of zones needs root")) struct HelloTests {
  let folder = Folder()
  private let manifests = Folder()
  private var manifest: String { "\(manifests.path)/hello.yaml" }

  private func orchestrator(_ words: String..., timeout: Double = 60) throws -> Command {
    try Command.run(Command.orchestrator, words + ["--root", folder.path], timeout: timeout)
  }

  private func rows() throws -> [String: ZoneRow] {
    let shown = try orchestrator("ps", "-o", "json")
    try #require(shown.status == 0, "\(shown)")
    let rows = try JSONDecoder().decode([ZoneRow].self, from: Data(shown.output.utf8))
    return Dictionary(uniqueKeysWithValues: rows.map { ($0.name, $0) })
  }

  private func fetch() throws -> String {
    let script = """
      use IO::Socket::INET;
      my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => 8080, Timeout => \(HelloManifest.later(5))) or die "connect: $!";
      print $s "GET / HTTP/1.0\\r\\n\\r\\n"; local $/; print <$s>;
      """
    return try Command.run("/usr/bin/perl", ["-e", script], timeout: 10).output
  }

  private func daemon() throws -> Int32 {
    let pids = try FileSystem.list("/proc").compactMap(Int32.init).filter { pid in
      guard let bytes = try? FileSystem.read("/proc/\(pid)/cmdline") else { return false }
      return String(decoding: bytes, as: UTF8.self).contains("orchestrator\0daemon\0--root\0\(folder.path)")
    }
    // A child of it has its words until it executes another program.
    let own = pids.filter { pid in
      guard let status = try? FileSystem.read("/proc/\(pid)/status") else { return false }
      let parent = String(decoding: status, as: UTF8.self).firstMatch(of: /\nPPid:\t(\d+)/).flatMap { Int32($0.1) }
      return parent.map { !pids.contains($0) } ?? true
    }
    try #require(own.count == 1, "one daemon, not \(own)")
    return own[0]
  }

  /// Answers from both replicas within a few requests, all of them good.
  private func bothAnswer() throws -> Bool {
    let answers = try (0..<6).map { _ in try fetch() }
    return answers.allSatisfy { $0.contains("200 OK") }
      && Set(answers.compactMap { $0.split(separator: "\n").last?.split(separator: ",").first }).count == 2
  }

  @Test func helloFromBeginningToEnd() throws {
    let before = try Traces.now([folder.path, "hello-"])
    try HelloManifest.text().write(toFile: manifest, atomically: true, encoding: .utf8)
    let planned = try orchestrator("plan", manifest)
    #expect(planned.status == 0 && planned.output.contains("hello-checker-1"), "\(planned)")
    #expect(try FileSystem.list(folder.path).isEmpty, "plan wrote something")

    let applied = try orchestrator("apply", manifest)
    defer { _ = try? orchestrator("down", "--volumes", "hello") }
    try #require(applied.status == 0, "\(applied)")
    #expect(try bothAnswer())
    let first = try rows()
    #expect(first.count == 3 && first.values.allSatisfy { $0.state == "running" && $0.health == .healthy }, "\(first)")
    let again = try orchestrator("apply", manifest)
    #expect(again.status == 0 && again.output == "hello: nothing to change\n", "\(again)")
    #expect(try rows().mapValues(\.pid) == first.mapValues(\.pid))
    #expect(
      try eventually(10) { try orchestrator("logs", "checker").output.contains("web answered: hello from hello-web-") })

    try secretStaysSecret()
    try aKilledProcessComesBack()
    try aKilledDaemonIsNotMissed()
    try aKilledKeeperIsNoticed()
    try changesChangeJustThat()

    let down = try orchestrator("down", "--volumes")
    #expect(down.status == 0, "\(down)")
    // A link goes with its namespace, which the kernel takes away in its own time.
    _ = try eventually(30) { try Traces.now([folder.path, "hello-"]) == before }
    let after = try Traces.now([folder.path, "hello-"])
    #expect(after == before)
    let left = try filesLeft(folder.path)
    #expect(left.isEmpty, "\(left)")
  }

  /// The standard directories, which other zones may use at the same time: what was there is there, and nothing new.
  @Test func nothingIsLeftInTheStandardDirectories() throws {
    let path = "\(folder.path)/small.yaml"
    let service = "{image: sparse, command: [sleep, infinity], volumes: [\"data:/data\"]}"
    try
      (WrongManifest.header.replacingOccurrences(of: "name: f", with: "name: leaves-nothing")
      + "  services: {a: \(service)}\n  volumes: {data: {}}\n").write(toFile: path, atomically: true, encoding: .utf8)
    let before = (try places(), try Traces.now(["leaves-nothing"]))
    let applied = try Command.run(Command.orchestrator, ["apply", path], timeout: 150)
    defer { _ = try? Command.run(Command.orchestrator, ["down", "--volumes", "leaves-nothing"]) }
    try #require(applied.status == 0, "\(applied)")
    #expect(try places().contains { $0.contains("leaves-nothing") })
    let down = try Command.run(Command.orchestrator, ["down", "--volumes", "leaves-nothing"])
    #expect(down.status == 0, "\(down)")
    _ = try eventually(30) { try places().isSubset(of: before.0) && Traces.now(["leaves-nothing"]) == before.1 }
    #expect(try places().subtracting(before.0).isEmpty)
    #expect(try Traces.now(["leaves-nothing"]) == before.1)
  }

  /// What in the standard places is of an orchestrator, or speaks of the fleet: leases and records by what they say.
  private func places() throws -> Set<String> {
    var found: Set<String> = []
    for folder in ["/var/lib/zones", "/run/zones"] {
      guard let walk = FileManager.default.enumerator(atPath: folder) else { continue }
      for case let name as String in walk {
        if name == ".shared/events" { continue }  // history
        if [".shared/etc", ".shared/seccomp"].contains(name) {  // caches
          walk.skipDescendants()
          continue
        }
        let text = (try? FileSystem.read("\(folder)/\(name)", limit: 1 << 20)).map {
          String(decoding: $0, as: UTF8.self)
        }
        if "\(name) \(text ?? "")".contains("leaves-nothing") || name.hasPrefix(".orchestrator") {
          found.insert("\(folder)/\(name)")
        }
      }
    }
    return found
  }

  private func secretStaysSecret() throws {
    let secret = try FileSystem.readLine("\(Command.root)/manifests/greeting.key")
    for words in [["events", "-o", "json"], ["ps", "-o", "json"], ["logs"]] {
      let shown = try Command.run(Command.orchestrator, words + ["--root", folder.path])
      #expect(shown.status == 0 && !shown.output.contains(secret), "\(words) tells the secret: \(shown)")
    }
    for name in try FileSystem.list("\(folder.path)/data/.orchestrator") {
      let bytes = try FileSystem.read("\(folder.path)/data/.orchestrator/\(name)", limit: 64 << 20)
      #expect(!String(decoding: bytes, as: UTF8.self).contains(secret), "\(name) holds the secret")
    }
  }

  private func aKilledProcessComesBack() throws {
    let old = try #require(try rows()["hello-web-1"])
    let pid = try #require(old.pid)
    kill(pid, SIGKILL)
    #expect(
      try eventually(5) {
        let now = try rows()["hello-web-1"]
        return now?.state == "running" && now?.pid != pid && now?.restarts == old.restarts + 1
      })
    #expect(try eventually(10) { try rows()["hello-web-1"]?.health == .healthy && bothAnswer() })
    let told = try orchestrator("events").output
    #expect(told.contains("zone.restarted  hello-web-1  started again by its policy"), "\(told)")
  }

  private func aKilledDaemonIsNotMissed() throws {
    let before = try rows()
    let pid = try daemon()
    kill(pid, SIGKILL)
    #expect(eventually(5) { !FileManager.default.fileExists(atPath: "/proc/\(pid)") })
    #expect(try bothAnswer(), "without a daemon")
    // One that dies meanwhile is started again by its keeper.
    let dead = try #require(before["hello-web-2"]?.pid)
    kill(dead, SIGKILL)
    #expect(try eventually(5) { try bothAnswer() }, "a zone that died while no daemon lived")
    let after = try rows()
    #expect(try daemon() != pid)
    #expect(after["hello-web-1"]?.pid == before["hello-web-1"]?.pid)
    #expect(after["hello-checker-1"]?.pid == before["hello-checker-1"]?.pid)
    #expect(after["hello-web-2"]?.restarts == (before["hello-web-2"]?.restarts ?? 0) + 1)
    #expect(try eventually(10) { try rows().values.allSatisfy { $0.health == .healthy } })
    #expect(try rows().mapValues(\.pid) == after.mapValues(\.pid), "started twice")
  }

  private func aKilledKeeperIsNoticed() throws {
    let show = try Command.run(Command.zonectl, ["list", "-o", "json", "--root", folder.path])
    let keeper = try #require(
      (try JSONSerialization.jsonObject(with: Data(show.output.utf8)) as? [[String: Any]])?
        .first { $0["name"] as? String == "hello-web-2" }?["keeper"] as? Int, "\(show)")
    let old = try #require(try rows()["hello-web-2"]?.pid)
    kill(Int32(keeper), SIGKILL)
    #expect(eventually(5) { !FileManager.default.fileExists(atPath: "/proc/\(old)") }, "the zone outlived its keeper")
    #expect(
      try eventually(10) {
        let row = try rows()["hello-web-2"]
        return row?.health == .healthy && row?.pid != old
      })
    let told = try orchestrator("events").output
    #expect(told.contains("zone.unavailable  hello-web-2"), "\(told)")
  }

  private func changesChangeJustThat() throws {
    let before = try rows()
    let text = try HelloManifest.text()
    let changed = "\(manifests.path)/changed.yaml"
    func apply(_ old: String, _ new: String) throws -> Command {
      try text.replacingOccurrences(of: old, with: new).write(toFile: changed, atomically: true, encoding: .utf8)
      return try orchestrator("apply", changed)
    }
    let more = try apply("replicas: 2", "replicas: 3")
    #expect(
      more.status == 0 && more.output.split(separator: "\n").count == 2 && more.output.contains("hello-web-3"),
      "\(more)")
    #expect(try before.allSatisfy { try rows()[$0.key]?.pid == $0.value.pid })
    let less = try apply("replicas: 2", "replicas: 2")
    #expect(less.status == 0 && less.output.split(separator: "\n").count == 2, "\(less)")
    #expect(try rows().mapValues(\.pid) == before.mapValues(\.pid))
    let variable = try apply("GREETING: hello", "GREETING: bonjour")
    #expect(variable.status == 0 && variable.output.split(separator: "\n").count == 3, "\(variable)")
    #expect(try fetch().contains("bonjour from"))
    #expect(try rows()["hello-checker-1"]?.pid == before["hello-checker-1"]?.pid)
  }

  @Test func aWrongManifestStartsNothing() throws {
    let path = "\(folder.path)/wrong.yaml"
    try (WrongManifest.header + "  services: {a: {imge: x}}\n").write(toFile: path, atomically: true, encoding: .utf8)
    let answer = try orchestrator("apply", path)
    #expect(answer.status == 1)
    #expect(answer.errors == "\(path):5:18: a service has no field 'imge'; did you mean 'image'?\n")
    #expect(try FileSystem.list(folder.path) == ["wrong.yaml"])
    #expect(try orchestrator("aply", path).status == 2)
  }
}
