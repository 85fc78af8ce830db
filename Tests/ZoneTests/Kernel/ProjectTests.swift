import Foundation
import Glibc
import Testing

/// Real projects, built and tested inside with a profile and the network's option alone; nothing is left outside of them.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .program("git")), .ends(within: 5))
struct ProjectTests {
  @Test(.needs(.program("gcc"), .program("make"))) func aProjectOfCBuildsAndTests() throws {
    try Developer.with(git: true) { (me) throws in
      try me.outside(
        """
        printf 'all: hello\\nhello: a.o b.o\\n\\t$(CC) -o $@ $^\\ntest: hello\\n\\t./hello | grep -q 42\\ninstall: hello\\n\\tcp hello $(HOME)/hello\\n' > Makefile
        echo 'int answer(void) { return 42; }' > b.c
        printf '#include <stdio.h>\\nint answer(void);\\nint main(void) { printf("%%d", answer()); }' > a.c
        """)
      try me.leavesNothingOutside {
        let outcome = try me.inside(["--profile", "build"], "make -j2 test install")
        #expect(outcome.status == 0, "\(outcome)")
      }
      #expect(try me.files == [".git", "Makefile", "a.c", "a.o", "b.c", "b.o", "file", "hello"])
    }
  }

  @Test(.needs(.path("/usr/bin/python3"), .path("/usr/lib/python3/dist-packages/pip"), .program("openssl")))
  func aPythonProjectInstallsFromAnIndexByName() throws {
    try Developer.with { (me) throws in
      try TLSFolder.with(me) { (index) throws in
        try me.outside(
          """
          mkdir -p ~/index/simple/answer && cd ~/index && cat > ../wheel.py <<'END'
          import zipfile
          with zipfile.ZipFile('answer-1.0-py3-none-any.whl', 'w') as z:
              z.writestr('answer/__init__.py', 'def of(): return 42')
              z.writestr('answer-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: answer\\nVersion: 1.0\\n')
              z.writestr('answer-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
              z.writestr('answer-1.0.dist-info/RECORD', '')
          END
          /usr/bin/python3 ../wheel.py
          echo '<a href="/answer-1.0-py3-none-any.whl">answer-1.0-py3-none-any.whl</a>' > simple/answer/index.html
          cd ~/project && printf 'import answer, unittest\\nclass T(unittest.TestCase):\\n  def test(self): self.assertEqual(answer.of(), 42)\\n' > test_it.py
          """)
        try me.leavesNothingOutside {
          let outcome = try me.inside(
            ["--profile", "python"] + index.allowed,
            """
            /usr/bin/python3 -m venv --without-pip venv
            /usr/bin/python3 -m pip --python venv/bin/python install -q --cert cert.pem --index-url \(index.url)/simple answer &&
            venv/bin/python -m unittest -q test_it && echo tested
            /usr/bin/python3 -m pip --python venv/bin/python download -q --retries 0 --index-url https://pypi.invalid/simple other
            """)
          #expect(outcome.lines.last == "tested", "\(outcome)")
          #expect(outcome.err.contains("denied pypi.invalid:443"), "\(outcome)")
        }
      }
    }
  }

  /// An agent's home lasts from run to run; it works on the project, commits, and reaches nobody who is not named.
  @Test(.needs(.program("gcc"), .program("make"), .program("curl"))) func anAgentWorks() throws {
    try Developer.with(git: true) { (me) throws in
      try me.outside("git config --global user.name A; git config --global user.email a@b")
      me.environment["ANTHROPIC_API_KEY"] = "k"
      me.environment["GITHUB_TOKEN"] = "t"
      let script =
        """
        echo "$ANTHROPIC_API_KEY,$GITHUB_TOKEN," >> ~/.agent-log
        printf 'int main(void) { return %d; }\\n' $(wc -l < ~/.agent-log) > main.c
        printf 'test: main\\n\\t./main; test $$? -gt 0\\n' > Makefile
        make -s test && git add main.c Makefile && git commit -q -m "turn $(wc -l < ~/.agent-log)"
        curl -s https://evil.example/ || cat ~/.agent-log
        """
      try me.leavesNothingOutside {
        for turn in 1...2 {
          let outcome = try me.inside(["--profile", "agent"], script)
          #expect(outcome.lines == Array(repeating: "k,,", count: turn), "\(outcome)")
          #expect(outcome.err.contains("denied evil.example:443"), "\(outcome)")
        }
      }
      #expect(
        try me.outside("git log --format=%s -3; cat main.c").lines == [
          "turn 2", "turn 1", "one", "int main(void) { return 2; }",
        ])
    }
  }
}

/// Those whose tools not everybody has; `scripts/test --full` installs them.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("git"), .program("openssl")), .ends(within: 10))
struct LongProjectTests {
  @Test(.needs(.tool("node"), .tool("npm"))) func aNodeProjectInstallsFromARegistryByName() throws {
    try Developer.with { (me) throws in
      try me.withTool("npm")
      try TLSFolder.with(me) { (index) throws in
        try me.outside(
          """
          mkdir -p ~/index/answer/-/ package
          echo '{"name":"answer","version":"1.0.0","main":"index.js"}' > package/package.json
          echo 'module.exports = () => 42' > package/index.js
          tar -czf ~/index/answer/-/answer-1.0.0.tgz package && rm -r package
          echo '{"name":"answer","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"answer","version":"1.0.0","main":"index.js","dist":{"tarball":"\(index.url)/answer/-/answer-1.0.0.tgz","shasum":"'$(sha1sum < ~/index/answer/-/answer-1.0.0.tgz | cut -d' ' -f1)'"}}}}' > ~/index/answer/index.html
          echo '{"name":"project","version":"1.0.0","dependencies":{"answer":"^1.0.0"},"scripts":{"test":"node test.js"}}' > package.json
          echo 'require("assert").equal(require("answer")(), 42); console.log("tested")' > test.js
          printf 'registry=\(index.url)/\\ncafile=\(index.certificate)\\naudit=false\\nfund=false\\nupdate-notifier=false\\n' > .npmrc
          """)
        try me.leavesNothingOutside {
          let outcome = try me.inside(
            ["--profile", "node"] + index.allowed,
            "npm install --silent && npm ci --silent && npm test --silent; npm view --fetch-retries=0 --registry https://registry.invalid other"
          )
          #expect(outcome.lines == ["tested"], "\(outcome)")
          #expect(outcome.err.contains("denied registry.invalid:443"), "\(outcome)")
        }
        #expect(try me.files == [".npmrc", "cert.pem", "node_modules", "package-lock.json", "package.json", "test.js"])
      }
    }
  }

  @Test(.needs(.tool("swift"))) func aSwiftPackageBuildsWithOneOfAHostByName() throws {
    try Developer.with { (me) throws in
      try TLSFolder.with(me) { (index) throws in
        try me.outside(
          """
          mkdir -p ~/answer/Sources/Answer && cd ~/answer && git init -q .
          printf '// swift-tools-version: 5.9\\nimport PackageDescription\\nlet package = Package(name: "answer", products: [.library(name: "Answer", targets: ["Answer"])], targets: [.target(name: "Answer")])\\n' > Package.swift
          echo 'public func answer() -> Int { 42 }' > Sources/Answer/Answer.swift
          git add . && git -c user.name=A -c user.email=a@b commit -q -m one && git tag 1.0.0
          git clone -q --bare . ~/index/answer.git && git -C ~/index/answer.git update-server-info
          mkdir -p ~/project/Sources/project ~/project/Tests/projectTests && cd ~/project
          printf '// swift-tools-version: 5.9\\nimport PackageDescription\\nlet package = Package(name: "project", dependencies: [.package(url: "\(index.url)/answer.git", from: "1.0.0")], targets: [.target(name: "project", dependencies: [.product(name: "Answer", package: "answer")]), .testTarget(name: "projectTests", dependencies: ["project"])])\\n' > Package.swift
          printf 'import Answer\\npublic func twice() -> Int { 2 * answer() }\\n' > Sources/project/project.swift
          printf 'import Testing\\nimport project\\n@Test func itIs() { #expect(twice() == 84) }\\n' > Tests/projectTests/T.swift
          """)
        me.environment["GIT_SSL_CAINFO"] = index.certificate
        try me.withTool("swift")
        try me.leavesNothingOutside {
          var command = me.command(
            ["--profile", "swift", "--env", "GIT_SSL_CAINFO"] + index.allowed,
            ["sh", "-c", "swift build --quiet && swift test --disable-xctest 2>&1 | tail -n 1"])
          command.timeout = 300
          let outcome = try command.run()
          #expect(outcome.status == 0 && outcome.lines.last?.contains("passed") == true, "\(outcome)")
        }
      }
    }
  }

  @Test(.needs(.tool("cargo"))) func aRustProjectBuildsWithACrateOfARegistryByName() throws {
    let cargo = try #require(Need.file(ofTool: "cargo"))
    // rustup's belongs to one user; Debian's to all.
    let who: Zonectl.Who = cargo.hasPrefix("/root/") ? .root : .ordinaryUser
    // Registries that are folders of files are since 1.68.
    let minor = try Command.text(cargo, "--version").split(separator: ".").dropFirst().first.flatMap { Int($0) } ?? 0
    let place = minor >= 68 ? "version = \"1\", registry = \"local\"" : "path = \"answer\""
    try Developer.with(who) { (me) throws in
      if who == .root { me.environment["RUSTUP_HOME"] = "/root/.rustup" }
      try me.withTool("cargo")
      try TLSFolder.with(me) { (index) throws in
        try me.outside(
          """
          mkdir -p ~/answer-1.0.0/src ~/index/an/sw ~/index/dl src .cargo
          printf '[package]\\nname = "answer"\\nversion = "1.0.0"\\nedition = "2021"\\n' > ~/answer-1.0.0/Cargo.toml
          echo 'pub fn of() -> i32 { 42 }' > ~/answer-1.0.0/src/lib.rs
          tar -C ~ -czf ~/index/dl/answer-1.0.0.crate answer-1.0.0
          echo '{"dl":"\(index.url)/dl/{crate}-{version}.crate"}' > ~/index/config.json
          echo '{"name":"answer","vers":"1.0.0","deps":[],"cksum":"'$(sha256sum < ~/index/dl/answer-1.0.0.crate | cut -d' ' -f1)'","features":{},"yanked":false}' > ~/index/an/sw/answer
          printf '[registries.local]\\nindex = "sparse+\(index.url)/"\\n[http]\\ncainfo = "\(index.certificate)"\\n' > .cargo/config.toml
          printf '[package]\\nname = "project"\\nversion = "1.0.0"\\nedition = "2021"\\n[dependencies]\\nanswer = { \(place) }\\n' > Cargo.toml
          cp -r ~/answer-1.0.0 answer
          printf '#[test]\\nfn it_is() { assert_eq!(answer::of(), 42); }\\n' > src/lib.rs
          """)
        try me.leavesNothingOutside {
          var command = me.command(["--profile", "build"] + index.allowed, ["sh", "-c", "cargo test --quiet"])
          command.timeout = 300
          let outcome = try command.run()
          #expect(outcome.status == 0 && outcome.out.contains("1 passed"), "\(outcome)")
        }
      }
    }
  }
}

extension Developer {
  /// Its folder as the PATH names it, at the end of his own.
  fileprivate func withTool(_ name: String) throws {
    let paths = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
    let folder = try #require(paths.first { access("\($0)/\(name)", X_OK) == 0 })
    environment["PATH"] = try #require(Command.plainEnvironment["PATH"]) + ":" + folder
  }

  /// Of his home nothing is made, changed or removed but in the project.
  func leavesNothingOutside(_ body: () throws -> Void) throws {
    let look = { [self] in
      try outside("cd ~; find . -path ./project -prune -o -printf '%p %y %s %T@\\n' | sort").out
    }
    let before = try look()
    try body()
    #expect(try look() == before)
  }
}
