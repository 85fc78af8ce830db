import Foundation
import Glibc
import Testing

/// The execve half of CVE-2024-21626: what is executed is a link of a hostile tree into a descriptor of the runtime's, from
/// where `..` leads to the host. The kernel resolves the program, a script's interpreter and an ELF's while descriptors
/// that are merely marked close-on-exec are still open.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("busybox"), .program("gcc")), .ends(within: 10))
struct AttackExecTests {
  /// How a program of the tree leads to the link `/bin/way-NNN`.
  enum Way: String, CaseIterable, Sendable {
    case link, script, loader

    func program(_ number: Int) -> String { "/bin/\(rawValue)-\(Way.three(number))" }
    static func three(_ number: Int) -> String { String(repeating: "0", count: 3 - "\(number)".count) + "\(number)" }
  }

  /// Numbers that the stage's descriptors can have, and one whose link leads to a program of the tree: it shows that the
  /// attack would work.
  static let numbers = Array(3..<40) + Array(200..<216)
  static let control = 999

  private func hostileTree(_ zones: Zonectl) throws -> String {
    let root = zones.folder + "/rootfs"
    try BusyboxRoot.make(at: root)
    let plain = (name: "", flags: ["-nostdlib", "-static"])
    let outside = try Attack.build("outside", plain, into: zones.folder + "/host")
    _ = try Attack.build("outside", plain, into: root + "/own")
    let loaded = (name: "-loaded", flags: ["-nostdlib", "-pie", "-fpie", "-Wl,--dynamic-linker=/bin/way-NNN"])
    let elf = try Data(
      contentsOf: URL(fileURLWithPath: try Attack.build("outside", loaded, into: zones.folder + "/host")))
    let interpreter = try #require(elf.range(of: Data("/bin/way-NNN".utf8)))
    let climb = String(repeating: "/..", count: 12)
    for number in Self.numbers + [Self.control] {
      let target = number == Self.control ? "/own/outside" : "/proc/self/fd/\(number)\(climb)\(outside)"
      let way = "/bin/way-\(Way.three(number))"
      try FileManager.default.createSymbolicLink(atPath: root + way, withDestinationPath: target)
      try FileManager.default.createSymbolicLink(atPath: root + Way.link.program(number), withDestinationPath: way)
      try "#!\(way)\n".write(toFile: root + Way.script.program(number), atomically: false, encoding: .utf8)
      try elf.replacing(interpreter, by: way).write(to: URL(fileURLWithPath: root + Way.loader.program(number)))
      for way in [Way.script, .loader] { chmod(root + way.program(number), 0o755) }
    }
    return root
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func aProgramThatIsADescriptorsNameIsNotReached(who: Zonectl.Who)
    throws
  {
    try Zonectl.with(who) { zones in
      let root = try hostileTree(zones)
      let options = ["--network", "none", "--image", "dir:\(root)"]
      try zones.make("a", "running", options, command: ["/bin/sleep", "infinity"])
      for way in Way.allCases {
        for words in [["run", "--rm"] + options + ["--"], ["exec", "a", "--"]] {
          let control = try zones.command(words + [way.program(Self.control)]).run()
          #expect(control.text == "outside: DONE", "the attack itself is wrong: \(control)")
          for number in Self.numbers {
            let outcome = try zones.command(words + [way.program(number)]).run()
            #expect(!outcome.out.contains("DONE") && [126, 127].contains(outcome.status), "\(outcome)")
          }
        }
      }
    }
  }
}

extension Data {
  /// The bytes with `range` replaced by a text of the same length.
  fileprivate func replacing(_ range: Range<Index>, by text: String) -> Data {
    var copy = self
    copy.replaceSubrange(range, with: Data(text.utf8))
    return copy
  }
}
