import LinuxNS
import Testing

@testable import Orchestrator

/// What of a machine's tree is on none of its disks.
struct ForeignMountTests {
  @Test func itIsKnownByTheKernelsWord() {
    let told = "nodev\tsysfs\nnodev\ttmpfs\n\text4\n\tbtrfs\nnodev\tfuse\n\tfuseblk\n"
    #expect(ForeignMount.disks(Array(told.utf8)) == ["ext4", "btrfs", "fuseblk", "zfs"])
  }

  @Test(arguments: [
    ("/mnt/old/home", "/mnt/old", "home"), ("/mnt/old/a b/c", "/mnt/old", "a b/c"), ("/mnt/old", "/mnt/old", nil),
    ("/mnt/older", "/mnt/old", nil), ("/mnt", "/mnt/old", nil), ("/home", "/", "home"), ("/", "/", nil),
  ])
  func itsPathIsOfTheTree(target: String, folder: String, path: String?) {
    #expect(ForeignMount.path(target, below: folder) == path)
  }

  @Test func itsNameIsNoPattern() {
    #expect(ForeignMount(path: "a/b*c[1]\\", type: "tmpfs").pattern == "./a/b\\*c\\[1\\]\\\\/*")
  }
}
