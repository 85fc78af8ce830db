import Foundation
import Glibc
import LinuxNS
import Synchronization
import Testing

@testable import ZoneRuntime

/// How an end is told, and what clean-up ends. In-process: nothing but processes of ours runs.
@Suite(.serialized, .ends(within: 1)) struct EndTests {
  private func exit(code: Int = 0, signal: Int = 0, oom: Bool, asked: Bool = false) throws -> ZoneExit {
    let text =
      "{\"version\":1,\"phase\":\"ended\",\"keeper\":1,\"init\":2,\"process\":3,\"started\":4,\"ended\":5,\"code\":\(code),"
      + "\"signal\":\(signal),\"oom\":\(oom),\"asked\":\(asked)}"
    return try #require(try JSON.decode(KeeperRecord.self, from: Array(text.utf8), name: "keeper").exit)
  }

  /// A child that was killed for memory, and a command that went on and ended well.
  @Test func anEndByItselfIsNotTheOOMKillers() throws {
    #expect(try !exit(code: 0, oom: true).oomKilled)
    #expect(try !exit(code: 137, oom: true).oomKilled)
    #expect(try !exit(signal: 15, oom: true).oomKilled)
    #expect(try !exit(signal: 9, oom: false).oomKilled)
    #expect(try !exit(signal: 9, oom: true, asked: true).oomKilled)
    #expect(try exit(signal: 9, oom: true).oomKilled)
  }

  @Test func whoStaysIsToldTheSame() {
    let message = { (code: UInt8, signal: UInt8, oom: UInt8) in
      KeeperMessage([UInt8(ascii: "X"), code, 0, 0, 0, signal, 0, 0, 0, oom, 0, 0, 0][...])
    }
    for (code, signal, oom, told) in [
      (0, 0, 1, false), (137, 0, 1, false), (0, 15, 1, false), (0, 9, 1, true), (0, 9, 0, false),
    ] as [(UInt8, UInt8, UInt8, Bool)] {
      guard case .exit(_, _, let oomKilled)? = message(code, signal, oom) else {
        Issue.record("no exit")
        continue
      }
      #expect(oomKilled == told, "code \(code), signal \(signal), oom \(oom)")
    }
  }

  private func with(_ spec: ZoneSpec, _ body: (Zones, ZoneFiles) throws -> Void) throws {
    try withTemporaryFolder { folder in
      let zones = Zones(try Directories.standard(root: folder))
      try zones.create(spec)
      let files = try zones.files(spec.name)
      try FileSystem.makeDirectories(files.run, mode: 0o700)
      try body(zones, files)
    }
  }

  private func record(_ process: ProcessIdentity? = nil) throws -> RunRecord {
    var record = RunRecord(
      bootId: try RunRecord.bootId(), tier: .single, uids: [], gids: [], namespaces: 0, capabilities: CapabilitySet())
    record.initProcess = process
    return record
  }

  @Test func anInitThatOutlivedItsKeeperIsEnded() throws {
    try with(ZoneSpec(name: "a")) { zones, files in
      let child = try Command("sleep", "1000").start()
      try files.writeRecord(try record(try ProcessIdentity.of(child.pid)))
      try zones.halt("a")
      #expect(eventually { !child.isRunning })
    }
  }

  @Test func anotherProcessOfThatNumberIsNot() throws {
    try with(ZoneSpec(name: "a")) { zones, files in
      let child = try Command("sleep", "1000").start()
      var other = try ProcessIdentity.of(child.pid)
      other.started -= 1
      try files.writeRecord(try record(other))
      try zones.halt("a")
      #expect(!eventually(timeout: 0.3) { !child.isRunning })
    }
  }

  /// A zone that has ended, whose start fails before anything is made: its user is not there.
  private func withOneThatCannotStartAgain(_ policy: RestartPolicy, _ body: (Zones) throws -> Void) throws {
    var spec = ZoneSpec(name: "a")
    spec.restart = policy
    spec.network = .none
    spec.user = "nobody-knows-him"
    try with(spec) { zones, files in
      try files.writeRecord(try record())
      try files.writeKeeper(
        KeeperRecord(
          version: 1, phase: .ended, keeper: getpid(), init: 2, process: 3, started: 1, ended: 2, code: 1, signal: 0,
          oom: false,
          asked: false))
      try body(zones)
    }
  }

  @Test(.needs(.root)) func aStartThatFailsIsTriedAgainUntilItIsStopped() throws {
    try withOneThatCannotStartAgain(.always) { zones in
      let ended = Flag()
      let thread = Thread {
        try? zones.zoneEnded("a")
        ended.set()
      }
      thread.start()
      var last: ZoneStatus?
      let twice = try eventually(timeout: 20) {
        last = try zones.status("a")
        return (last?.restarts ?? 0) >= 2 && last?.why != nil
      }
      #expect(twice && last?.state == .down, "\(last?.state.rawValue ?? "none") after \(last?.restarts ?? 0)")
      #expect(last?.why?.contains("nobody-knows-him") == true, "\(last?.why ?? "")")
      #expect(last?.exit?.code == 1)
      #expect(!ended.isSet)
      try zones.stop("a")
      #expect(eventually { ended.isSet })
      #expect(try zones.status("a").state == .installed)
    }
  }

  @Test(.needs(.root)) func triesAreCountedWherePolicyCountsThem() throws {
    try withOneThatCannotStartAgain(.onFailure(limit: 2)) { zones in
      try zones.zoneEnded("a")
      #expect(try zones.status("a").state == .installed)
      #expect(try zones.status("a").exit?.code == 1)
    }
  }
}

private final class Flag: Sendable {
  private let value = Mutex(false)
  var isSet: Bool { value.withLock { $0 } }
  func set() { value.withLock { $0 = true } }
}
