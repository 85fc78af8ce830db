import Testing

@testable import ZoneRuntime

/// From what was seen to a profile, from values alone.
struct LearnPlanTests {
  private func ground(_ paths: [String], inputs: [String] = []) -> LearnedFiles.Ground {
    var kinds: [String: PathKind] = [:]
    for path in paths {
      kinds[path.hasSuffix("/") ? String(path.dropLast()) : path] = path.hasSuffix("/") ? .directory : .file
    }
    return LearnedFiles.Ground(
      account: SandboxAccount(uid: 1, gid: 1, name: "me", home: "/home/me", shell: "/bin/sh"),
      folder: "/home/me/p", inputs: inputs, look: { [kinds] in kinds[$0] })
  }

  private func files(_ seen: [(String, FileAccess, PathKind?)], _ ground: LearnedFiles.Ground) -> LearnedFiles {
    LearnedFiles(seen.map { WatchNotes.Sighting($0.0, $0.1, $0.2) }, ground)
  }

  @Test func aReadInTheProjectIsItsFoldersAndAWriteTheFolderThatWasThere() {
    let found = files(
      [
        ("/home/me/p/in/a.txt", .read, .file), ("/home/me/p/run.sh", .read, .file),
        ("/home/me/p/out/new", .create, nil), ("/home/me/p/out/new/x", .create, nil),
        ("/home/me/p/out/new/x", .read, .file), ("/usr/lib/x", .read, .file), ("/tmp/x", .create, nil),
      ], ground([]))
    #expect(found.readOnly == ["/home/me/p"] && found.writable == ["/home/me/p/out"])
  }

  @Test func aSecretIsNeverItsFolder() {
    let found = files(
      [
        ("/home/me/.ssh/id", .read, .file), ("/home/me/.ssh/a", .read, .file), ("/home/me/.ssh/b", .read, .file),
        ("/home/me/.netrc", .read, .file), ("/home/me/.ssh", .look, .directory),
      ], ground(["/home/me/.ssh/id", "/home/me/.netrc", "/home/me/.ssh/a", "/home/me/.ssh/b"]))
    #expect(found.readOnly == ["/home/me/.ssh/id", "/home/me/.ssh/a", "/home/me/.ssh/b", "/home/me/.netrc"])
    var profile = LearnedProfile()
    profile.files = found
    #expect(profile.text(limits: false, ground([])).contains("secret of yours. Is it meant to be read?\nro ~/.netrc\n"))
  }

  @Test func manyFilesAreTheirFolderAndTheHomeNeverIs() {
    let many = (1...3).map { ("/home/me/data/\($0)", FileAccess.read, PathKind?.some(.file)) }
    let home = (1...4).map { ("/home/me/.f\($0)", FileAccess.read, PathKind?.some(.file)) }
    let found = files(many + home + [("/home/me/one/file", .read, .file)], ground([]))
    #expect(
      found.readOnly == [
        "/home/me/data", "/home/me/.f1", "/home/me/.f2", "/home/me/.f3", "/home/me/.f4", "/home/me/one/file",
      ])
  }

  @Test func whatTheCommandLineNamesStandsForItsFolder() {
    let found = files([("/home/me/in/a", .read, .file)], ground([], inputs: ["/home/me/in/a"]))
    #expect(found.readOnly == ["/home/me/in"])
  }

  @Test func whatProgramsOutsideObeyIsWrittenByName() {
    let found = files(
      [("/home/me/p/x", .create, nil), ("/home/me/p/.git/config", .write, .file)],
      ground(["/home/me/p/.git/config"]))
    #expect(found.writable == ["/home/me/p", "/home/me/p/.git/config"])
  }

  @Test func aProfileIsReadAsItWasWrittenAndRunsMerge() throws {
    let here = ground([])
    var one = LearnedProfile()
    one.files.readOnly = ["/home/me/a", "/srv/x y"]
    one.files.writable = ["/home/me/p/out"]
    one.hosts = ["example.org:443"]
    one.groups = [.base, .network]
    one.commands = ["tool one"]
    (one.memory, one.processes) = (1 << 20, 3)
    let text = one.text(limits: true, here)
    var again = try LearnedProfile(named: "p", text, home: "/home/me")
    #expect(again.files == one.files && again.hosts == one.hosts && again.groups == one.groups)
    #expect(again.runs == 1 && again.memory == 1 << 20 && again.processes == 3 && text.contains("\nonly\n"))
    #expect(text.contains("\nmemory 16M\n") && text.contains("\npids 16\n"), "\(text)")
    #expect(one.text(limits: false, here).contains("\n# memory 16M\n# pids 16\n"))
    var two = LearnedProfile()
    two.files.readOnly = ["/home/me/p/out/x", "/home/me/b"]
    two.hosts = ["other.org:443"]
    two.groups = [.base, .process]
    two.commands = ["tool two"]
    again.merge(two, here)
    #expect(again.files.readOnly == ["/home/me/a", "/home/me/b", "/srv/x y"] && again.runs == 2)
    #expect(again.hosts.count == 2 && again.groups == [.base, .network, .process])
    #expect(
      again.text(limits: false, here).contains("# zonectl learn, runs: 2\n# command: tool one\n# command: tool two\n"))
    #expect(throws: ZoneError.self) { try LearnedProfile(named: "p", "ro /x\n", home: "/home/me") }
  }
  @Test func aCheckTellsWhatWouldBeLostOrDenied() throws {
    var spec = ZoneSpec(name: "check")
    spec.network = .none
    spec.calls = ["process"]
    var sandbox = SandboxSpec(account: SandboxAccount(uid: 1, gid: 1, name: "me", home: "/home/me", shell: "/bin/sh"))
    sandbox.places = [
      SandboxPlace("/home/me/p", .readOnly, why: "--ro"), SandboxPlace("/home/me/p/out", .writable, why: "--rw"),
    ]
    sandbox.allowed = ["a.org:443"]
    spec.sandbox = sandbox
    var notes = WatchNotes()
    notes.groups = [.base, .process, .network]
    for (path, access, kind) in [
      ("/home/me/p/in", FileAccess.read, PathKind?.some(.file)), ("/home/me/p/out/x", .create, nil),
      ("/home/me/new", .create, nil), ("/home/me/.netrc", .read, .file), ("/home/me/p/x", .write, .file),
      ("/usr/bin/x", .execute, .file), ("/tmp/x", .create, nil),
    ] { notes.sightings.append(.init(path, access, kind)) }
    let found = LearnCheck(spec, ground([])).denials(notes, hosts: ["a.org:443", "b.org:443"])
    #expect(found.map { $0.name } == ["/home/me/new", "/home/me/.netrc", "/home/me/p/x", "b.org:443", "network"])
    #expect(found[1].rule.contains("yours alone"))
  }
}
