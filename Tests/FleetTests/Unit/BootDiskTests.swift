import Testing

@testable import Orchestrator

/// What is written before a bootable disk's file system, byte for byte.
struct BootDiskTests {
  private let disk = BootDisk(size: 2048 << 20, uuid: "0f0e", signature: 0x0403_0201)
  private let boot = (0..<510).map { UInt8(truncatingIfNeeded: $0) } + [0x55, 0xaa]
  private let core = [UInt8](repeating: 7, count: 150_000)

  @Test func theHeadIsTableAndLoader() throws {
    var boot = boot
    (boot[0x66], boot[0x67]) = (0xeb, 0x05)
    let head = try #require(disk.head(boot: boot, core: core))
    #expect(head.count == 512 + core.count)
    #expect(Array(head[..<0x66]) == Array(boot[..<0x66]) && Array(head[0x66...0x67]) == [0x90, 0x90])
    #expect(Array(head[0x68..<440]) == Array(boot[0x68..<440]))
    #expect(Array(head[440..<446]) == [1, 2, 3, 4, 0, 0])
    #expect(
      Array(head[446..<462]) == [
        0x80, 0x20, 0x21, 0, 0x83, 0xfe, 0xff, 0xff, 0, 8, 0, 0, 0, 0xf8, 0x3f, 0,
      ])
    #expect(head[462..<510].allSatisfy { $0 == 0 } && Array(head[510..<512]) == [0x55, 0xaa])
    #expect(Array(head[512...]) == core)
  }

  @Test func whatIsNoLoaderIsRefused() {
    #expect(disk.head(boot: Array(boot[..<511]), core: core) == nil)
    #expect(disk.head(boot: [UInt8](repeating: 0, count: 512), core: core) == nil)
    #expect(disk.head(boot: boot, core: []) == nil)
    #expect(disk.head(boot: boot, core: [UInt8](repeating: 0, count: 1 << 20)) == nil)
  }

  @Test func theFileSystemFillsThePartition() {
    let words = disk.makeFileSystem(of: "/tree", on: "/disk")
    #expect(words.suffix(3) == ["/tree", "/disk", "\(2047 * 1024)k"])
    #expect(words.contains("offset=1048576,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0"))
  }
}
