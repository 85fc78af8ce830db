import Foundation
import Glibc
import Testing

/// Profiles that make zones, and limits that were learned: with the real programs, as the ordinary user and as root.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc")), .ends(within: 5))
struct ProfileTests {
  private func path(_ me: Developer) -> String { me.zones.folder + "/profile" }

  private func write(_ text: String, _ me: Developer) throws {
    try text.write(toFile: path(me), atomically: true, encoding: .utf8)
  }

  /// A verb in the project, as its developer.
  private func verb(_ me: Developer, _ words: [String]) -> Command {
    var command = me.zones.command(words)
    command.directory = me.project
    command.environment["HOME"] = me.home
    for (name, value) in me.environment { command.environment[name] = value }
    return command
  }

  private func learn(_ me: Developer, _ options: [String], _ command: [String]) throws {
    let outcome = try verb(me, ["learn", "--output", path(me)] + options + ["--"] + command).run()
    try #require(outcome.status == 0, "\(outcome)")
  }

  /// What `show` says of a setting, a line each.
  private func shown(_ me: Developer, _ zone: String, _ key: String) throws -> [String] {
    let outcome = try verb(me, ["show", zone]).run()
    try #require(outcome.status == 0, "\(outcome)")
    return outcome.lines.filter { $0.hasPrefix("\(key):") }.map {
      $0.dropFirst(key.count + 1).trimmingCharacters(in: .whitespaces)
    }
  }

  @Test(arguments: [Zonectl.Who.ordinaryUser, .root]) func whatWasLearnedMakesAZone(who: Zonectl.Who) throws {
    try Developer.with(who) { (me) throws in
      try me.outside(
        """
        mkdir conf in out ~/.ssh; printf 'from=a\\nto=b\\n' > conf/settings; echo key > ~/.ssh/id_x
        for i in 1 2 3; do printf 'c\\na\\n' > in/$i.txt; done
        printf '#!/bin/sh\\n. ./conf/settings\\nsed "s/$from/$to/" "$1" | sort > "out/${1##*/}"\\n' > convert.sh
        chmod +x convert.sh
        """)
      try learn(me, [], ["./convert.sh", "in/1.txt"])
      let run = ["run", "--rm", "--profile", path(me), "-w", me.project, "--"]
      for number in 2...3 {
        let outcome = try verb(me, run + ["./convert.sh", "in/\(number).txt"]).run()
        #expect(outcome.status == 0, "\(outcome)")
        #expect(try me.outside("cat out/\(number).txt").lines == ["b", "c"])
      }
      let script = "cat \(me.home)/.ssh/id_x 2>&1; echo x > conf/new && echo TAKEN; ls \(me.home); ls /sys/class/net"
      let tried = try verb(me, run + ["sh", "-c", script]).run()
      #expect(!tried.out.contains("key") && !tried.out.contains("TAKEN"), "\(tried)")
      #expect(tried.lines.suffix(2) == ["project", "lo"], "\(tried)")
    }
  }

  @Test func optionsWinBindsAreJoinedAndTheSpecKeepsTheResult() throws {
    try Developer.with(.root) { (me) throws in
      try me.outside("mkdir in out more; echo one > in/file")
      try write("only\nro ./in\nrw ~/project/out\nmemory 64M\npids 50\nenv A=1\nenv B=2\nenv C\n", me)
      me.environment["C"] = "callers"
      let create = [
        "create", "a", "--profile", path(me), "--memory", "128M", "-e", "A=9", "-v", "\(me.project)/more:/more", "--",
        "sleep", "infinity",
      ]
      #expect(try verb(me, create).run().status == 0)
      let look = { (key: String) throws in try shown(me, "a", key) }
      let facts = { () throws in try ["volume", "memory", "pids", "env", "network"].map(look) }
      let before = try facts()
      let (inside, out) = (me.project + "/in", me.project + "/out")
      #expect(
        before == [
          ["\(me.project)/more:/more", "\(inside):\(inside):ro", "\(out):\(out)"], ["128M"], ["50"],
          ["A=9", "B=2", "C=callers"], ["none"],
        ])
      // A later change of the file, or none of it at all, changes nothing.
      try write("rw ~\n", me)
      #expect(try verb(me, ["start", "a"]).run().status == 0)
      #expect(try facts() == before)
      let script = "cat \(inside)/file; echo x > \(inside)/x || echo refused; touch \(out)/made; ls /more"
      let outcome = try verb(me, ["exec", "a", "sh", "-c", script]).run()
      #expect(outcome.lines == ["one", "refused"], "\(outcome)")
      #expect(access(out + "/made", F_OK) == 0)
      #expect(try verb(me, ["delete", "--force", "--yes", "a"]).run().status == 0)
    }
  }

  /// configure, create, run and explain take the same.
  @Test func everyVerbThatMakesASpecTakesAProfile() throws {
    try Developer.with(.root) { (me) throws in
      try me.outside("mkdir in")
      try write("only\nro ./in\n", me)
      let target = "\(me.project)/in:\(me.project)/in:ro"
      #expect(try verb(me, ["configure", "a", "--profile", path(me)]).run().status == 0)
      #expect(try shown(me, "a", "volume") == [target])
      #expect(try verb(me, ["create", "a"]).run().status == 0, "as it was configured")
      #expect(try shown(me, "a", "volume") == [target])
      #expect(try shown(me, "a", "network") == ["none"])
      #expect(try verb(me, ["configure", "b"]).run().status == 0)
      // A profile is a word about the spec: it is not the configured one's that is made.
      #expect(try verb(me, ["create", "b", "--profile", path(me)]).run().status == 0)
      #expect(try shown(me, "b", "volume") == [target])
      let told = try verb(me, ["explain", "new", "--profile", path(me)]).run()
      #expect(told.status == 0 && told.out.contains("\(me.project)/in"), "\(told)")
    }
  }

  @Test func whatCannotBeTakenIsRefusedInOneLine() throws {
    try Developer.with(.root) { (me) throws in
      let refused = { (text: String) throws -> String in
        try write(text, me)
        let outcome = try verb(me, ["create", "a", "--profile", path(me)]).run()
        #expect(outcome.status == 2 && outcome.err.split(separator: "\n").count == 1, "\(outcome)")
        return outcome.err
      }
      #expect(try refused("only\nhide ~/x\n").contains("\(path(me)), line 2: 'hide' is a sandbox's alone"))
      #expect(try refused("network allow=a.org\n").contains("line 1: 'network' allow= is a sandbox's alone"))
      for name in ["build", "python", "node", "swift", "agent"] {
        let outcome = try verb(me, ["create", "a", "--profile", name]).run()
        #expect(outcome.status == 2 && outcome.err.contains("'\(name)' comes with zonectl for sandboxes"), "\(outcome)")
        #expect(outcome.err.split(separator: "\n").count == 1)
      }
      // A path that is not there: as -v says it.
      try write("ro /nowhere/at-all\n", me)
      let (one, other) = (
        try verb(me, ["create", "a", "--profile", path(me)]).run(),
        try verb(me, ["create", "a", "-v", "/nowhere/at-all:/nowhere/at-all:ro"]).run()
      )
      #expect(one.status == 1 && one.status == other.status && one.err == other.err, "\(one) \(other)")
      #expect(try verb(me, ["list", "-q"]).run().out.isEmpty)
      try write("only\nro .\ncap-add NET_RAW\n", me)
      let sandbox = try me.run(["--profile", path(me)], "true")
      #expect(sandbox.status == 2 && sandbox.err.contains("line 3: 'cap-add' is a zone's alone"), "\(sandbox)")
    }
  }

  /// What a run under a profile may do is what the same options give.
  @Test func capabilitiesAndCallsAreAsTheOptionsGiveThem() throws {
    try Developer.with(.root) { (me) throws in
      let run = { (options: [String], command: [String]) throws in
        try verb(me, ["run", "--rm", "--network", "none"] + options + ["--"] + command).run()
      }
      let powers = ["grep", "CapEff", "/proc/self/status"]
      try write("cap-add SYS_TIME\ncap-add SYS_NICE\n", me)
      let by = try run(["--profile", path(me)], powers)
      let (same, without) = (try run(["--cap-add", "SYS_TIME,SYS_NICE"], powers), try run([], powers))
      #expect(by.status == 0 && by.out == same.out && by.out != without.out, "\(by) \(same) \(without)")
      try write("calls process\n", me)
      let narrow = try run(["--profile", path(me)], ["mkdir", "/tmp/m"])
      #expect(narrow.status != 0 && narrow.err.contains("Operation not permitted"), "\(narrow)")
      #expect(try run(["--profile", path(me), "--calls", "process,file-system"], ["mkdir", "/tmp/m"]).status == 0)
    }
  }

  /// `.` and `./x` of a profile are the current directory, for a sandbox too.
  @Test func aSandboxReadsTheSamePaths() throws {
    try Developer.with { (me) throws in
      try me.outside("mkdir in out; echo one > in/file")
      try write("only\nro ./in\nrw ./out\n", me)
      let outcome = try me.run(["--profile", path(me)], "sh", "-c", "cat in/file; echo x > in/x; echo y > out/y; ls")
      #expect(outcome.lines == ["one", "in", "out"], "\(outcome)")
      #expect(try me.outside("ls in out").out.contains("y"))
    }
  }

  /// Limits that were learned are lines, and a run under them is held to them; without `--limits` they are notes.
  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func learnedLimitsAreKept(who: Zonectl.Who) throws {
    try Developer.with(who) { (me) throws in
      _ = try Attack.build("allocate", into: me.project)
      let program = ["sh", "-c", "./allocate 12 & wait"]
      try learn(me, [], program)
      let noted = try String(contentsOfFile: path(me), encoding: .utf8)
      #expect(noted.contains("\n# memory ") && noted.contains("\n# pids "), "\(noted)")
      try learn(me, ["--limits"], program)
      let text = try String(contentsOfFile: path(me), encoding: .utf8)
      let limit = { (name: String) in
        text.split(separator: "\n").first { $0.hasPrefix("\(name) ") }.map { $0.dropFirst(name.count + 1) }
      }
      let memory = try #require(limit("memory").flatMap { Int($0.dropLast()) }, "\(text)")
      let pids = try #require(limit("pids").flatMap { Int($0) }, "\(text)")
      #expect((24..<64).contains(memory) && (16..<32).contains(pids), "\(text)")

      let using = ["--profile", path(me)]
      let fits = try me.inside(using, "./allocate 12 & wait")
      if who != .root, fits.status == 125 {
        // Without a control group of his own memory cannot be limited, and nothing else is put in its place.
        #expect(fits.err.contains("not delegated to uid") && fits.err.split(separator: "\n").count == 1, "\(fits)")
        try write(text.replacingOccurrences(of: "\nmemory ", with: "\n# memory "), me)
      } else {
        #expect(fits.status == 0 && fits.lines == ["12 MiB"], "\(fits)")
        let much = try me.run(using, "./allocate", "\(memory * 3)")
        #expect(much.status == 137 && much.err.contains("oom-killed"), "\(much)")
      }
      // One process more than the limit leaves room for.
      let fork = "i=0; while [ $i -lt \(pids) ]; do sleep 20 & i=$((i + 1)); done; echo all"
      let many = try me.inside(using, fork)
      #expect(!many.lines.contains("all") && many.err.contains("fork"), "\(many)")
      // A zone of the same profile has the same.
      guard who == .root else { return }
      #expect(try verb(me, ["create", "a"] + using).run().status == 0)
      #expect(try shown(me, "a", "memory") == ["\(memory)M"])
      #expect(try shown(me, "a", "pids") == ["\(pids)"])
    }
  }
}
