import Foundation
import Glibc
import Testing

/// A run is learned on one input and its profile used on others: as the ordinary user, with real programs.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("gcc"), .program("make"), .program("python3")),
  .ends(within: 5))
struct LearnTests {
  private func learn(_ me: Developer, _ options: [String], _ command: String...) throws -> Outcome {
    var made = me.command([], command)
    let at = try #require(made.argv.firstIndex(of: "sandbox"))
    made.argv[at] = "learn"
    made.argv.insert(contentsOf: options, at: at + 1)
    return try made.run()
  }

  private func profile(_ me: Developer) throws -> String {
    try String(contentsOfFile: me.zones.folder + "/profile", encoding: .utf8)
  }

  private func output(_ me: Developer) -> [String] { ["--output", me.zones.folder + "/profile"] }
  private func using(_ me: Developer) -> [String] { ["--profile", me.zones.folder + "/profile"] }

  private static let convert = """
    #!/bin/sh
    . ./conf/settings
    for f in "$@"; do sed "s/$from/$to/" "$f" | sort > "out/$(basename "$f").sorted" || exit 1; done
    """

  private func converter(_ me: Developer) throws {
    try me.outside(
      """
      mkdir conf in out ~/.ssh; printf 'from=a\\nto=b\\n' > conf/settings; echo key > ~/.ssh/id_x; echo key > ~/.netrc
      for i in 1 2 3 4; do printf 'c\\na\\n' > in/$i.txt; done
      """)
    try Self.convert.write(toFile: me.project + "/convert.sh", atomically: true, encoding: .utf8)
    chmod(me.project + "/convert.sh", 0o755)
  }

  @Test func aShellScriptThatConvertsFiles() throws {
    try Developer.with { (me) throws in
      try converter(me)
      let learned = try learn(me, output(me), "./convert.sh", "in/1.txt")
      #expect(learned.status == 0 && learned.err.contains("profile"), "\(learned)")
      let text = try profile(me)
      #expect(text.contains("\nonly\n") && text.contains("\nrw ~/project/out\n"), "\(text)")
      #expect(!text.contains("network") || !text.contains("allow="), "\(text)")
      for number in 2...4 {
        let outcome = try me.run(using(me), "./convert.sh", "in/\(number).txt")
        #expect(outcome.status == 0, "\(outcome) with \(text)")
        #expect(try me.outside("cat out/\(number).txt.sorted").lines == ["b", "c"])
      }
      // It turns against its caller.
      try me.outside("sed -i '2i cat ~/.ssh/id_x; echo x > conf/new; mkdir elsewhere' convert.sh")
      let report = me.zones.folder + "/report"
      let stopped = try me.run(using(me) + ["--report", report], "./convert.sh", "in/2.txt")
      let told = try String(contentsOfFile: report, encoding: .utf8)
      #expect(!stopped.out.contains("key") && told.contains("/.ssh/id_x") && told.contains("yours alone"), "\(told)")
      #expect(told.contains("conf/new"), "\(told)")
      #expect(try me.files.contains("elsewhere") == false)
      // A group that the run did not need.
      let narrow = try me.run(["--calls", "process"], "python3", "-c", "import os; os.mkdir('m')")
      #expect(narrow.status != 0 && narrow.err.contains("Operation not permitted"), "\(narrow)")
      #expect(try me.run(["--calls", "process,file-system"], "mkdir", "m").status == 0)
    }
  }

  @Test func runsMergeAndACheckTells() throws {
    try Developer.with { (me) throws in
      try converter(me)
      _ = try learn(me, output(me), "./convert.sh", "in/1.txt")
      let clean = try learn(me, ["--check"] + using(me), "./convert.sh", "in/3.txt")
      #expect(clean.status == 0 && clean.err.isEmpty, "\(clean)")
      let other = try learn(me, ["--check"] + using(me), "sh", "-c", "mkdir ~/more; echo x > ~/more/x; cat ~/.netrc")
      #expect(other.status == 1 && other.err.contains("/.netrc") && other.err.contains("/more"), "\(other)")
      try me.outside("rm -r ~/more; mkdir ~/more")
      let second = try learn(me, output(me), "sh", "-c", "echo x > ~/more/x; cat ~/.netrc")
      #expect(second.status == 0, "\(second)")
      let text = try profile(me)
      #expect(
        text.contains("runs: 2\n") && text.contains("rw ~/more\n") && text.contains("rw ~/project/out\n"), "\(text)")
      #expect(text.contains("secret of yours") && text.contains("\nro ~/.netrc\n"), "\(text)")
    }
  }

  private static let server = """
    import http.server, sys
    class Answer(http.server.BaseHTTPRequestHandler):
      def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(('got ' + self.path).encode())
      def log_message(self, *rest): pass
    server = http.server.HTTPServer(('127.0.0.1', 0), Answer)
    print(server.server_port, flush=True)
    server.serve_forever()
    """

  private static let fetch = """
    import json, os, sys, urllib.request
    place = json.load(open(os.path.expanduser('~/.config/fetch/config.json')))
    for name in sys.argv[1:]:
      url = place['url'] + open(name).read().strip()
      with open('out/' + os.path.basename(name), 'w') as out: out.write(urllib.request.urlopen(url).read().decode())
    """

  @Test func aPythonProgramThatFetches() throws {
    try Developer.with { (me) throws in
      var servers: [Running] = []
      defer { for one in servers { one.signal(SIGKILL) } }
      var ports: [String] = []
      for _ in 0..<2 {
        let one = try Command("python3", "-c", Self.server).start()
        servers.append(one)
        try #require(one.readUntil { $0.contains("\n") })
        ports.append(one.output.trimmingCharacters(in: .whitespacesAndNewlines))
      }
      try me.outside(
        """
        mkdir -p ~/.config/fetch in out; echo '{"url": "http://localhost:\(ports[0])/"}' > ~/.config/fetch/config.json
        for i in 1 2 3 4; do echo page$i > in/$i; done
        """)
      try Self.fetch.write(toFile: me.project + "/fetch.py", atomically: true, encoding: .utf8)
      let learned = try learn(me, output(me), "python3", "fetch.py", "in/1")
      #expect(learned.status == 0, "\(learned)")
      let text = try profile(me)
      #expect(text.contains("network allow=localhost:\(ports[0])\n"), "\(text)")
      for number in 2...4 {
        let outcome = try me.run(using(me), "python3", "fetch.py", "in/\(number)")
        #expect(outcome.status == 0, "\(outcome) with \(text)")
        #expect(try me.outside("cat out/\(number)").out == "got /page\(number)")
      }
      try me.outside("sed -i 's/\(ports[0])/\(ports[1])/' ~/.config/fetch/config.json")
      let report = me.zones.folder + "/report"
      let stopped = try me.run(using(me) + ["--report", report], "python3", "fetch.py", "in/2")
      let told = try String(contentsOfFile: report, encoding: .utf8)
      #expect(
        stopped.status != 0 && told.contains("localhost:\(ports[1])") && told.contains("not allowed by"), "\(told)")
    }
  }

  @Test func aProgramThatMakeCompiles() throws {
    try Developer.with { (me) throws in
      try me.outside(
        """
        mkdir src build; printf 'all: build/one build/two\\nbuild/%%: src/%%.c\\n\\tgcc -o $@ $<\\n' > Makefile
        for n in one two; do echo 'int main(void) { return 0; }' > src/$n.c; done
        """)
      let learned = try learn(me, output(me) + ["--network", "none"], "make")
      #expect(learned.status == 0, "\(learned)")
      let text = try profile(me)
      for name in ["three", "four", "five"] {
        try me.outside("echo '#include <stdio.h>\nint main(void) { puts(\"hi\"); return 0; }' > src/\(name).c")
        let outcome = try me.run(using(me), "make", "build/\(name)")
        #expect(outcome.status == 0, "\(outcome) with \(text)")
        #expect(try me.outside("build/\(name)").lines == ["hi"])
      }
    }
  }
}
