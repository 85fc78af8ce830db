import Testing

@testable import ZoneRuntime

/// What a watcher is made of, from values alone.
struct WatchPlanTests {
  // MARK: the filter

  private static let machine = SeccompCompiler.architectures[0]

  private func number(_ call: String) throws -> UInt32 {
    try #require(WatchFilter.number(call, Self.machine), "\(call)")
  }

  @Test func aWatchedFilterAsksWhereItsOwnAnswers() throws {
    let own = try SeccompCompiler.compile(SeccompProfile(capabilities: []))
    let watched = Watcher.filter(own, .denials)
    #expect(watched.count / 8 <= SeccompCompiler.instructionLimit)
    let ask: UInt32 = 0x7fc0_0000
    let told = { (call: String, arguments: [UInt64]) throws in
      runFilter(watched, Self.machine, try number(call), arguments)
    }
    for call in ["openat", "execve", "newfstatat", "connect", "mount", "keyctl"] { #expect(try told(call, []) == ask) }
    for call in ["read", "write", "sendmsg", "clone"] { #expect(try told(call, []) == 0x7fff_0000, "\(call)") }
    #expect(try told("socket", [2]) == 0x7fff_0000 && told("socket", [40]) == ask)
    // What does not exist goes on not to exist, without a question.
    #expect(try told("clone3", []) == 0x0005_0026)
    #expect(try told("sendto", [3, 1, 1, 0, 0x7fff_0000_0000, 16]) == ask)
    #expect(try told("sendto", [3, 1, 1, 0, 0, 0]) == 0x7fff_0000)
    #expect(runFilter(watched, 0x1234, 0, []) == 0x0005_0026)
  }

  /// What the watcher says to a call is what the filter says, whatever the watched one asks.
  @Test func theAnswerIsTheOwnFilters() throws {
    let own = try SeccompCompiler.compile(SeccompProfile(capabilities: []))
    for number in UInt32(0)..<480 {
      for arguments: [UInt64] in [[0, 0], [2, 0x5412], [40, 1], [0x1000_0000, 0]] {
        let told = runFilter(own, Self.machine, number, arguments)
        #expect(
          WatchFilter.answer(own, Self.machine, number, arguments)
            == (told == 0x7fff_0000 ? 0 : Int32(truncatingIfNeeded: told & 0xfff)), "\(number) \(arguments)")
      }
    }
    #expect(WatchFilter.answer([], Self.machine, 0, []) == 1, "what says nothing is a refusal")
  }

  @Test func everyWatchedCallIsOneOfTheTables() throws {
    let known = Set(
      SeccompTables.names(SeccompTables.allowed) + SeccompTables.names(SeccompTables.allowedNewer)
        + SeccompTables.special)
    for row in WatchedCall.table { #expect(known.contains(row.call), "\(row.call)") }
    #expect(Set(WatchedCall.table.map { $0.call }).count == WatchedCall.table.count)
  }

  @Test func openFlagsSayWhatIsMeant() {
    #expect(OpenFlags(0) == OpenFlags(0o2_000_000) && OpenFlags(0).access == .read && OpenFlags(0).follows)
    #expect(OpenFlags(0o1).access == .write && OpenFlags(0o2).access == .write && OpenFlags(0o1101).access == .create)
    #expect(!OpenFlags(0o301).follows && !OpenFlags(0o400_000).follows && OpenFlags(0o10_000_000).access == .look)
  }

  // MARK: groups

  @Test func everyCallIsInOneGroup() throws {
    let listed = CallGroups.listed
    #expect(Set(listed).count == listed.count)
    let known = Set(
      SeccompTables.names(SeccompTables.allowed) + SeccompTables.names(SeccompTables.allowedNewer)
        + SeccompTables.special + SeccompTables.conditional.flatMap { SeccompTables.names($0.calls) })
    for call in listed { #expect(known.contains(call), "\(call)") }
    #expect(CallGroups.all.words == CallGroups.names)
    #expect(try CallGroups(named: ["network"]) == [.base, .network] && CallGroups(named: []) == .all)
    #expect(throws: SyntaxError.self) { try CallGroups(named: ["netwrk"]) }
  }

  @Test func aGroupThatIsNotGivenIsRefused() throws {
    let narrow = try SeccompCompiler.compile(
      SeccompProfile(capabilities: [], groups: [.base, .process]))
    let answer = { (call: String, arguments: [UInt64]) throws in
      WatchFilter.answer(narrow, Self.machine, try number(call), arguments)
    }
    for call in ["read", "openat", "clone", "execve", "sendmsg", "exit_group"] { #expect(try answer(call, []) == 0) }
    for call in ["mkdir", "connect", "ptrace", "unlinkat"] { #expect(try answer(call, []) == 1, "\(call)") }
    #expect(try answer("socket", [2]) == 1 && answer("clone", [0x1000_0000]) == 1 && answer("clone3", []) == 38)
  }

  // MARK: verdicts

  private func verdict() -> FileVerdict {
    var sandbox = SandboxSpec(account: SandboxAccount(uid: 1, gid: 1, name: "me", home: "/home/me", shell: "/bin/sh"))
    sandbox.places = [
      SandboxPlace("/home/me/p", .writable, why: "the current directory"),
      SandboxPlace("/home/me/p/.git", .pinned, why: "a repository"),
      SandboxPlace("/home/me/p/.git/hooks", .readOnly, why: SandboxPlace.protection),
      SandboxPlace("/home/me/p/key", .hidden, isDirectory: false, why: "--hide"),
      SandboxPlace("/home/me/lib", .readOnly, why: "--ro"),
    ]
    return FileVerdict(sandbox: sandbox)
  }

  @Test(arguments: [
    ("/home/me/.ssh/id", FileAccess.read, "yours alone (--ro PATH gives it)"),
    ("/home/me/other/file", .look, "not given (--ro PATH gives it)"),
    ("/home/me/.bashrc", .create, "not given (--rw PATH gives it)"),
    ("/home/me/p/.git/hooks/x", .create, "protected (--rw PATH lifts it)"),
    ("/home/me/p/.git", .remove, "a repository, which stays where it is"),
    ("/home/me/p/key", .read, "--hide"), ("/home/me/lib/x", .write, "--ro (--rw PATH lifts it)"),
    ("/usr/local/bin/x", .create, "the machine's own, read-only"),
    ("/etc/shadow", .read, "/etc is a copy of what everybody may read"),
    ("/proc/sys/kernel/core_pattern", .write, "the kernel's settings are read-only"),
  ]) func refused(path: String, access: FileAccess, rule: String) {
    #expect(verdict().rule(path, access, FileSight(inside: nil, outside: .file)) == rule)
  }

  @Test(arguments: [
    ("/home/me/p/file", FileAccess.create), ("/home/me/p/.git/index", .write), ("/home/me/lib/x", .read),
    ("/usr/bin/true", .execute), ("/tmp/x", .create), ("/proc/1/status", .read), ("/home/me", .look),
  ]) func granted(path: String, access: FileAccess) {
    #expect(verdict().rule(path, access, FileSight(inside: .file, outside: .file)) == nil)
  }

  /// What is not there outside either is nobody's to refuse.
  @Test func whatIsNowhereIsNoDenial() {
    for access in [FileAccess.look, .read, .execute, .write] {
      #expect(verdict().rule("/home/me/.nothing", access, FileSight(inside: nil, outside: nil)) == nil)
    }
  }

  @Test func notesAreReadAsTheyWereWritten() {
    let sightings = [
      WatchNotes.Sighting("/a b", .read, .file), WatchNotes.Sighting("/c", .create, nil),
      WatchNotes.Sighting("/d", .execute, .other),
    ]
    let denial = Denial(kind: .call, name: "mount", call: "mount", rule: "no")
    var bytes = sightings.flatMap(WatchNotes.line) + WatchNotes.line(WatchNotes.Mark.group, 4)
    bytes += [WatchNotes.Mark.denial] + denial.line + WatchNotes.line(WatchNotes.Mark.processes, 7)
    let cut = WatchNotes(bytes)
    #expect(cut.sightings == sightings && cut.denials == [denial] && cut.mostProcesses == 7)
    #expect(cut.groups == [.base, .network] && cut.wasCut && !WatchNotes(bytes + Array("e\n".utf8)).wasCut)
  }
}
