import Testing

@testable import ZoneRuntime

/// What a sandbox gives of its caller's files, from values alone.
struct SandboxPlanTests {
  /// A machine with these paths: `/` at the end is a directory, `@` a link.
  private func facts(_ paths: [String], folder: String = "/home/me/project", environment: [String] = []) -> SandboxFacts
  {
    var kinds: [String: PathKind] = ["/home/me": .directory, "/home/me/project": .directory]
    for path in paths {
      let name = String(path.hasSuffix("/") || path.hasSuffix("@") ? path.dropLast() : path[...])
      kinds[name] = path.hasSuffix("/") ? .directory : path.hasSuffix("@") ? .link : .file
    }
    return SandboxFacts(
      account: SandboxAccount(uid: 1000, gid: 100, name: "me", home: "/home/me", shell: "/bin/zsh"), folder: folder,
      environment: environment, hostname: "host", gitConfigurations: [], ours: ["/home/me/.local/share/zones"],
      profiles: "/profiles",
      homes: "/homes", look: { [kinds] in kinds[$0] },
      real: { [kinds] in kinds[$0] == nil ? nil : $0 }, canWrite: { $0 != "/home/me/sealed" })
  }

  private func places(_ wish: SandboxWish, _ facts: SandboxFacts) throws -> [String: SandboxPlace] {
    let spec = try SandboxPlanner.spec(wish, facts, name: "box")
    let places = try #require(spec.sandbox).places
    for (index, place) in places.enumerated() {
      #expect(
        !places[..<index].contains { Paths.isOrLies($0.path, in: place.path) },
        "\(place.path) would cover one before it")
    }
    return Dictionary(uniqueKeysWithValues: places.map { ($0.path, $0) })
  }

  private func places(_ facts: SandboxFacts) throws -> [String: SandboxPlace] { try places(SandboxWish(), facts) }

  @Test func protectionsStandWhereNothingIs() throws {
    let places = try places(facts([]))
    #expect(places["/home/me/project"]?.access == .writable)
    for name in ProtectedPaths.names + [".git"] {
      #expect(places["/home/me/project/\(name)"]?.access == .readOnly, "\(name)")
    }
  }

  @Test func whatNobodyCanMakeNeedsNoCover() throws {
    let places = try places(facts(["/home/me/sealed/"], folder: "/home/me/sealed"))
    #expect(places.keys.sorted() == ["/home/me/sealed"])
  }

  @Test func aRepositoryIsPinnedAndItsProgramsProtected() throws {
    let places = try places(
      facts(["/home/me/project/.git/", "/home/me/project/.git/config", "/home/me/project/.git/hooks/"]))
    #expect(places["/home/me/project/.git"]?.access == .pinned)
    #expect(places["/home/me/project/.git/config"]?.access == .readOnly)
    #expect(places["/home/me/project/.git/config"]?.isDirectory == false)
    #expect(places["/home/me/project/.git/hooks"]?.access == .readOnly)
  }

  @Test func aFolderOnTopLiftsNothingBelow() throws {
    var wish = SandboxWish()
    wish.writable = ["/home/me/project"]
    let whole = try places(wish, facts(["/home/me/project/.git/"]))
    #expect(whole["/home/me/project/.git/hooks"]?.access == .readOnly)
    wish.writable = ["/home/me/project/.git"]
    let lifted = try places(wish, facts(["/home/me/project/.git/"]))
    #expect(lifted["/home/me/project/.git/hooks"] == nil && lifted["/home/me/project/.git"]?.access == .writable)
    #expect(lifted["/home/me/project/.envrc"]?.access == .readOnly)
  }

  @Test(arguments: [
    "/", "/home", "/home/me", "/tmp", "/etc", "/run/user/1000", "/proc/1", "/home/me/.local/share/zones/x",
  ])
  func noProject(folder: String) {
    #expect(throws: ZoneError.self) { try places(facts([], folder: folder)) }
  }

  @Test func inTheMachinesOwnFoldersNothingIsGiven() throws {
    #expect(try places(facts([], folder: "/usr/share/doc")).isEmpty)
  }

  @Test func toolsAreFoundByThePath() throws {
    let places = try places(
      facts(
        [
          "/home/me/.cargo/", "/home/me/.cargo/bin/", "/home/me/.rustup/", "/home/me/.nvm/", "/home/me/.nvm/v20/",
          "/home/me/.nvm/v20/bin/",
          "/home/me/.local/bin/", "/home/me/.local/share/uv/", "/home/me/bin/", "/home/me/.npm/", "/nix/store/x/bin/",
          "/nix/store/x/", "/nix/store/x/lib/", "/home/me/.azure/bin/", "/home/me/src/bin/", "/home/me/src/.git/",
          "/home/me/src/lib/",
          "/home/me/.cargo/credentials.toml", "/home/me/.ssh/",
        ],
        environment: [
          "PATH=/home/me/.cargo/bin:/home/me/.nvm/v20/bin:/home/me/.local/bin:/home/me/bin:/usr/bin:/nix/store/x/bin:relative:/home/me/../you:/nowhere:/home/me/.azure/bin:/home/me/src/bin",
          "NVM_DIR=/home/me/.nvm", "JAVA_HOME=/usr/lib/jvm/x",
        ]))
    let found = places.filter { $0.value.access == .readOnly && !$0.value.why.hasPrefix("protected") }.keys.sorted()
    #expect(
      found == [
        "/home/me/.cargo/bin", "/home/me/.local/bin", "/home/me/.local/share/uv", "/home/me/.nvm", "/home/me/.rustup",
        "/home/me/bin", "/home/me/src/bin", "/nix/store/x",
      ])
    #expect(places["/home/me/.cargo"]?.access == .passing && places["/home/me/.npm"]?.access == .passing)
    #expect(places["/home/me/.cargo/credentials.toml"]?.access == .hidden)
    #expect(places["/home/me/.ssh"] == nil)
  }

  @Test func theEnvironmentIsAList() throws {
    let spec = try SandboxPlanner.spec(
      SandboxWish(),
      facts(
        [],
        environment: [
          "PATH=/bin", "HOME=/elsewhere", "SSH_AUTH_SOCK=x", "LC_ALL=C", "SWIFT_KEY=x", "A B", "=x", "CC=gcc=1",
        ]),
      name: "box")
    #expect(
      spec.environment == [
        "PATH": "/bin", "HOME": "/home/me", "USER": "me", "LOGNAME": "me", "SHELL": "/bin/zsh", "LC_ALL": "C",
        "CC": "gcc=1",
      ])
  }

  @Test func gitsConfigurationIsRead() {
    let read = { (text: String) in GitIdentity([Array(text.utf8)]) }
    #expect(read("[user]\n\tname = Ada L ; who\n email=a@b # c\n") == .init(name: "Ada L", email: "a@b"))
    #expect(
      read("[USER] name = \"A; \\\"B\\\" \"\r\n[user \"x\"]\nemail = no\n[core]\nname = no")
        == .init(name: "A; \"B\" ", email: nil))
    #expect(read("name = x\n[user\nemail=y").configuration == nil)
    #expect(read("[user]\nname = a\\\\b\"c\n").configuration == "[user]\n\tname = \"a\\\\bc\"\n")
    #expect(
      GitIdentity([Array("[user]\nname=a\nemail=b".utf8), Array("[user]\nname=c".utf8)]) == .init(name: "c", email: "b")
    )
  }

  @Test func aSpecIsReadBack() throws {
    var wish = SandboxWish()
    wish.command = ["true"]
    wish.hidden = ["/home/me/project/secret"]
    wish.allowed = ["example.com:443"]
    let spec = try SandboxPlanner.spec(wish, facts(["/home/me/project/secret"]), name: "box")
    let bytes = try JSON.encode(spec)
    #expect(try JSON.decode(ZoneSpec.self, from: bytes, name: "spec") == spec)
    #expect(spec.sandbox?.places.last?.access == .hidden)
  }
}

struct UserNamespaceSettingTests {
  @Test func eachIsRecognisedByItsFile() {
    for setting in UserNamespaceSetting.allCases {
      let value = setting == .appArmor ? "1" : "0"
      #expect(UserNamespaceSetting.inTheWay { $0 == setting.file ? value : nil } == setting)
      #expect(UserNamespaceSetting.inTheWay { $0 == setting.file ? (value == "1" ? "0" : "1") : nil } == nil)
      #expect(setting.words.contains("sysctl -w") && !setting.words.contains("\n"))
    }
  }
}

struct SandboxProfileTests {
  private func lines(_ text: String) throws -> [SandboxProfile.Line] {
    try SandboxProfile(named: "p", text, home: "/home/me").lines
  }

  @Test func linesAreOptions() throws {
    #expect(
      try lines("# a\n\n  ro ~/x y \nrw\t/z\r\nnesting\nnetwork allow=a:1,b\nhide ~\n") == [
        .init(option: "ro", value: "/home/me/x y", number: 3), .init(option: "rw", value: "/z", number: 4),
        .init(option: "nesting", value: "", number: 5), .init(option: "network", value: "allow=a:1,b", number: 6),
        .init(option: "hide", value: "/home/me", number: 7),
      ])
  }

  @Test(arguments: [
    ("ro ~/a\nnetwrk none", "line 2: 'netwrk' is no option of a profile; did you mean network?"),
    ("memory", "line 1: 'memory' wants a value"), ("nesting yes", "takes no value"), ("ro x", "not an absolute path"),
    ("timeout 3", "is no option of a profile: it is of one run"),
  ]) func mistakesAreNamedByTheirLine(text: String, words: String) {
    #expect {
      try lines(text)
    } throws: { "\($0)".contains(words) && !"\($0)".contains("\n") }
  }

  @Test func thoseThatShipCanBeRead() throws {
    for name in SandboxProfile.shippedNames {
      let profile = try SandboxProfile.find(name, in: "/nowhere", home: "/home/me")
      #expect(!profile.lines.isEmpty)
      for line in profile.lines where line.option == "network" {
        var wish = SandboxWish()
        try wish.allow(String(line.value.dropFirst("allow=".count)))
        #expect(!wish.allowed.isEmpty)
      }
    }
    #expect {
      try SandboxProfile.find("pyton", in: "/nowhere", home: "/")
    } throws: { "\($0)".contains("did you mean python?") }
  }
}
