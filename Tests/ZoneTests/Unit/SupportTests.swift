import Foundation
import Glibc
import Testing

/// The helpers of the other cases: a helper that cannot fail would make cases that cannot.
@Suite struct SupportTests {
  @Test func aCommandGivesStatusOutputAndErrors() throws {
    let outcome = try Command("sh", "-c", "cat; echo problem >&2; exit 7").with(input: "read").run()
    #expect(outcome.status == 7)
    #expect(outcome.out == "read")
    #expect(outcome.err == "problem\n")
    #expect(!outcome.timedOut)
  }

  @Test func aCommandThatASignalEndsHas128AndTheNumber() throws {
    #expect(try Command("sh", "-c", "kill -9 $$").run().status == 137)
  }

  @Test func aCommandIsKilledWhenItsTimeRunsOut() throws {
    var command = Command("sh", "-c", "echo before; sleep 1000")
    command.timeout = 0.3
    let outcome = try command.run()
    #expect(outcome.timedOut)
    #expect(outcome.text == "before")
  }

  @Test func aCommandInheritsThreeDescriptorsOnly() throws {
    let fd = open("/dev/null", O_RDONLY)
    defer { close(fd) }
    #expect(try Command("sh", "-c", "ls /proc/$$/fd").run().lines == ["0", "1", "2"])
  }

  @Test func muchOutputAndMuchInputDoNotBlockEachOther() throws {
    let text = String(repeating: "0123456789abcdef", count: 100_000)
    #expect(try Command("cat").with(input: text).run().out == text)
  }

  @Test func aCommandRunsInTheFolderThatIsAsked() throws {
    var command = Command("pwd")
    command.directory = "/usr"
    #expect(try command.run().text == "/usr")
  }

  @Test func aTerminalIsATerminalWithASize() throws {
    let terminal = try Terminal(Command("sh", "-c", "tty; stty size; read word; echo got-$word; exit 3"), rows: 33)
    #expect(terminal.shows("33 80"))
    #expect(terminal.screen.contains(terminal.path))
    terminal.type("hello\n")
    #expect(terminal.shows("got-hello"))
    #expect(terminal.wait() == 3)
  }

  @Test func eventuallyGivesUp() {
    #expect(!eventually(timeout: 0.1) { false })
    var calls = 0
    #expect(
      eventually(timeout: 5) {
        calls += 1
        return calls == 3
      })
  }

  @Test func differencesAreCountedOneByOne() {
    let before = Machine(things: ["link": ["lo", "eth0"], "mount": ["a", "a"]])
    let after = Machine(things: ["link": ["lo", "zn0"], "mount": ["a"]])
    #expect(before.differences(to: after) == ["+ link: zn0", "- link: eth0", "- mount: a"])
    #expect(before.differences(to: before).isEmpty)
  }

  @Test(.needs(.root)) func aSnapshotSeesALinkAMountAndARule() throws {
    let before = try Machine.snapshot()
    let folder = "/tmp/zones-support-\(getpid())"
    mkdir(folder, 0o700)
    defer { rmdir(folder) }
    try Command.text("mount", "-t", "tmpfs", "none", folder)
    try Command.text("ip", "link", "add", "zonestest0", "type", "bridge")
    try Command.text("nft", "add", "table", "inet", "zonestest")
    let after = try Machine.snapshot()
    try Command.text("umount", folder)
    try Command.text("ip", "link", "del", "zonestest0")
    try Command.text("nft", "delete", "table", "inet", "zonestest")
    let found = before.differences(to: after)
    #expect(found.contains { $0.hasPrefix("+ mount:") && $0.contains(folder) })
    #expect(found.contains("+ link: zonestest0"))
    #expect(found.contains { $0.hasPrefix("+ nft rule:") && $0.contains("zonestest") })
  }

  @Test(.needs(.root, .ordinaryUser)) func theOrdinaryUserIsOrdinary() throws {
    let outcome = try Command(
      OrdinaryUser.prefix
        + ["sh", "-c", "id -u; cat /etc/shadow"]
    ).run()
    #expect(outcome.text == OrdinaryUser.found.map { String($0.uid) })
    #expect(outcome.status != 0)
  }

  @Test(arguments: ["/nowhere/program", "no-such-program"])
  func whatCannotBeStartedIsTold(program: String) {
    #expect(throws: SpawnFailed.self) { try Command(program).run() }
  }
}
