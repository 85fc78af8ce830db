import Glibc
import LinuxNS
import ResourceControl
import Testing

@testable import ZoneRuntime

/// One parser for sizes and lists of CPUs: an option takes what a limit takes, and is told in an option's words.
@Suite struct SettingTests {
  @Test(
    arguments: [
      ("4096", 4096), ("64k", 65536), ("64KiB", 65536), ("1.5G", 1_610_612_736), ("2mb", 2_097_152), ("1P", 1 << 50),
      ("0.5M", 524_288),
    ] as [(String, Int64)])
  func sizes(text: String, bytes: Int64) throws {
    #expect(try SpecValue.bytes(text, "memory") == bytes)
  }

  @Test(arguments: [
    "", "-1", "1", "4095", "1e9", "nan", "inf", "0x1000", "1..5G", "5 M", "9223372036854775808", "9000000P", "١M",
    "1.5",
  ])
  func noSizes(text: String) {
    #expect(throws: SyntaxError.self) { try SpecValue.bytes(text, "memory") }
  }

  @Test func listsOfCPUs() throws {
    for text in ["0", "0-1,3", "3,0-1", "8191"] { #expect(try SpecValue.cpuList(text, "cpuset") == text) }
    for text in ["", "-", "1-", "3-1", "a", "0,,1", "8192", "0-99999999999999999999"] {
      #expect(throws: SyntaxError.self) { try SpecValue.cpuList(text, "cpuset") }
    }
  }

  /// `set` tells each key that differs by the name under which it is written.
  @Test(.needs(.root)) func setTellsTheKeysOfTheTable() throws {
    let folder = try makeTemporaryFolder()
    defer { try? FileSystem.removeTree(folder) }
    let zones = Zones(try Directories.standard(root: folder))
    var spec = ZoneSpec(name: "a")
    try zones.create(spec)
    spec.aliases = ["www"]
    spec.volumes = [
      VolumeMount(source: .tmpfs(size: nil), target: "/x"), VolumeMount(source: .volume("d"), target: "/y"),
    ]
    spec.environment = ["A": "b"]
    spec.fleet = "shop"
    spec.limits.pids = 5
    #expect(
      Set(try zones.set("a", to: spec).map(\.key)) == ["network-alias", "tmpfs", "volume", "env", "fleet", "pids"])
    #expect(try zones.set("a", to: spec).isEmpty)
    spec.brand = .empty
    #expect(try zones.set("a", to: spec).map(\.effect) == [.refused])
    #expect(try zones.status("a").spec.brand == .sparse)
  }
}
