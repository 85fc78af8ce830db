import CLinuxNS
import Glibc
import LinuxNS
import Testing

@testable import VirtualNet

@Suite(
  "pasta in the kernel", .serialized,
  .enabled(
    if: geteuid() == 0 && access("/usr/bin/pasta", X_OK) == 0,
    "needs root (to become an ordinary user) and the passt package"))
struct NetPastaKernelTests {
  /// In a child: a mount namespace whose /dev/net/tun has the mode that distributions give it, then an ordinary user.
  private static func asUser(_ folder: String, tun: UInt32, _ body: () throws -> String) throws -> String? {
    try NetFork.run(seconds: 25) {
      try check(zns_unshare(0x0002_0000 /* CLONE_NEWNS */), "unshare")
      try check(zns_mount(nil, "/", nil, 0x4_4000 /* MS_REC | MS_PRIVATE */, nil), "mount")
      mknod("\(folder).tun", 0o020000 | tun, 0x0ac8)
      chmod("\(folder).tun", tun)
      try check(zns_mount("\(folder).tun", "/dev/net/tun", nil, 0x1000 /* MS_BIND */, nil), "mount")
      guard setgroups(0, nil) == 0, setgid(54321) == 0, setuid(54321) == 0 else { throw NetFailure("credentials") }
      // A process that changed its user is not dumpable, and its /proc files then are root's.
      zns_prctl(4, 1, 0, 0, 0)
      return try body()
    }
  }

  @Test("without /dev/net/tun the error names it, and nothing hangs")
  func withoutDevice() {
    NetHost.run { host in
      let folder = "\(host.directories.run)-pasta"
      try FileSystem.makeDirectories(folder)
      chmod(folder, 0o777)
      let said = try Self.asUser(folder, tun: 0o600) {
        _ = try Pasta.start(
          "/usr/bin/pasta", helper: ProcessRecord.of(getpid())!.record, pidFile: "\(folder)/pid", group: nil)
        return "started"
      }
      host.checks.expect(said?.contains("/dev/net/tun") == true && said?.contains("EACCES") == true, said ?? "hung")
    }
  }
}
