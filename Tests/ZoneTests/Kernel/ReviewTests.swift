import Foundation
import Glibc
import LinuxNS
import Testing

/// `changes` after a command on a real overlay, as an ordinary user.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("git"), .path("/usr/bin/python3"), .program("diff")),
  .ends(within: 5))
struct ReviewTests {
  /// A checkout with something of every kind.
  static let checkout = """
    git init -q -b main .
    mkdir -p src/deep docs old build/cache keep closed
    for n in 1 2 3 4 5 6; do echo "line $n" > src/f$n.c; done
    echo deep > src/deep/a; echo doc > docs/index; echo gone > old/x; mkdir old/sub; echo y > old/sub/y
    echo c1 > build/cache/c1; echo c2 > build/cache/c2; echo same > keep/same; echo touched > keep/touched
    ln -s f1.c src/link; echo hard > keep/h1; ln keep/h1 keep/h2; echo secret > closed/s
    git add -A; git commit -q -m first
    git switch -q -c other; echo other > src/f6.c; git rm -q -r docs; git commit -q -a -m second; git switch -q main
    """
  static let work = """
    git switch -q other; git mv src/f1.c src/renamed.c; git commit -q -m moved
    rm -rf old; mkdir old; echo new > old/new
    rm -rf build; mkdir -p build/cache; echo c2 > build/cache/c2; echo c3 > build/cache/c3
    echo more >> src/f2.c; chmod 755 src/f3.c; rm src/f4.c; ln -s ../keep src/f4.c
    rm src/f5.c; mkdir src/f5.c; echo in > src/f5.c/in
    rm -r src/deep; echo now-a-file > src/deep
    ln -sfn f2.c src/link
    echo changed >> keep/h1; echo x > n1; ln n1 n2; ln n1 src/n3
    touch -d @1234567890 keep/touched; cp keep/same s; cat s > keep/same; rm s
    mkdir -p new/deeper/still; echo 1 > new/deeper/still/one; chmod 500 new/deeper/still; chmod 700 new
    truncate -s 3M sparse; printf end >> sparse; printf begin | dd of=sparse conv=notrunc status=none
    mkfifo pipe; chmod 640 pipe; chmod 0 closed/s; chmod 0 closed
    printf 'a\\377b' > "$(printf 'bytes\\377')"; echo nl > "$(printf 'new\\nline')"
    /usr/bin/python3 -c "
    import os
    os.setxattr('src/f2.c', 'user.one', b'1'); os.setxattr('new', 'user.dir', b'')
    os.setxattr('docs2' if os.path.exists('docs2') else 'src', 'user.two', b'\\x00\\xff')
    try: os.setxattr('src/f2.c', 'user.overlay.mine', b'3')
    except OSError: pass
    "
    """

  @Test func afterApplyTheTreeIsWhatTheCommandSaw() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: Self.checkout)
      let before = try run.look()
      let seen = try run.reviewed(Self.work)
      try expectSame(before, run.look(), "something reached the tree before apply")
      let listed = try run.changes("list")
      #expect(listed.status == 0, "\(listed)")
      for line in [
        "A .* src/renamed.c", "D .* src/f1.c", "D .* docs", "T .* src/deep", "m .* src/f3.c", "t .* keep/touched",
      ] {
        #expect(listed.out.range(of: "(?m)^\(line)$", options: .regularExpression) != nil, "\(line)\n\(listed)")
      }
      for absent in ["keep/h2", "keep/same "] { #expect(!listed.out.contains(absent), "\(listed)") }
      #expect(listed.out.contains(#""bytes\377""#) && listed.out.contains(#""new\nline""#), "\(listed)")
      let applied = try run.changes("apply")
      #expect(applied.status == 0, "\(applied)")
      try expectSame(seen, run.look())
      #expect(!run.isThere(), "nothing is left to decide: \(applied)")
      #expect(try run.user("cd \(run.tree); git log --format=%s; git fsck").hasPrefix("moved"))
    }
  }

  @Test func aPartIsAppliedAndTheRestWaits() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: Self.checkout)
      let seen = try run.reviewed(Self.work)
      // Below a directory that was replaced, and one that is new.
      for part in ["old/new", "new/deeper/still/one", "src", "build"] {
        let applied = try run.changes("apply", part)
        #expect(applied.status == 0, "\(applied)")
      }
      let half = try run.look()
      #expect(half["b'old/new'"] == seen["b'old/new'"] && half["b'old/x'"] != nil, "old/x was not chosen")
      #expect(half["b'new/deeper/still/one'"] == seen["b'new/deeper/still/one'"])
      let listed = try run.changes("list").out
      #expect(
        listed.range(of: "D .*5 .*old/x", options: .regularExpression) != nil && !listed.contains("old/new")
          && !listed.contains("src/"), "\(listed)")
      let applied = try run.changes("apply")
      #expect(applied.status == 0, "\(applied)")
      // Names that were applied one after the other are files of their own.
      let links = { (entries: [String: String]) in
        entries.filter { !["b'n1'", "b'n2'", "b'src/n3'"].contains($0.key) }
      }
      try expectSame(links(seen), links(run.look()))
      #expect(!run.isThere())
    }
  }

  @Test func whatHasChangedSinceIsRefusedByName() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(
        zones, making: "echo 1 > a; echo 1 > b; mkdir d e; echo 1 > d/x; echo 1 > e/x; echo 1 > g")
      try run.reviewed("echo command > a; echo command > b; rm -r d e; echo command > n; rm g")
      try run.user("cd \(run.tree); echo person > a; echo person > d/mine; echo person > n; rm g")
      let applied = try run.changes("apply")
      #expect(applied.status == 1)
      #expect(applied.err.split(separator: "\n").count == 3, "\(applied)")
      for path in ["a", "d", "n"] {
        #expect(applied.err.contains("cannot apply \(path): it has changed"), "\(applied)")
      }
      #expect(contents(run.tree + "/b") == "command\n" && access(run.tree + "/e", F_OK) != 0)
      #expect(contents(run.tree + "/a") == "person\n" && contents(run.tree + "/d/mine") == "person\n")
      #expect(contents(run.tree + "/n") == "person\n")
      // The command's, and his own.
      #expect(try run.changes("apply", "--force", "a", "d").status == 0)
      #expect(contents(run.tree + "/a") == "command\n" && access(run.tree + "/d", F_OK) != 0)
      #expect(try run.changes("drop", "--yes", "n").status == 0)
      #expect(contents(run.tree + "/n") == "person\n" && !run.isThere())
    }
  }

  /// A mount, too, is no part of the tree.
  @Test func nothingIsChangedBehindALinkOrAMount() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(
        zones, making: "mkdir a b c; echo 1 > a/file; echo 1 > b/file; mkdir c/m; echo 1 > c/m/file")
      try run.reviewed(
        "echo command > a/file; rm b/file; echo command > c/m/file; ln -s \(run.outside) way; ln -s \(run.outside)/file file"
      )
      try run.user("cd \(run.tree); for n in a b; do rm -r $n; ln -s \(run.outside) $n; done")
      var command = run.changes(["apply", "--force"])
      command.argv =
        ["unshare", "--mount", "sh", "-ec", "mount --bind \(run.outside) \(run.tree)/c/m; exec \"$@\"", "sh"]
        + command.argv
      let applied = try command.run()
      #expect(applied.status == 1, "\(applied)")
      #expect(applied.err.contains("c/m"), "\(applied)")
      #expect(contents(run.outside + "/file") == "safe\n")
      #expect(try FileManager.default.contentsOfDirectory(atPath: run.outside) == ["file"])
      #expect(try FileSystem.readLink(run.tree + "/way") == run.outside)
      #expect(try FileSystem.readLink(run.tree + "/file") == run.outside + "/file")
    }
  }

  /// Directories exchanged for links while apply works.
  @Test(.needs(.program("gcc"))) func aRaceForADirectoryIsLost() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: "mkdir -p d/e; ln -s \(zones.folder)/outside other")
      try FileSystem.makeDirectories(run.outside + "/e")
      try Command.text("chown", OrdinaryUser.name, run.outside + "/e")
      try run.reviewed("for n in $(seq 400); do echo $n > d/e/f$n; done")
      try racing(run.tree + "/d", run.tree + "/other", helpers: zones.folder) {
        for _ in 0..<6 where run.isThere() {
          let applied = try run.changes("apply", "--force", "--quiet")
          #expect([0, 1].contains(applied.status) && !applied.timedOut, "\(applied)")
        }
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: run.outside + "/e") == [])
    }
  }

  @Test func protectedPathsAreNamedOrLeft() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: "git init -q .; mkdir .vscode; echo 1 > .vscode/tasks.json; echo a > a")
      try run.reviewed(
        "echo evil > .git/hooks/pre-commit; git config core.pager evil; echo evil > .envrc; rm -r .vscode; echo b > a")
      let before = contents(run.tree + "/.git/config")
      for words in [["apply"], ["apply", "--force"], ["apply", "--force", ".git"]] {
        let applied = try run.changes(words).run()
        #expect(applied.status == 1 && applied.err.contains("protected"), "\(applied)")
        #expect(contents(run.tree + "/.git/config") == before && contents(run.tree + "/.git/hooks/pre-commit") == nil)
        #expect(contents(run.tree + "/.vscode/tasks.json") == "1\n" && contents(run.tree + "/.envrc") == nil)
      }
      #expect(contents(run.tree + "/a") == "b\n")
      #expect(try run.changes("apply", "--force", ".envrc", ".git/hooks/pre-commit").status == 0)
      #expect(contents(run.tree + "/.envrc") == "evil\n" && contents(run.tree + "/.git/hooks/pre-commit") == "evil\n")
      #expect(contents(run.tree + "/.git/config") == before)
    }
  }

  /// A `.git` renamed away and made anew takes the protected files along.
  @Test func theDirectoryAboveAProtectedPathIsProtectedFromGoing() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: "git init -q .")
      try run.reviewed("mv .git moved; mkdir -p .git/hooks; echo evil > .git/hooks/pre-commit")
      let applied = try run.changes("apply")
      #expect(applied.status == 1, "\(applied)")
      #expect(contents(run.tree + "/.git/config") != nil && contents(run.tree + "/.git/hooks/pre-commit") == nil)
    }
  }

  @Test func setIdBitsAndSocketsAreLeftOutAndTold() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: "echo 1 > a")
      try run.reviewed(
        "cp a su; chmod 6755 su; /usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'")
      let applied = try run.changes("apply")
      #expect(applied.status == 0 && !run.isThere(), "\(applied)")
      #expect(
        applied.err.contains("su: its set-user-id") && applied.err.contains("s: a socket is not taken"), "\(applied)")
      #expect(try run.user("stat -c %a \(run.tree)/su") == "755\n" && access(run.tree + "/s", F_OK) != 0)
    }
  }

  @Test func showTellsWhatDiffersAndNothingToTheTerminal() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: "echo one > a; printf 'x\\0y' > bin; echo m > m; echo gone > gone")
      try run.reviewed(
        "printf 'two \\033]0;evil\\007\\n' > a; printf 'x\\0z' > bin; chmod 600 m; rm gone; echo t > \"$(printf 'e\\033[31m')\""
      )
      let shown = try run.changes("show")
      for text in [
        "--- a/a\n+++ b/a\n", "-one\n", "+two \u{1b}]0;evil", "binary", "m: mode 644 to 600", "-gone\n", "+t\n",
      ] {
        #expect(shown.out.contains(text), "\(text)\n\(shown)")
      }
      #expect(
        shown.out.contains(#"added file of 2 bytes "e\033[31m""#) && !shown.out.contains("\u{1b}[31m"), "\(shown)")
      let terminal = try Terminal(run.changes(["show", "a"]))
      #expect(terminal.wait() == 0)
      #expect(terminal.screen.contains("+two ?]0;evil?") && !terminal.screen.contains("\u{1b}"), "\(terminal.screen)")
      #expect(try run.changes("show", "nothing").err.contains("no change is at nothing"))
    }
  }

  @Test func dropForgetsAPartAndAll() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: Self.checkout)
      let before = try run.look()
      try run.reviewed(Self.work)
      #expect(try run.changes("drop", "--yes", "old", "src/deep", #""bytes\377""#).status == 0)
      let listed = try run.changes("list").out
      #expect(!listed.contains(" old") && !listed.contains("src/deep") && listed.contains("src/renamed.c"), "\(listed)")
      #expect(try run.changes("drop", "--yes").status == 0)
      #expect(!run.isThere())
      try expectSame(before, run.look())
      #expect(try run.changes("list").err.contains("there is no review"))
    }
  }

  @Test func aReviewIsHeldWhileItsCommandRunsAndNamedWhereThereAreTwo() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: "echo 1 > a")
      try run.reviewed("echo 2 > a", id: "one")
      try run.reviewed("echo 3 > a", id: "two")
      #expect(try run.changes("apply").err.contains("there are 2 reviews: one (of"))
      let folder = try OwnedFD.open((run.upper("one") as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY)
      #expect(flock(folder.raw, LOCK_EX | LOCK_NB) == 0)
      for word in ["list", "apply", "drop"] {
        let refused = try run.changes(word, "--yes", "--id", "one")
        #expect(refused.status == 1 && refused.err.contains("still runs"), "\(refused)")
      }
      #expect(try run.changes("apply", "--id", "two").status == 0)
      #expect(contents(run.tree + "/a") == "3\n")
    }
  }

  @Test func anotherDirectoryOfThatNameIsNotTheTree() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: "echo 1 > a")
      try run.reviewed("echo 2 > a")
      try run.user("cd \(zones.folder); mv project aside; mkdir project; echo 1 > project/a")
      let applied = try run.changes("apply", "--id", "r")
      #expect(applied.status == 1 && applied.err.contains("another directory"), "\(applied)")
      #expect(contents(run.tree + "/a") == "1\n")
    }
  }

  /// What no honest command leaves.
  @Test func aHostileLayerNeitherHangsNorLeadsOut() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(
        zones, making: "mkdir d; echo 1 > d/a; truncate -s 4P huge 2>/dev/null || truncate -s 4T huge")
      defer { try? FileSystem.removeTree(run.upper()) }  // Foundation's own removal takes minutes
      try run.reviewed(
        """
        mkfifo d/pipe; ln -s /etc/passwd d/l; ln -s .. up; printf x >> huge
        mkdir "$(printf '\\033]0;x\\007')"; mkdir -p many; cd many; seq 3000 | xargs touch; cd ..
        /usr/bin/python3 -c "
        import os
        for n in range(3000): os.mkdir('deep'); os.chdir('deep')
        "
        """)
      for words in [["list"], ["show", "d"], ["apply", "--quiet"], ["list"]] {
        let outcome = try run.changes(words).run()
        #expect(!outcome.timedOut && [0, 1].contains(outcome.status), "\(outcome)")
        #expect(!outcome.out.contains("\u{1b}") && !outcome.err.contains("\u{1b}"))
        if words[0] == "apply" {
          #expect(outcome.err.contains("deep"), "what is too deep is told: \(outcome.err.prefix(500))")
        }
      }
      #expect(try FileSystem.readLink(run.tree + "/d/l") == "/etc/passwd")
      #expect(try FileManager.default.contentsOfDirectory(atPath: run.tree + "/many").count == 3000)
      #expect(try run.changes("drop", "--yes").status == 0)
      try FileSystem.removeTree(run.tree)
    }
  }
}

/// Apply killed at a call of its own, and again.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc"), .program("git"), .path("/usr/bin/python3")),
  .ends(within: 10))
struct ReviewKillTests {
  @Test func aKilledApplyGoesOnWhereItStopped() throws {
    let behind = OrdinaryUser.prefix.count
    var points: [CallPoint] = []
    try Zonectl.with(.ordinaryUser) { zones in
      let run = try ReviewRun(zones, making: ReviewTests.checkout)
      try run.reviewed(ReviewTests.work)
      points = try Trace(tracedApply(run), behind: behind).points[0]
    }
    let acts = points.filter {
      [
        "rename", "renameat", "renameat2", "unlinkat", "mkdirat", "linkat", "symlinkat", "pwrite64", "fchmodat",
        "chmod",
        "setxattr", "removexattr", "mknodat", "utimensat", "openat", "ftruncate", "syncfs",
      ].contains($0.call)
    }
    #expect(acts.count > 100)
    var hits = 0
    for point in acts.spread(24) {
      try Zonectl.with(.ordinaryUser) { zones in
        let run = try ReviewRun(zones, making: ReviewTests.checkout)
        let seen = try run.reviewed(ReviewTests.work)
        let (outcome, hit) = try Injection.run(tracedApply(run), .kill, at: point, behind: behind)
        #expect(!outcome.timedOut, "killed at \(point)")
        if hit != nil { hits += 1 }
        if run.isThere() {
          let again = try run.changes("apply")
          #expect(again.status == 0, "killed at \(point): \(again)")
        }
        try expectSame(seen, run.look(), "killed at \(point)")
      }
    }
    #expect(hits >= 20)
  }

  /// Not from within the project: the tracer is put where it is run from.
  private func tracedApply(_ run: ReviewRun) -> Command { run.zones.command(["changes", "apply", "--id", "r"]) }
}
