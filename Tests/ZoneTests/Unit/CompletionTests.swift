import CommandLineTable
import Foundation
import Testing

/// The scripts in the shells themselves: bash answers, zsh and fish (where installed) at least read them.
@Suite struct CompletionTests {
  /// What bash offers for a line, with a `zonectl` that knows two zones.
  func offered(_ words: String...) throws -> [String] {
    let script = """
      zonectl() { printf 'web\\ndb\\n'; }
      compopt() { :; }
      source /dev/stdin <<'END_OF_SCRIPT'
      \(zonectlTable.completion(shell: "bash")!)
      END_OF_SCRIPT
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
      _zonectl
      printf '%s\\n' "${COMPREPLY[@]}"
      """
    let text = try Command(["bash", "-c", script, "bash", "zonectl"] + words).run().text
    return text.split(separator: "\n").map(String.init)
  }

  @Test func verbsAndAliases() throws {
    #expect(try offered("re") == ["ready", "restart", "resume", "rebase"])
    #expect(try offered("--root", "/x", "unp") == ["unpause"])
    #expect(try !offered("").contains("zone-ended"))
  }

  @Test func optionsOfTheVerb() throws {
    #expect(try offered("run", "--mem") == ["--memory"])
    #expect(try offered("stop", "--mem") == [])
    #expect(try offered("create", "web", "--r").sorted() == ["--read-only", "--restart", "--root"])
  }

  @Test func valuesOfOptions() throws {
    #expect(try offered("run", "--restart", "on") == ["on-failure"])
    #expect(try offered("list", "-o", "") == ["table", "wide", "json"])
    #expect(try offered("run", "--network", "=", "ho") == ["host"])
    #expect(try offered("kill", "-s", "US") == ["USR1", "USR2"])
    // Where a verb's option takes something else than that of others.
    #expect(try offered("learn", "--network", "") == ["allow", "none"])
    #expect(try offered("learn", "-o", "tab") == [])
    #expect(try offered("create", "--profile", "pyth") == [])
    #expect(try offered("sandbox", "--profile", "pyth") == ["python"])
  }

  @Test func namesOfZones() throws {
    #expect(try offered("stop", "") == ["web", "db"])
    #expect(try offered("stop", "web", "d") == ["db"])
    #expect(try offered("stop", "--timeout", "3", "w") == ["web"])
    #expect(try offered("completion", "") == ["bash", "zsh", "fish"])
    #expect(try offered("help", "vers") == ["version"])
  }

  @Test func theCommandIsLeftAlone() throws {
    #expect(try offered("exec", "web", "ls", "--mem") == [])
  }

  @Test(arguments: ["bash", "zsh", "fish"]) func theShellReadsIt(shell: String) throws {
    let script = try #require(zonectlTable.completion(shell: shell))
    for verb in zonectlTable.shownVerbs { #expect(script.contains(verb.name)) }
    guard access("/usr/bin/\(shell)", X_OK) == 0 || access("/bin/\(shell)", X_OK) == 0 else { return }
    var command = Command(shell == "fish" ? ["fish", "--no-execute"] : [shell, "-n"])
    command.input = Data(script.utf8)
    let outcome = try command.run()
    #expect(outcome.status == 0 && outcome.err.isEmpty, "\(outcome)")
  }

  @Test func noOtherShell() { #expect(zonectlTable.completion(shell: "tcsh") == nil) }
}
