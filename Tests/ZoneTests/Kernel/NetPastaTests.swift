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
  /// An ordinary user's zone: user and network namespace of a child that waits, below /proc/PID/ns.
  private static func zone() throws -> CInt {
    let ready = try OwnedFD.pipe()
    let child = fork()
    if child == 0 {
      guard zns_unshare(0x1000_0000 | 0x4000_0000 /* CLONE_NEWUSER | CLONE_NEWNET */) >= 0 else { _exit(1) }
      try? FileSystem.write([1], to: ready.second)
      while true { pause() }
    }
    guard try Poll.wait(ready.first.raw, for: Int16(POLLIN), timeout: 5000) else { throw NetFailure("no zone") }
    return child
  }

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

  @Test("an ordinary user's zone is connected, its port reached, the host's loopback not")
  func connected() {
    NetHost.run { host in
      let outside = try NetOutside(host)
      defer { withExtendedLifetime(outside) {} }
      var route = try NetlinkSocket(.route)
      let uplink = try Link.find("uplink", on: &route)!
      try route.perform("add a default route", Route.addDefault(via: IPv4Address("192.0.2.2")!, link: uplink.index))
      let folder = "\(host.directories.run)-pasta"
      try FileSystem.makeDirectories(folder)
      chmod(folder, 0o777)
      chmod(FileSystem.parent(of: folder), 0o755)
      let service = try NetTCP.listen("127.0.0.1", 2222)
      let said = try Self.asUser(folder, tun: 0o666) {
        let child = try Self.zone()
        defer { kill(child, SIGKILL) }
        let target = Pasta.Target(
          networkNamespace: "/proc/\(child)/ns/net", userNamespace: "/proc/\(child)/ns/user",
          ports: [PublishedPort(hostPort: 18080, zonePort: 80)])
        let instance = try Pasta.start(Pasta.find(searchPath: "/usr/bin"), target, folder: folder)
        guard instance.isAlive else { throw NetFailure("not alive") }
        let client = fork()
        if client == 0 {
          // pasta takes the connection before the zone listens and gives it up then, so it is tried again.
          while true {
            guard let socket = try? NetTCP.connect("127.0.0.1", 18080) else { continue }
            _ = try? Poll.wait(socket.raw, for: Int16(POLLIN), timeout: 200)
          }
        }
        defer { kill(client, SIGKILL) }
        // A single-threaded child may join: first the user namespace, then what it owns.
        let joined = try NetFork.run(seconds: 10) {
          let user = try OwnedFD.open(target.userNamespace, O_RDONLY)
          let net = try OwnedFD.open(target.networkNamespace, O_RDONLY)
          try check(zns_setns(user.raw, 0x1000_0000), "setns user")
          try check(zns_setns(net.raw, 0x4000_0000), "setns net")
          let listener = try NetTCP.listen("0.0.0.0", 80)
          let loopback =
            try NetTCP.connect("192.0.2.2", 2222, milliseconds: 500) == nil
            && NetTCP.connect("127.0.0.1", 2222, milliseconds: 500) == nil
          guard try NetTCP.accept(listener, milliseconds: 6000) != nil else { return "port not reached" }
          return loopback ? "good" : "host's loopback reached"
        }
        try instance.end()
        return (joined ?? "nothing") + (instance.isAlive ? ", alive" : ", ended")
          + (FileSystem.exists("\(folder)/pasta.pid") ? ", pid file left" : "")
      }
      _ = consume service
      host.checks.expect(said == "good, ended", said ?? "no answer")
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
          "/usr/bin/pasta", Pasta.Target(networkNamespace: "/proc/self/ns/net", userNamespace: "/proc/self/ns/user"),
          folder: folder)
        return "started"
      }
      host.checks.expect(said?.contains("/dev/net/tun") == true && said?.contains("EACCES") == true, said ?? "hung")
    }
  }
}
