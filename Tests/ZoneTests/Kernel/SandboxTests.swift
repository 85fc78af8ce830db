import Foundation
import Glibc
import Testing

/// The sandbox as its users meet it: an ordinary one, one with a single id, and root.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .program("git")), .ends(within: 5))
struct SandboxTests {
  @Test(arguments: [Zonectl.Who.ordinaryUser, .userOfOneId, .root]) func theCommandIsItsCaller(who: Zonectl.Who) throws
  {
    try Developer.with(who) { (me) throws in
      let outcome = try me.inside("id -u; id -g; id -un; pwd; echo $HOME; echo in > made; cat /proc/self/uid_map")
      let uid = who == .root ? 0 : try #require(OrdinaryUser.found).uid
      let name = who == .root ? "root" : OrdinaryUser.name
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.lines.prefix(5) == ["\(uid)", "\(uid)", name, me.project, me.home])
      var status = stat()
      #expect(stat(me.project + "/made", &status) == 0 && status.st_uid == uid)
      #expect(try me.files == ["made"], "what had to be made in the project is gone")
    }
  }

  @Test func statusesAreTheCommandsOwn() throws {
    try Developer.with { (me) throws in
      #expect(try me.inside("exit 7").status == 7)
      #expect(try me.inside("kill -TERM $$").status == 143)
      #expect(try me.run([], "nonesuch").status == 127)
      #expect(try me.run([], "/etc/passwd").status == 126)
      let refused = try me.run(["--require", "moat"], "true")
      #expect(refused.status == 2 && refused.err.contains("mount") && refused.out.isEmpty)
      let late = try me.run(["--timeout", "0.2"], "sleep", "100")
      #expect(late.status == 125 && late.err.split(separator: "\n").count == 1, "\(late)")
      #expect(try me.run([], "cat", input: "through").out == "through")
    }
  }

  @Test(arguments: [SIGUSR1, SIGUSR2, SIGHUP, SIGTERM]) func signalsAreTheCommands(signal: Int32) throws {
    try Developer.with { (me) throws in
      let running = try me.command(
        [], ["sh", "-c", "trap 'exit 3' USR1 USR2 HUP TERM; echo ready; while :; do sleep 0.05; done"]
      ).start()
      try #require(running.readUntil { $0.contains("ready") })
      running.signal(signal)
      #expect(try running.finish(timeout: 10).status == 3)
    }
  }

  @Test func nothingElseIsInSight() throws {
    try Developer.with { (me) throws in
      try me.outside(
        "mkdir ~/.ssh ~/other && echo key > ~/.ssh/id && echo mine > ~/other/file && echo x > ~/.netrc && echo h > ~/.bash_history"
      )
      me.environment = [
        "SSH_AUTH_SOCK": "/tmp/agent", "AWS_SECRET_ACCESS_KEY": "k", "GITHUB_TOKEN": "t", "DISPLAY": ":0",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/x", "CMAKE_TOKEN": "t", "CMAKE_GENERATOR": "Ninja", "CC": "cc",
      ]
      let outcome = try me.inside(
        """
        ls -A ~; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; ls /proc | grep -c '^[0-9]'; ls /home /srv /mnt /media /run
        cat ~/.ssh/id; cat /etc/shadow; ls -A /tmp; grep -c . /proc/net/dev; grep CapBnd /proc/self/status
        """)
      #expect(outcome.lines.first == "project", "\(outcome)")
      let names = outcome.lines.count > 1 ? outcome.lines[1].split(separator: " ") : []
      for secret in ["SSH_AUTH_SOCK", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DISPLAY", "CMAKE_TOKEN"] {
        #expect(!names.contains { $0 == secret })
      }
      #expect(names.contains("CMAKE_GENERATOR") && names.contains("CC"))
      #expect(!outcome.out.contains("key") && !outcome.out.contains("root:"))
      #expect(outcome.out.contains("CapBnd:\t0000000000000000"))
      let shown = try me.inside(
        ["--env", "GITHUB_TOKEN", "--ro", me.home + "/other"], "echo $GITHUB_TOKEN; cat ~/other/file; touch ~/other/x")
      #expect(shown.lines == ["t", "mine"] && shown.err.contains("Read-only"), "\(shown)")
    }
  }

  /// Given as a whole, a home still hides what is only its owner's.
  @Test func aHomeThatIsGivenKeepsItsSecrets() throws {
    try Developer.with { (me) throws in
      try me.outside("mkdir ~/.ssh ~/other; echo key > ~/.ssh/id; echo x > ~/.netrc; echo mine > ~/other/file")
      let outcome = try me.inside(
        ["--rw", me.home], "cat ~/other/file ~/.ssh/id ~/.netrc; ls -A ~/.ssh; ls \(me.zones.root)")
      #expect(outcome.lines == ["mine"], "\(outcome)")
      let named = try me.inside(["--rw", me.home, "--ro", me.home + "/.ssh"], "cat ~/.ssh/id")
      #expect(named.lines == ["key"], "\(named)")
    }
  }

  @Test(arguments: ["/", "/tmp", "HOME"]) func aFolderThatIsNoProjectIsRefused(place: String) throws {
    try Developer.with { (me) throws in
      var command = me.command([], ["true"])
      command.directory = place == "HOME" ? me.home : place
      let outcome = try command.run()
      #expect(outcome.status == 125 && outcome.err.contains("--rw"), "\(outcome)")
    }
  }

  @Test func whatRunsLaterOutsideIsProtected() throws {
    try Developer.with(git: true) { (me) throws in
      try me.outside(
        "mkdir .vscode; echo '{}' > .vscode/tasks.json; printf '#!/bin/sh\\necho hooked\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit"
      )
      let outcome = try me.inside(
        """
        for f in .git/hooks/post-commit .git/config .vscode/tasks.json .envrc/x .idea/x .claude/x; do echo x >> $f && echo WROTE $f; done
        mv .git .g && echo MOVED; mv .vscode v && echo MOVED; rmdir .envrc && echo REMOVED; rm -rf .git/hooks 2>/dev/null && echo REMOVED
        ln -s /tmp .idea && echo LINKED; mkdir -p .git/hooks2 && mv .git/hooks .git/hooks3 && echo MOVED
        echo two > file && git -c user.name=A -c user.email=a@b commit -qam two && git log --oneline | wc -l; git status --short
        """)
      #expect(outcome.lines == ["2", "?? .vscode/"] && outcome.err.contains("hooked"), "\(outcome)")
      #expect(try me.outside("git log --format=%s").lines == ["two", "one"])
      #expect(try me.files == [".git", ".vscode", "file"])
      let lifted = try me.inside(
        ["--rw", me.project + "/.git/hooks", "--rw", me.project + "/.envrc"],
        "echo x > .git/hooks/a && echo y > .envrc && echo ok")
      #expect(lifted.status == 125 && lifted.err.contains(".envrc"), "\(lifted)")
      try me.outside("touch .envrc")
      let again = try me.inside(
        ["--rw", me.project + "/.git/hooks", "--rw", me.project + "/.envrc"],
        "echo x > .git/hooks/a && echo y > .envrc && echo ok")
      #expect(again.lines == ["ok"], "\(again)")
    }
  }

  /// Nothing can be mounted on a link, and whoever replaces it is out of the walls' reach.
  @Test func aLinkInAProtectedPlaceIsRefused() throws {
    try Developer.with(git: true) { (me) throws in
      try me.outside("mkdir elsewhere && ln -s elsewhere .vscode")
      let outcome = try me.run([], "true")
      #expect(outcome.status == 125 && outcome.err.contains(".vscode"), "\(outcome)")
      #expect(try me.run(["--rw", me.project + "/.vscode"], "true").status == 0)
    }
  }

  @Test func gitKnowsItsUser() throws {
    try Developer.with(git: true) { (me) throws in
      try me.outside(
        "git config --global user.name 'Ada \"L\" B'; git config --global user.email a@l; git config --global alias.x '!touch /tmp/ran'; git config --global credential.helper store"
      )
      let outcome = try me.inside(
        "git config user.name; git config user.email; git config alias.x; git config credential.helper; git commit -q --allow-empty -m three && git log -1 --format=%an"
      )
      #expect(outcome.lines == ["Ada \"L\" B", "a@l", "Ada \"L\" B"], "\(outcome)")
    }
  }

  @Test func toolsOfTheHomeWorkAndCachesPass() throws {
    try Developer.with { (me) throws in
      try me.outside(
        """
        mkdir -p ~/.cargo/bin ~/.rustup/bin ~/.nvm/versions/node/v1/bin ~/.npm ~/.local/bin ~/.local/share/uv ~/bin
        printf '#!/bin/sh\\ncat ~/.rustup/say\\n' > ~/.cargo/bin/rust; echo rust > ~/.rustup/say; echo tok > ~/.cargo/credentials.toml
        printf '#!/bin/sh\\necho node\\n' > ~/.nvm/versions/node/v1/bin/node; printf '#!/bin/sh\\ncat ~/.local/share/uv/say\\n' > ~/.local/bin/uv
        echo uv > ~/.local/share/uv/say; echo cached > ~/.npm/cached; chmod +x ~/.cargo/bin/* ~/.nvm/versions/node/v1/bin/* ~/.local/bin/*
        """)
      me.environment["PATH"] =
        ["/.cargo/bin", "/.nvm/versions/node/v1/bin", "/.local/bin"].map { me.home + $0 }.joined(separator: ":")
        + ":/usr/bin:/bin"
      let outcome = try me.inside(
        """
        rust; node; uv; cat ~/.npm/cached; echo new > ~/.npm/new && cat ~/.npm/new; echo x > ~/.npm/cached; echo y > ~/.cargo/y && echo written
        touch ~/.nvm/x ~/.rustup/x ~/.local/bin/x; cat ~/.cargo/credentials.toml
        """)
      #expect(outcome.lines == ["rust", "node", "uv", "cached", "new", "written"], "\(outcome)")
      #expect(
        try me.outside("cat ~/.npm/cached; ls -A ~/.npm ~/.cargo").lines.filter {
          $0 == "new" || $0 == "y" || $0 == "x"
        }.isEmpty)
    }
  }

  @Test func aHomeCanLast() throws {
    try Developer.with { (me) throws in
      #expect(try me.inside(["--home", "agent"], "echo kept > ~/note").status == 0)
      #expect(try me.inside(["--home", "agent"], "cat ~/note").lines == ["kept"])
      #expect(try me.inside("cat ~/note").status == 1)
      #expect(access(me.home + "/note", F_OK) != 0)
    }
  }

  /// Also when launcher and keeper were killed: the next sandbox cleans up.
  @Test func aKilledSandboxLeavesNothing() throws {
    try Developer.with { (me) throws in
      let running = try me.command(["--id", "first"], ["sleep", "1000"]).start()
      #expect(try eventually(timeout: 10) { try me.zones.state("first") == "running" && me.files.contains(".envrc") })
      let status = try #require(try me.zones.status("first"))
      let (keeper, pid) = (try #require(status.keeper), try #require(status.pid))
      // The shell that changed the user is the launcher by now.
      kill(running.pid, SIGSTOP)
      kill(keeper, SIGKILL)
      kill(running.pid, SIGKILL)
      _ = try running.finish(timeout: 10)
      #expect(eventually(timeout: 10) { kill(pid, 0) != 0 }, "the command has gone with its keeper")
      #expect(try me.files.contains(".envrc"))
      #expect(try me.run([], "true").status == 0)
      #expect(try me.files.isEmpty)

      let second = try me.command(["--id", "second"], ["sleep", "1000"]).start()
      #expect(try eventually(timeout: 10) { try me.zones.state("second") == "running" })
      let command = try #require(try me.zones.status("second")?.pid)
      kill(second.pid, SIGKILL)
      _ = try second.finish(timeout: 10)
      #expect(eventually(timeout: 10) { kill(command, 0) != 0 }, "the command has gone with its launcher")
      #expect(try eventually(timeout: 10) { try me.files.isEmpty })
    }
  }

  /// A directory that two of them cover goes with the last: to remove it would take the other one's cover away.
  @Test func twoInOneProjectProtectEachOther() throws {
    try Developer.with { (me) throws in
      let first = try me.command(
        ["--id", "first"],
        ["sh", "-c", "until [ -e go ]; do sleep 0.05; done; echo x > .envrc/x && echo WROTE; ls -d .envrc"]
      ).start()
      #expect(try eventually(timeout: 10) { try me.zones.state("first") == "running" })
      #expect(try me.run([], "true").status == 0)
      #expect(try me.files.contains(".envrc"))
      try me.outside("touch go")
      let outcome = try first.finish(timeout: 20)
      #expect(outcome.lines == [".envrc"], "\(outcome)")
      #expect(try me.files == ["go"])
    }
  }

  @Test func aTerminalIsPassedOn() throws {
    try Developer.with { (me) throws in
      let terminal = try Terminal(
        me.command([], ["sh", "-c", "tty; stty size; read a; echo got $a; exit 9"]), rows: 31, columns: 99)
      #expect(terminal.shows("/dev/pts/0") && terminal.shows("31 99"), "\(terminal.screen)")
      terminal.type("word\n")
      #expect(terminal.shows("got word"), "\(terminal.screen)")
      #expect(terminal.wait() == 9)
    }
  }

  @Test func theReportTellsHowItEnded() throws {
    struct Report: Decodable {
      var version: Int, id: String, status: Int, code: Int?, signal: Int?, seconds: Double, userSeconds: Double
      var peakMemory: Int64, timedOut: Bool, error: String?
    }
    try Developer.with { (me) throws in
      let read = {
        try JSONDecoder().decode(
          Report.self, from: try #require(FileManager.default.contents(atPath: me.project + "/report")))
      }
      #expect(
        try me.inside(
          ["--report", "report", "--id", "mine"], "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 3"
        ).status == 3)
      var report = try read()
      #expect(
        report.version == 1 && report.id == "mine" && report.status == 3 && report.code == 3 && report.signal == nil)
      #expect(report.userSeconds > 0 && report.userSeconds < 30 && report.peakMemory > 100_000 && report.seconds > 0)
      #expect(try me.inside(["--report", "report"], "kill -9 $$").status == 137)
      report = try read()
      #expect(report.signal == 9 && report.code == nil && report.status == 137)
      #expect(try me.run(["--report", "report"], "nonesuch").status == 127)
      report = try read()
      #expect(report.status == 127 && report.error?.contains("nonesuch") == true)
      #expect(try me.run(["--report", "report", "--timeout", "0.1"], "sleep", "10").status == 125)
      #expect(try read().timedOut)
      // Where the report goes is settled before the command could put a link there.
      try me.outside("mkdir sub target")
      #expect(try me.inside(["--report", "sub/report"], "mv sub gone; ln -s target sub").status == 0)
      #expect(
        try me.outside("ls gone target").out.contains("report") && access(me.project + "/target/report", F_OK) != 0)
    }
  }

  @Test func switchedOffUserNamespacesAreNamed() throws {
    try Developer.with { (me) throws in
      // The limit of a namespace around us counts as the machine's does.
      var command = me.command([], ["true"])
      let from = try #require(command.argv.firstIndex { $0.hasSuffix("/zonectl") })
      command.argv.insert(
        contentsOf: [
          "unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c",
          "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"", "sh",
        ], at: from)
      let outcome = try command.run()
      #expect(outcome.status == 125 && outcome.err.contains("user.max_user_namespaces is 0"), "\(outcome)")
      #expect(outcome.err.split(separator: "\n").count == 1)
    }
  }

  /// In another zone, and in a third one in that, as in a container of somebody else's.
  @Test func itNests() throws {
    try Developer.with { (me) throws in
      let again = "\(me.zones.folder)/zonectl --root /tmp/z sandbox --nesting"
      let outcome = try me.inside(
        ["--nesting", "--ro", me.zones.folder + "/zonectl"],
        "\(again) --ro \(me.zones.folder)/zonectl -- \(again) -- sh -c 'id -u; pwd; touch made && ls /home | wc -l'")
      #expect(outcome.lines.prefix(2) == ["\(try #require(OrdinaryUser.found).uid)", me.project], "\(outcome)")
      #expect(try me.files == ["made"])
    }
  }

  @Test func namesThatAreAllowedAreReached() throws {
    try Developer.with { (me) throws in
      let server = try Command(
        me.zones.prefix + ["/usr/bin/python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
      ).start()
      defer {
        kill(server.pid, SIGKILL)
        _ = try? server.finish(timeout: 5)
      }
      var port = 0
      let ready = server.readUntil { said in
        port = Int(said.components(separatedBy: "port ").dropFirst().first?.prefix { $0.isNumber } ?? "") ?? 0
        return port != 0
      }
      try #require(ready)
      let outcome = try me.inside(
        ["--network", "allow=localhost:\(port)", "--report", "report"],
        "curl -sf http://localhost:\(port)/ | grep -c listing; curl -sf http://example.invalid/; curl -sf http://127.0.0.1:1/ --noproxy '*'; exit 4"
      )
      #expect(outcome.status == 4 && outcome.lines == ["2"], "\(outcome)")
      let told = outcome.err.split(separator: "\n")
      #expect(told.count == 1 && told[0].contains("denied example.invalid:80"), "\(outcome)")
      let report = try #require(FileManager.default.contents(atPath: me.project + "/report"))
      #expect(String(decoding: report, as: UTF8.self).contains("example.invalid:80"))
      #expect(try me.run(["--network", "allow=bad host"], "true").status == 2)
    }
  }

  @Test func aReviewedProjectStaysAsItIs() throws {
    try Developer.with(git: true) { (me) throws in
      try me.outside("echo keep > kept; echo gone > gone")
      let outcome = try me.inside(
        ["--review", "--id", "look", "--report", me.home + "/report"],
        "echo two > file; rm gone; mkdir new; echo x > new/x; echo evil > .git/hooks/post-commit; cat file")
      #expect(outcome.status == 0 && outcome.lines == ["two"], "\(outcome)")
      #expect(try me.files == [".git", "file", "gone", "kept"])
      #expect(try me.outside("cat file").lines == ["one"])
      let changes = { (words: String...) throws -> Outcome in
        var command = me.zones.command(["changes"] + words)
        command.directory = me.project
        return try command.run()
      }
      let list = try changes("list")
      #expect(list.status == 0 && list.lines.count == 6, "\(list)")
      let apply = try changes("apply")
      #expect(apply.status == 1 && apply.err.contains(".git/hooks"), "\(apply)")
      #expect(try me.files == [".git", "file", "kept", "new"])
      #expect(try me.outside("cat file new/x; ls .git/hooks/post-commit || true").lines == ["two", "x"])
      #expect(try changes("drop", "--yes").status == 0)
      // What changed nothing leaves nothing to look at.
      #expect(try me.run(["--review"], "true").err.isEmpty)
      #expect(try changes("list").status == 1)
    }
  }

  @Test(.needs(.program("gcc"), .program("strace"))) func toolsThatTraceWorkInside() throws {
    try Developer.with { (me) throws in
      try me.outside(
        "printf '#include <stdlib.h>\\nint main(void) { char *volatile p = malloc(9); p = 0; return p != 0; }' > leak.c"
      )
      let outcome = try me.inside(
        "gcc -fsanitize=address leak.c -o leak && ./leak; strace -f -e trace=execve true 2>&1 >/dev/null | grep -c execve"
      )
      #expect(outcome.err.contains("LeakSanitizer: detected memory leaks"), "\(outcome)")
      #expect(outcome.lines.last == "1", "\(outcome)")
    }
  }

  /// As tab completion writes it, and by a link.
  @Test func aPathHasOneText() throws {
    try Developer.with { (me) throws in
      try me.outside("mkdir ~/.ssh; echo key > ~/.ssh/id; ln -s ~ ~/link; ln -s ~/.ssh ~/keys; mkdir ~/other")
      for way in ["--ro \(me.home)/", "--rw \(me.home)//", "--ro \(me.home)/link", "--ro \(me.home)/other/../"] {
        let outcome = try me.inside(
          way.split(separator: " ").map(String.init), "cat ~/.ssh/id ~/keys/id; ls -d ~/other")
        #expect(outcome.lines == [me.home + "/other"], "\(way): \(outcome)")
      }
    }
  }

  @Test func whatIsTheCallersIsNotWrittenOver() throws {
    try Developer.with { (me) throws in
      try me.outside("git config --global user.name A; git config --global alias.x y")
      for option in ["--rw", "--ro"] {
        #expect(try me.run([option, me.home], "true").status == 0)
        #expect(try me.outside("git config --global alias.x").lines == ["y"])
      }
    }
  }

  @Test func gitIsNotLedElsewhere() throws {
    try Developer.with(git: true) { (me) throws in
      let outcome = try me.inside(
        """
        mkdir -p evil/refs evil/objects; printf '[core]\\nrepositoryformatversion=0\\nfsmonitor="touch PWNED; false"\\n' > evil/config
        echo ../evil > .git/commondir; rm -f .git/commondir; echo x > .git/config.worktree
        mkdir -p .git/modules/a .git/worktrees/b; git status --short; git log --oneline | wc -l
        """)
      #expect(outcome.lines == ["?? evil/", "1"], "\(outcome)")
      #expect(try me.outside("git status --short; git rev-parse --git-path hooks").lines == ["?? evil/", ".git/hooks"])
      let git = try FileManager.default.contentsOfDirectory(atPath: me.project + "/.git")
      #expect(Set(git).isDisjoint(with: ["commondir", "config.worktree", "modules", "worktrees"]), "\(git)")
    }
  }

  @Test func withoutARepositoryTheProjectBecomesNone() throws {
    try Developer.with { (me) throws in
      let outcome = try me.inside(
        "mkdir -p refs objects; echo 'ref: refs/heads/a' > HEAD; printf '[core]\\nbare=true\\nfsmonitor=x\\n' > config; git init -q"
      )
      #expect(outcome.status != 0, "\(outcome)")
      #expect(try me.files == ["config", "objects", "refs"])
    }
  }

  @Test func aReviewIsOfTheProjectOrRefused() throws {
    try Developer.with(git: true) { (me) throws in
      let outcome = try me.inside(["--review", "--rw", me.project], "echo x > .git/hooks/pre-commit")
      #expect(outcome.status == 125 && outcome.err.contains("--rw"), "\(outcome)")
      try me.outside("mkdir 'p:\(me.home.dropFirst())' -p")
      var command = me.command(["--review"], ["true"])
      command.directory = me.project + "/p:" + me.home.dropFirst()
      #expect(try command.run().status == 125)
    }
  }

  @Test func aFolderAboveLiftsNothing() throws {
    try Developer.with(git: true) { (me) throws in
      let outcome = try me.inside(["--rw", me.home], "echo x > .git/hooks/pre-push; echo y > ~/note")
      #expect(outcome.err.contains("Read-only"), "\(outcome)")
      #expect(try me.outside("cat ~/note").lines == ["y"])
    }
  }

  /// Its owner may take a right away and give it back: a closed folder is none that nobody writes to.
  @Test func aClosedFolderIsProtectedOrRefused() throws {
    try Developer.with(git: true) { (me) throws in
      try me.outside("rm -rf .git/hooks; chmod 555 .git")
      let outcome = try me.inside("chmod 755 .git; mkdir .git/hooks && echo x > .git/hooks/a && echo PLANTED")
      #expect(outcome.status == 125 && !outcome.out.contains("PLANTED"), "\(outcome)")
      try me.outside("chmod 755 .git")
      #expect(try me.inside("chmod 555 .").status == 0)
      #expect(try me.files == [".git", "file"])
    }
  }

  @Test func whatIsHiddenIsNotMovedAside() throws {
    try Developer.with { (me) throws in
      try me.outside("mkdir -p sub/deep; echo secret > sub/deep/.env")
      let outcome = try me.inside(
        ["--hide", "sub/deep/.env"], "mv sub away; mv sub/deep sub/x; cat sub/deep/.env away/deep/.env sub/x/.env")
      #expect(!outcome.out.contains("secret"), "\(outcome)")
    }
  }

  @Test func anActivatedEnvironmentIsWritable() throws {
    try Developer.with { (me) throws in
      try me.outside("mkdir -p venv/bin venv/lib")
      me.environment = ["VIRTUAL_ENV": me.project + "/venv", "PATH": me.project + "/venv/bin:/usr/bin:/bin"]
      #expect(try me.inside("touch venv/bin/x && echo ok").lines == ["ok"])
    }
  }
}
