import Foundation
import Glibc
import Testing

/// Limits bite, and what they did is told.
@Suite(.serialized, .machine, .needs(.root), .ends(within: 5)) struct LimitTests {
  @Test func sharesOfThreeToOneGiveThreeToOne() throws {
    try Zonectl.with { zones in
      let busy = ["sh", "-c", "while :; do :; done"]
      try zones.make("big", "installed", ["--network", "none", "--cpuset", "0", "--cpu-shares", "3072"], command: busy)
      try zones.make(
        "small", "installed", ["--network", "none", "--cpuset", "0", "--cpu-shares", "1024"], command: busy)
      try zones.ok("start", "big", "small")
      let big = try #require(try zones.status("big")?.pid)
      let small = try #require(try zones.status("small")?.pid)
      let first = (big: cpuTicks(of: big), small: cpuTicks(of: small))
      // Six seconds of CPU time between them; a tick is a hundredth.
      #expect(eventually(timeout: 60) { cpuTicks(of: big) + cpuTicks(of: small) - first.big - first.small >= 600 })
      let ratio = Double(cpuTicks(of: big) - first.big) / Double(cpuTicks(of: small) - first.small)
      #expect(ratio > 2.7 && ratio < 3.3, "CPU time of big to small is \(ratio)")
    }
  }

  @Test func aZoneOfOneCpuRunsThereOnly() throws {
    try Zonectl.with { zones in
      let outcome = try zones.ok(
        "run", "--rm", "--network", "none", "--cpuset", "1", "--", "grep", "Cpus_allowed_list", "/proc/self/status")
      #expect(outcome.text.split(whereSeparator: \.isWhitespace).last == "1")
    }
  }

  @Test func aCapOfAFifthIsKept() throws {
    try Zonectl.with { zones in
      try zones.make(
        "a", "running", ["--network", "none", "--cpus", "0.2"], command: ["sh", "-c", "while :; do :; done"])
      let pid = try #require(try zones.status("a")?.pid)
      let begun = Date()
      let first = cpuTicks(of: pid)
      #expect(eventually(timeout: 30) { cpuTicks(of: pid) - first >= 60 })
      let share = Double(cpuTicks(of: pid) - first) / 100 / Date().timeIntervalSince(begun)
      #expect(share < 0.24, "it got \(share) of a CPU")
    }
  }

  @Test func tooMuchMemoryIsAnOOMKillAndToldAsSuch() throws {
    try Zonectl.with { zones in
      let program = try Attack.build("allocate", into: zones.folder + "/attacks")
      try zones.make("other")
      let neighbour = try #require(try zones.status("other")?.pid)
      try zones.make(
        "a", "installed", ["--network", "none", "--memory", "64M", "-v", "\(zones.folder)/attacks:/attacks:ro"],
        command: ["/attacks/\((program as NSString).lastPathComponent)", "256"])
      try zones.ok("start", "a")
      try zones.expect("a", becomes: "installed", timeout: 30)
      #expect(try zones.status("a")?.exit == Listed.Exit(code: nil, signal: Int(SIGKILL), oomKilled: true))
      #expect(try zones.ok("wait", "a").text == "137 oom-killed")
      for verb in ["show", "list"] {
        let said = try zones.ok(verb, "a").out.lowercased()
        #expect(said.contains("oom"), "\(verb) does not tell it: \(said)")
      }
      #expect(try zones.status("other")?.pid == neighbour, "nothing else is killed")
    }
  }

  @Test func whatFitsIsNotKilled() throws {
    try Zonectl.with { zones in
      _ = try Attack.build("allocate", into: zones.folder + "/attacks")
      let outcome = try zones.ok(
        "run", "--rm", "--network", "none", "--memory", "64M", "-v", "\(zones.folder)/attacks:/attacks:ro", "--",
        "/attacks/allocate", "32")
      #expect(outcome.text == "32 MiB")
    }
  }

  @Test func anOOMOfAChildIsNotTheZonesEnd() throws {
    try Zonectl.with { zones in
      _ = try Attack.build("allocate", into: zones.folder + "/attacks")
      try zones.make(
        "a", "running", ["--network", "none", "--memory", "64M", "-v", "\(zones.folder)/attacks:/attacks:ro"])
      let outcome = try zones.run("exec", "a", "/attacks/allocate", "256")
      #expect(outcome.status == 137, "\(outcome)")
      #expect(try zones.state("a") == "running")
    }
  }

  @Test func aForkBombStopsAtItsLimit() throws {
    try Zonectl.with { zones in
      _ = try Attack.build("forks", into: zones.folder + "/attacks")
      let outcome = try zones.ok(
        "run", "--rm", "--network", "none", "--pids", "40", "-v", "\(zones.folder)/attacks:/attacks:ro", "--",
        "/attacks/forks", "500")
      let words = outcome.text.split(separator: " ")
      let count = try #require(Int(words.first ?? ""))
      #expect(count > 20 && count <= 40, "\(outcome.text)")
      #expect(words.last == "EAGAIN")
    }
  }

  @Test func setChangesALimitOfARunningZone() throws {
    try Zonectl.with { zones in
      _ = try Attack.build("allocate", into: zones.folder + "/attacks")
      try zones.make(
        "a", "running", ["--network", "none", "--memory", "32M", "-v", "\(zones.folder)/attacks:/attacks:ro"])
      #expect(try zones.run("exec", "a", "/attacks/allocate", "64").status == 137)
      #expect(try zones.ok("set", "a", "memory=256M").out.contains("live"))
      #expect(try zones.run("exec", "a", "/attacks/allocate", "64").status == 0)
      try zones.ok("restart", "a")
      #expect(try zones.run("exec", "a", "/attacks/allocate", "64").status == 0, "it survives a restart")
    }
  }

  @Test func setAnswersForEachKey() throws {
    try Zonectl.with { zones in
      try zones.make("a")
      let answer = try zones.ok("set", "a", "cpus=0.5", "env.MODE=fast")
      #expect(answer.lines.count == 2)
      #expect(answer.lines.contains { $0.contains("cpus") && $0.contains("live") }, "\(answer)")
      #expect(answer.lines.contains { $0.contains("env.MODE") && $0.contains("restart") }, "\(answer)")
      #expect(try zones.run("set", "a", "cpus=0.7", "image=empty").status == 1)
      #expect(try zones.ok("show", "a").out.contains("0.5"), "where one is refused nothing is changed")
      try zones.ok("restart", "a")
      #expect(try zones.ok("exec", "a", "printenv", "MODE").text == "fast")
    }
  }

  /// A machine's CPUs may change between create and start, so the start is where it is refused.
  @Test func aCpuThatIsNotThereIsNamed() throws {
    try Zonectl.with { zones in
      let line = try zones.refused(
        "run", "--rm", "--network", "none", "--cpuset", "4000", "--", "true", status: 125)
      #expect(line.contains("4000"), "\(line)")
      #expect(try zones.list().isEmpty)
    }
  }

  @Test(arguments: [
    ("--memory", "lots"), ("--memory", "-1"), ("--memory", "0"), ("--cpus", "0"), ("--cpus", "many"), ("--pids", "0"),
    ("--cpuset", "1-"), ("--cpu-shares", "1"), ("--cpu-shares", "262145"),
  ])
  func aLimitThatIsNoneIsRefused(option: String, value: String) throws {
    try Zonectl.with { zones in
      let outcome = try zones.run("create", "--network", "none", option, value, "a", "--", "true")
      #expect([1, 2].contains(outcome.status), "\(outcome)")
      #expect(outcome.err.contains(value))
      #expect(try zones.list().isEmpty)
    }
  }
}

/// Limits that nobody delegated are refused, never left out.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .cgroupV1("memory"))) struct LimitOfAUserTests {
  @Test(arguments: [["--memory", "64M"], ["--pids", "10"], ["--cpus", "0.5"]])
  func aLimitWithoutADelegatedGroupIsRefused(option: [String]) throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let line = try zones.refused(["run", "--rm", "--network", "none"] + option + ["--", "true"], status: 125)
      #expect(line.contains("cgroup"), "\(line)")
      #expect(try zones.list().isEmpty)
    }
  }
}
