internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Which file systems can be attached with an id map (mount_setattr(2), MOUNT_ATTR_IDMAP), and since which kernel:
/// a probe before the start, because a failed hardened step must not fall back to a weaker one (SECURITY.md).
enum IdMappable {
  /// statfs(2)'s f_type, and the first Linux with FS_ALLOW_IDMAP for it.
  static let table: [(magic: UInt64, name: String, since: (Int, Int))] = [
    (0xEF53, "ext4", (5, 12)), (0x5846_5342, "xfs", (5, 12)), (0x4d44, "vfat", (5, 12)),
    (0x9123_683E, "btrfs", (5, 15)), (0xF2F5_2010, "f2fs", (5, 18)), (0xE0F5_E1E2, "erofs", (5, 19)),
    (0x7371_7368, "squashfs", (6, 2)), (0x0102_1994, "tmpfs", (6, 3)), (0x00C3_6400, "ceph", (6, 7)),
  ]

  /// The running kernel's version, from uname(2).
  static let kernel: (Int, Int) = {
    var names = utsname()
    uname(&names)
    let release = withUnsafeBytes(of: &names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    // 6.12.3-amd64: the first two numbers.
    var numbers = (0, 0)
    var dots = 0
    for byte in release.utf8 {
      if (48...57).contains(byte) {
        if dots == 0 {
          numbers.0 = numbers.0 * 10 + Int(byte - 48)
        } else {
          numbers.1 = numbers.1 * 10 + Int(byte - 48)
        }
      } else {
        dots += 1
        if byte != UInt8(ascii: ".") || dots == 2 { break }
      }
    }
    return numbers
  }()

  /// nil where it can be mapped; otherwise the file system's number.
  static func refusal(_ path: String) throws(SyscallError) -> UInt64? {
    let magic = UInt64(try check(zns_filesystem_type(path), "statfs", path))
    return table.contains { $0.magic == magic && kernel >= $0.since } ? nil : magic
  }
}
