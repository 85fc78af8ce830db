import Foundation
import Glibc
import Testing

/// A keeper that somebody tries to hold up: its zone's end is noticed all the same, and every verb is answered.
@Suite(.serialized, .machine, .needs(.root, .program("gcc")), .ends(within: 10))
struct KeeperHoldTests {
  /// How the keeper is held.
  enum Hold: String, CaseIterable, Sendable {
    /// Every place for clients is taken, and more wait.
    case fullTable
    /// A client's input, which the command does not read; and the same when the client has gone and another has its place.
    case unreadInput, unreadInputOfOneWhoWent
    /// A client to whom the output is to be shown, and who does not read it.
    case deafReader
    /// A client who asks for more answers than his socket holds, and reads none; the same of a frozen zone's signals.
    case deafAsker, deafSignaller
    /// Another zone's process holds the other end of the output, and writes to it without end.
    case foreignWriter
  }

  enum End: CaseIterable, Sendable { case stop, halt, itself }

  /// A zone "a" whose keeper is held; what holds it lives as long as the result.
  private func hold(_ hold: Hold, _ zones: Zonectl) throws -> [AnyObject] {
    let path = "\(zones.root)/run/a/keeper.sock"
    switch hold {
    case .fullTable:
      try zones.make("a")
      return try (0..<80).map { _ in try KeeperClient(path) }
    case .unreadInput, .unreadInputOfOneWhoWent:
      // Input that is never written keeps its pipe open.
      let run = try zones.command(["run", "-i", "--network", "none", "--name", "a", "--", "sleep", "infinity"]).with(
        input: "x"
      ).start()
      try zones.expect("a", becomes: "running")
      let client = try KeeperClient(path)
      // More than a pipe and a socket hold: the last does not fit.
      #expect((5..<2000).contains(client.fill(with: [UInt8(ascii: "I")] + [UInt8](repeating: 46, count: 16000))))
      if hold == .unreadInput { return [run, client] }
      client.hangUp()
      return [run]
    case .deafReader:
      try zones.make("a", command: ["yes"])
      let client = try KeeperClient(path)
      client.send([UInt8(ascii: "A")])
      // Who reads slowly slows the zone: when its command is asleep, all is full.
      let pid = try #require(try zones.status("a")?.pid)
      try #require(eventually { contents("/proc/\(pid)/wchan")?.contains("pipe_write") == true })
      return [client]
    case .deafAsker:
      try zones.make("a")
      let client = try KeeperClient(path)
      #expect(client.fill(with: [UInt8(ascii: "?")], most: 20000) > 100)
      return [client]
    case .deafSignaller:
      try zones.make("a", "frozen", ["--network", "none"])
      let client = try KeeperClient(path)
      #expect(client.fill(with: [UInt8(ascii: "K"), UInt8(SIGCONT), 0, 0, 0], most: 20000) > 100)
      try zones.ok("resume", "a")
      return [client]
    case .foreignWriter:
      mkdir(zones.folder + "/shared", 0o777)
      chmod(zones.folder + "/shared", 0o777)
      let shared = ["--network", "none", "-v", "\(zones.folder)/shared:/shared"] + (try zones.attacks("hand"))
      try zones.make("b", "running", shared, command: ["/attacks/hand", "take", "/shared/socket"])
      try zones.make("a", "running", shared, command: ["/attacks/hand", "give", "/shared/socket"])
      try #require(try eventually { try zones.ok("logs", "b").out.contains("taken") })
      try #require(try eventually { try zones.ok("logs", "a").out.contains("....") })
      return []
    }
  }

  @Test(arguments: Hold.allCases, End.allCases) func nobodyHoldsItUp(how: Hold, end: End) throws {
    try Zonectl.with { zones in
      zones.timeout = 25
      let holders = try hold(how, zones)
      let begun = Date()
      #expect(try zones.state("a") == "running")
      #expect(try zones.run("exec", "a", "echo", "here").text == "here")
      #expect(Date().timeIntervalSince(begun) < 10, "list and exec are slow")
      switch end {
      case .stop: try zones.ok("stop", "--timeout", "0.5", "a")
      case .halt: try zones.ok("halt", "a")
      case .itself: kill(try #require(try zones.status("a")?.pid), SIGKILL)
      }
      try zones.expect("a", becomes: "installed", timeout: 20)
      withExtendedLifetime(holders) {}
    }
  }

  /// One who takes the last place of a full table may be put out by the next; who ends a zone is heard among many such.
  @Test func aZoneIsHaltedWhileManyKnock() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let path = "\(zones.root)/run/a/keeper.sock"
      let holders = try (0..<64).map { _ in try KeeperClient(path) }
      let knocking = Thread {
        while !Thread.current.isCancelled, (try? KeeperClient(path)) != nil {}
      }
      knocking.start()
      let halt = try zones.run("halt", "a")
      knocking.cancel()
      #expect(halt.status == 0, "\(halt)")
      try zones.expect("a", becomes: "installed")
      withExtendedLifetime(holders) {}
      #expect(eventually { knocking.isFinished })
    }
  }

  /// What a launch opened for the zone's tree is closed when the tree stands.
  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func theKeeperHoldsNoFileOfTheZones(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      let secret = zones.folder + "/secret"
      try "sesame".write(toFile: secret, atomically: false, encoding: .utf8)
      mkdir(zones.folder + "/volume", 0o755)
      let options = ["--network", "none", "--secret", "key=\(secret)", "-v", "\(zones.folder)/volume:/data"]
      try zones.make("a", "running", options)
      #expect(try zones.ok("exec", "a", "cat", "/run/secrets/key").text == "sesame")
      let keeper = try #require(try zones.status("a")?.keeper)
      let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(keeper)/fd").compactMap {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(keeper)/fd/\($0)")
      }
      #expect(open.contains { $0.contains("pidfd") }, "the look itself is wrong: \(open)")
      let files = open.filter { $0.hasPrefix("/") && !$0.hasPrefix("/dev/") && !$0.hasPrefix("/sys/fs/cgroup") }
      let own = [
        "\(zones.root)/run/a", "\(zones.root)/run/a/keeper.json", "\(zones.root)/data/a", "\(zones.root)/data/a/log",
        zones.folder + "/zonectl", "/",
      ]
      #expect(files.filter { !own.contains($0) } == [])
    }
  }
}

/// A connection to a keeper's socket that speaks as it likes.
final class KeeperClient: @unchecked Sendable {  // used by one thread at a time
  private var socket: Int32

  init(_ path: String) throws {
    socket = Glibc.socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    let error = errno
    guard result == 0 else {
      close(socket)
      throw SpawnFailed(program: path, errno: error)
    }
  }

  deinit { hangUp() }

  func hangUp() {
    if socket >= 0 { close(socket) }
    socket = -1
  }

  @discardableResult
  func send(_ bytes: [UInt8]) -> Bool { Glibc.send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count }

  /// Sends it again and again until none is taken for half a second, or `most` were; how many were.
  func fill(with bytes: [UInt8], most: Int = 2000) -> Int {
    var count = 0
    while count < most {
      var room = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
      guard poll(&room, 1, 500) > 0, room.revents & Int16(POLLOUT) != 0 else { break }
      let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
      guard Glibc.send(socket, bytes, bytes.count, flags) == bytes.count else { break }
      count += 1
    }
    return count
  }
}
