import CommandLineTable
import Testing

@Suite struct CommandParserTests {
  func parse(_ words: String...) throws(UsageError) -> Invocation {
    guard case .run(let invocation) = try zonectlTable.parse(words) else {
      throw .refused("not an invocation: \(words)")
    }
    return invocation
  }

  func message(_ words: String...) -> String {
    do {
      _ = try zonectlTable.parse(words)
      return "parsed"
    } catch {
      return error.description
    }
  }

  @Test func optionsStandBeforeAndAfterTheName() throws {
    let before = try parse("stop", "--timeout", "3", "web")
    let after = try parse("stop", "web", "--timeout=3")
    for invocation in [before, after] {
      #expect(invocation.operands == ["web"])
      #expect(try invocation.seconds(.timeout) == 3)
    }
  }

  @Test func theCommandKeepsItsOwnOptions() throws {
    let create = try parse("create", "web", "--memory", "64M", "httpd", "-f", "--memory", "1G", "--", "x")
    #expect(create.operands == ["web"])
    #expect(create.command == ["httpd", "-f", "--memory", "1G", "--", "x"])
    #expect(create.values(.memory) == ["64M"])

    let run = try parse("run", "--rm", "ls", "--rm", "--help")
    #expect(run.operands.isEmpty && run.command == ["ls", "--rm", "--help"])
  }

  @Test func twoHyphensEndOptions() throws {
    #expect(try parse("run", "--rm", "--", "--odd", "-x").command == ["--odd", "-x"])
    let exec = try parse("exec", "web", "--", "-strange", "--", "a")
    #expect(exec.operands == ["web"] && exec.command == ["-strange", "--", "a"])
    let early = try parse("exec", "--", "web", "ls")
    #expect(early.operands == ["web"] && early.command == ["ls"])
  }

  @Test func lettersCombine() throws {
    let run = try parse("run", "-it", "-e", "A=1", "-eB=2", "-p=80:80", "-dv", "/a:/b", "sh")
    #expect(run.has(.interactive) && run.has(.tty) && run.has(.detach))
    #expect(run.values(.env) == ["A=1", "B=2"])
    #expect(run.values(.publish) == ["80:80"] && run.values(.volume) == ["/a:/b"])
    #expect(run.command == ["sh"])
  }

  @Test func valuesAreTakenAsTheyAre() throws {
    #expect(try parse("run", "--env=A=b=c").values(.env) == ["A=b=c"])
    #expect(try parse("run", "--env", "--rm").values(.env) == ["--rm"])
    #expect(try parse("run", "--name=", "x").value(.name) == "")
    #expect(try parse("cp", "web:/a", "-").operands == ["web:/a", "-"])
  }

  @Test func globalOptionsStandAnywhere() throws {
    #expect(try parse("--root", "/x", "list").value(.root) == "/x")
    #expect(try parse("list", "--root=/x").value(.root) == "/x")
  }

  @Test func aliasesAreTheirVerbs() throws {
    for (alias, verb) in [
      ("ls", ZonectlVerb.list), ("boot", .start), ("rm", .delete), ("inspect", .show), ("unpause", .resume),
    ] {
      let invocation = alias == "ls" || alias == "boot" ? try parse(alias) : try parse(alias, "web")
      #expect(invocation.zonectlVerb == verb)
      #expect(invocation.calledAs == alias)
    }
  }

  @Test func fleetVerbsAndHiddenOnesKeepEveryArgument() throws {
    #expect(try parse("apply", "--help", "-f", "x.yaml").command == ["--help", "-f", "x.yaml"])
    #expect(try parse("zone-ended", "--whatever", "web").command == ["--whatever", "web"])
  }

  @Test func helpIsAskedForAnywhere() throws {
    for words in [["run", "--help"], ["run", "-h"], ["--help", "run"], ["exec", "--help"], ["run", "-ith"]] {
      guard case .help(let verb?) = try zonectlTable.parse(words) else {
        Issue.record("\(words)")
        continue
      }
      #expect(verb.name == words.first { !$0.hasPrefix("-") })
    }
    guard case .help(nil) = try zonectlTable.parse(["--help"]) else {
      Issue.record("--help")
      return
    }
    guard case .version = try zonectlTable.parse(["--version"]) else {
      Issue.record("--version")
      return
    }
  }

  @Test func usageErrorsNameTheNearest() {
    #expect(message("run", "--memry", "1G") == "unknown option '--memry' for run; did you mean --memory?")
    #expect(message("strat", "web") == "unknown verb 'strat'; did you mean start?")
    #expect(message("create", "x", "--rm") == "unknown option '--rm' for create; it belongs to run")
    #expect(message("list", "--xyzzyx") == "unknown option '--xyzzyx' for list; try list --help")
    #expect(message("frobnicate") == "unknown verb 'frobnicate'; try --help")
    #expect(message("--memory", "1G", "run").hasPrefix("unknown option '--memory' before a verb"))
    #expect(message() == "no verb given; try --help")
    #expect(message("--", "list") == "no verb given; try --help")
  }

  @Test func nothingIsAbbreviated() {
    #expect(message("run", "--mem", "1G") == "unknown option '--mem' for run; did you mean --memory?")
    #expect(message("lis") == "unknown verb 'lis'; did you mean list?")
  }

  @Test func operandsAreCounted() {
    #expect(message("stop") == "parsed")  // stop --all: the verb itself decides
    #expect(message("pause") == "pause wants NAME: pause [OPTION…] NAME…")
    #expect(message("exec", "web") == "exec wants COMMAND: exec [OPTION…] NAME COMMAND [ARG…]")
    #expect(message("set", "web") == "set wants KEY=VALUE: set [OPTION…] NAME KEY=VALUE…")
    #expect(message("login", "a", "b") == "unexpected 'b' for login: login [OPTION…] NAME")
    #expect(message("pause", "a", "b", "c") == "parsed")
  }

  @Test func valuesWhereTheyBelong() {
    #expect(message("run", "--memory") == "option '--memory' wants a value: --memory SIZE")
    #expect(message("run", "-e") == "option '-e' wants a value: -e KEY[=VALUE]")
    #expect(message("run", "--rm=yes") == "option '--rm' takes no value, not 'yes'")
    #expect(message("run", "-i=1") == "option '-i' takes no value, not '1'")
  }

  @Test(arguments: [("1.5", 1.5), ("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600), ("0", 0)])
  func durations(_ text: String, _ seconds: Double) { #expect(Invocation.seconds(parsing: text) == seconds) }

  @Test(arguments: ["", "s", "-1", "1e3", "0x10", "inf", "nan", "1 s", "9999999999999h", "1.2.3"])
  func noDurations(_ text: String) { #expect(Invocation.seconds(parsing: text) == nil) }

  /// Whatever is typed is parsed or refused: never a trap, and never lost. Seeds are the cases.
  @Test(arguments: 0..<200) func anyWordsAreParsedOrRefused(seed: UInt64) {
    var random = SplitMix(state: seed)
    let options = zonectlTable.options.map { "--\($0.name)" } + ["-", "--", "-it", "-e", "-h", "--x=", "---", "-é"]
    let words = zonectlTable.verbs.map(\.name) + options + ["web", "A=1", "", "64M", "…", "=", ":"]
    for _ in 0..<20 {
      let line = (0..<Int.random(in: 0...8, using: &random)).map { _ in words.randomElement(using: &random)! }
      guard case .run(let invocation)? = try? zonectlTable.parse(line) else { continue }
      let kept = invocation.operands.count + invocation.command.count + 1
      #expect(kept <= line.count)
      for word in invocation.operands + invocation.command { #expect(line.contains(word)) }
    }
  }
}

/// Vigna's splitmix64: the same seed gives the same words.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
