import Foundation
import Glibc
import Testing

/// A machine that has run short: of room on a disk, files, processes, descriptors, memory. What cannot be done is told in a
/// line with what can be done about it, leaves nothing, and no state is wrong; what needs nothing works all the same, above
/// all the verbs that end and delete; and the next command is as good as ever.
@Suite(.serialized, .machine, .needs(.root, .program("gcc"), .program("busybox")), .ends(within: 15))
struct ExhaustionTests {
  @Test(arguments: VerbWalk.zoneVerbs, ["data", "run"]) func aZonesDiskIsFull(verb: String, place: String) throws {
    try VerbWalk.zone(verb) { walk in
      for resource in ShortFileSystem.Resource.allCases { try Exhaustion.full(walk, place, resource) }
    }
  }

  @Test(arguments: VerbWalk.containerVerbs) func aContainersDiskIsFull(verb: String) throws {
    try VerbWalk.container(verb) { walk in
      for resource in ShortFileSystem.Resource.allCases { try Exhaustion.full(walk, "state", resource) }
    }
  }

  @Test(arguments: VerbWalk.zoneVerbs) func aZonesDiskIsReadOnly(verb: String) throws {
    try VerbWalk.zone(verb) { try Exhaustion.readOnly($0, ["data", "run"]) }
  }

  @Test(arguments: VerbWalk.containerVerbs) func aContainersDiskIsReadOnly(verb: String) throws {
    try VerbWalk.container(verb) { try Exhaustion.readOnly($0, ["state"]) }
  }

  /// The keeper lives with the limit that it was launched with: who speaks to it is served one after the other, and it
  /// does not turn in circles meanwhile.
  @Test func aKeeperWithoutDescriptorsServes() throws {
    try Zonectl.with { zones in
      try zones.ok("create", "--network", "none", "a", "--", "sleep", "infinity")
      let start = zones.command(["start", "a"])
      let least = try #require(
        try (16...256).first { try start.limited("nofile=\($0)", behind: 0).run().status == 0 })
      let keeper = try #require(try zones.status("a")?.keeper)
      let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(keeper)/fd").compactMap { Int($0) }
      // No number below the limit is free from now on.
      try Command.text("prlimit", "--pid", "\(keeper)", "--nofile=\((open.max() ?? 0) + 1)")
      let waiting = try (0..<6).map { _ in try zones.command(["wait", "a"]).start() }
      let before = try ticks(keeper)
      for _ in 0..<3 { #expect(try zones.run("exec", "a", "true").status == 0, "started with \(least) descriptors") }
      #expect(try ticks(keeper) - before < 20, "the keeper is busy with nothing")
      try zones.ok("delete", "--force", "--yes", "a")
      for one in waiting { _ = try one.finish() }
    }
  }

  /// RLIMIT_DATA: either the kernel cannot even load the program, or the program says that it has no memory left.
  @Test func aProgramsOwnMemoryIsUsedUp() throws {
    try Zonectl.with { zones in
      let variables = (0..<8).flatMap { ["-e", "A\($0)=" + String(repeating: "a", count: 60_000)] }
      for (verb, fails) in [("create", Int32(1)), ("run", 125)] {
        let name = verb == "run" ? ["--rm", "--name", "a"] : ["a"]
        let command = zones.command([verb, "--network", "none"] + variables + name + ["--", "true"])
        var told = 0
        var enough = false
        for bytes in stride(from: 256 << 10, to: 16 << 20, by: 64 << 10) where !enough {
          let outcome = try command.limited("data=\(bytes)", behind: 0).run()
          enough = outcome.status == 0
          let isLoaded = outcome.status != 128 + SIGSEGV || !outcome.err.isEmpty
          if !enough, isLoaded {
            told += 1
            // Until the command line is read, nobody knows which verb fails.
            #expect([fails, 1].contains(outcome.status), "\(verb) with \(bytes) bytes: \(outcome)")
            #expect(outcome.err.split(separator: "\n").count == 1, "\(verb) with \(bytes) bytes: \(outcome)")
            #expect(outcome.err.contains("memory"), "\(verb) with \(bytes) bytes: \(outcome)")
          }
          if try zones.status("a") != nil { try zones.ok("delete", "--force", "--yes", "a") }
          #expect(LeakTests.left(zones) == [], "\(verb) with \(bytes) bytes")
        }
        #expect(enough && told > 0, "\(verb) told of \(told) shortages")
      }
    }
  }

  /// Hundredths of a second that a process was on a CPU (proc_pid_stat(5)).
  private func ticks(_ pid: Int32) throws -> Int {
    let fields = (contents("/proc/\(pid)/stat") ?? "").split(separator: ")").last?.split(separator: " ") ?? []
    return try #require(fields.count > 12 ? Int(fields[11]) : nil) + (Int(fields[12]) ?? 0)
  }
}

/// The same for an ordinary user, whose processes are counted together.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc"), .program("busybox")), .ends(within: 15))
struct LongExhaustionUserTests {
  @Test(arguments: VerbWalk.zoneVerbs) func hisProcessesAreUsedUp(verb: String) throws {
    try VerbWalk.zone(verb, .ordinaryUser) { walk in
      try Exhaustion.until(walk, in: 1..<400, "EAGAIN") { count in
        walk.command.limited("nproc=\(count)", behind: OrdinaryUser.prefix.count)
      }
    }
  }

  @Test(arguments: VerbWalk.zoneVerbs) func hisDescriptorsAreUsedUp(verb: String) throws {
    try VerbWalk.zone(verb, .ordinaryUser) {
      try Exhaustion.descriptors($0, behind: OrdinaryUser.prefix.count, each: 5)
    }
  }

  @Test(arguments: VerbWalk.zoneVerbs, ["data", "run"]) func hisDiskIsFull(verb: String, place: String) throws {
    try VerbWalk.zone(verb, .ordinaryUser) { walk in
      for resource in ShortFileSystem.Resource.allCases {
        try Exhaustion.full(walk, place, resource, owner: OrdinaryUser.found)
      }
    }
  }
}

@Suite(.serialized, .machine, .needs(.root, .program("gcc"), .program("busybox")), .ends(within: 30))
struct LongExhaustionTests {
  @Test(arguments: VerbWalk.zoneVerbs) func aZonesDescriptorsAreUsedUp(verb: String) throws {
    try VerbWalk.zone(verb) { try Exhaustion.descriptors($0, each: 5) }
  }

  @Test(arguments: VerbWalk.containerVerbs) func aContainersDescriptorsAreUsedUp(verb: String) throws {
    try VerbWalk.container(verb) { try Exhaustion.descriptors($0, each: 5) }
  }

  @Test(arguments: VerbWalk.zoneVerbs) func aZonesProcessesAreUsedUp(verb: String) throws {
    try VerbWalk.zone(verb) { try Exhaustion.processes($0) }
  }

  @Test(arguments: VerbWalk.containerVerbs) func aContainersProcessesAreUsedUp(verb: String) throws {
    try VerbWalk.container(verb) { try Exhaustion.processes($0) }
  }

  @Test(arguments: VerbWalk.zoneVerbs) func aZonesMemoryIsUsedUp(verb: String) throws {
    try VerbWalk.zone(verb) { try Exhaustion.memory($0, each: 512 << 10) }
  }

  @Test(arguments: VerbWalk.containerVerbs) func aContainersMemoryIsUsedUp(verb: String) throws {
    try VerbWalk.container(verb) { try Exhaustion.memory($0, each: 512 << 10) }
  }

  @Test(arguments: VerbWalk.zoneVerbs, ["data", "run"])
  func oneOfAZonesDisksIsReadOnly(verb: String, place: String) throws {
    try VerbWalk.zone(verb) { try Exhaustion.readOnly($0, [place]) }
  }

  @Test(arguments: VerbWalk.zoneVerbs) func eachNumberOfDescriptorsOfAZone(verb: String) throws {
    try VerbWalk.zone(verb) { try Exhaustion.descriptors($0, each: 1) }
  }

  @Test(arguments: VerbWalk.containerVerbs) func eachNumberOfDescriptorsOfAContainer(verb: String) throws {
    try VerbWalk.container(verb) { try Exhaustion.descriptors($0, each: 1) }
  }

  @Test(arguments: VerbWalk.zoneVerbs) func everyFewPagesOfMemoryOfAZone(verb: String) throws {
    try VerbWalk.zone(verb) { try Exhaustion.memory($0, each: 32 << 10) }
  }

  @Test(arguments: VerbWalk.containerVerbs) func everyFewPagesOfMemoryOfAContainer(verb: String) throws {
    try VerbWalk.container(verb) { try Exhaustion.memory($0, each: 32 << 10) }
  }
}

private enum Exhaustion {
  /// What errors of a shortage advise to do.
  private static let advice = [
    "ENOSPC": "make room", "EROFS": "read-only", "EMFILE": "ulimit -n", "EAGAIN": "pids.max", "ENOMEM": "free memory",
  ]

  /// Judges one that was in want of something: it has done what it is to do, or told why not.
  /// - Parameter need: it has to do it.
  private static func judge(
    _ walk: VerbWalk, _ outcome: Outcome, _ error: String, _ what: String, need: Bool = false
  ) {
    #expect(!outcome.timedOut, "\(what) hangs: \(outcome)")
    guard outcome.status != walk.succeeds else { return }
    #expect(!need, "\(what): \(outcome)")
    // How it ended could not be written down either, which is told beside.
    let lines = walk.told(outcome).filter { !$0.contains("how zone") }
    #expect(outcome.status == walk.fails, "\(what): \(outcome)")
    #expect(lines.count == 1, "\(what): an error is one line: \(lines)")
    let line = lines.first ?? ""
    #expect(line.contains(advice[error] ?? error), "\(what): what is to be done? \(line)")
  }

  private static func end(_ walk: VerbWalk, _ what: String) throws {
    for wrong in try walk.after() { Issue.record("\(what): \(wrong)") }
    let left = VerbWalk.processes
    #expect(eventually(timeout: 5) { left().isEmpty }, "\(what) leaves \(left())")
  }

  /// With nothing left, with a little, and so on until it is enough.
  static func full(
    _ walk: VerbWalk, _ place: String, _ resource: ShortFileSystem.Resource, owner: OrdinaryUser? = nil
  ) throws {
    let path = try #require(walk.places[place])
    try ShortFileSystem.with(at: path, owner: owner.map { ($0.uid, $0.gid) } ?? (0, 0)) { files in
      // What is made once for all is there.
      try walk.works()
      var enough = false
      for left in 0..<60 where !enough {
        let what = "\(walk.name) with \(left) \(resource) left in \(place)"
        try walk.before()
        try files.leave(left, resource)
        let outcome = try walk.quietly(walk.command).run()
        // To end and to delete takes no room: an operator whose disk is full wants to.
        let need = ["exec", "stop", "halt", "delete", "kill"].contains(walk.name)
        judge(walk, outcome, "ENOSPC", what, need: need)
        enough = outcome.status == walk.succeeds
        // It is as true, and as well deleted, while there is no room.
        try end(walk, what)
        try files.relieve()
      }
      #expect(enough, "\(walk.name) never has enough \(resource) in \(place)")
      try walk.works()
    }
  }

  static func readOnly(_ walk: VerbWalk, _ places: [String]) throws {
    try walk.works()
    try walk.before()
    let what = "\(walk.name) with read-only \(places)"
    let paths = try places.map { try #require(walk.places[$0]) }
    let outcome = try walk.quietly(walk.command.readOnly(paths)).run()
    judge(walk, outcome, "EROFS", what)
    let untruths = try walk.untruths()
    #expect(untruths.isEmpty, "\(what)")
    try end(walk, what)
    try walk.works()
  }

  /// One try for each count, until it is enough.
  static func until(
    _ walk: VerbWalk, in counts: some Sequence<Int>, _ error: String, _ limited: (Int) -> Command
  ) throws {
    try walk.works()
    for count in counts {
      let what = "\(walk.name) with \(count)"
      try walk.before()
      let outcome = try walk.quietly(limited(count)).run()
      judge(walk, outcome, error, what)
      try end(walk, what)
      if outcome.status == walk.succeeds { return try walk.works() }
    }
    Issue.record("\(walk.name) has never enough")
  }

  static func descriptors(_ walk: VerbWalk, behind prefix: Int = 0, each: Int) throws {
    try until(walk, in: stride(from: 0, to: 300, by: each), "EMFILE") {
      walk.command.limited("nofile=\($0)", behind: prefix)
    }
  }

  static func processes(_ walk: VerbWalk) throws {
    try walk.works()
    for count in 1..<60 {
      let what = "\(walk.name) with \(count) processes"
      try walk.before()
      let outcome = try ShortGroup.with(.pids, count) { group in
        let outcome = try walk.quietly(group.around(walk.command)).run()
        judge(walk, outcome, "EAGAIN", what)
        try group.relieve()
        try end(walk, what)
        return outcome
      }
      if outcome.status == walk.succeeds { return try walk.works() }
    }
    Issue.record("\(walk.name) never has enough processes")
  }

  /// Here the kernel ends processes itself, and whose turn it is nobody can say: what is left then is as after any kill.
  static func memory(_ walk: VerbWalk, each: Int) throws {
    try walk.works()
    for bytes in stride(from: each, to: 32 << 20, by: each) {
      let what = "\(walk.name) with \(bytes >> 10) KiB of memory"
      try walk.before()
      let outcome = try ShortGroup.with(.memory, bytes) { group in
        let outcome = try walk.quietly(group.around(walk.command)).run()
        #expect(!outcome.timedOut, "\(what) hangs: \(outcome)")
        let wasKilled = outcome.status == 128 + SIGKILL || outcome.status == 128 + SIGSEGV
        if outcome.status != walk.succeeds, !wasKilled {
          #expect(outcome.status == walk.fails, "\(what): \(outcome)")
          #expect(walk.told(outcome).count == 1, "\(what): an error is one line: \(outcome)")
        }
        try group.relieve()
        // An ephemeral zone whose starter was killed is there, as it says.
        for wrong in try walk.after() where !(wasKilled && wrong.contains("is left")) {
          Issue.record("\(what): \(wrong)")
        }
        #expect(eventually(timeout: 5) { VerbWalk.processes().isEmpty }, "\(what) leaves \(VerbWalk.processes())")
        return outcome
      }
      if outcome.status == walk.succeeds { return try walk.works() }
    }
    Issue.record("\(walk.name) never has enough memory")
  }
}
