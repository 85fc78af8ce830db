internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The way out of an ordinary user's network: pasta(1), which carries packets through sockets of that user.
enum Pasta {
  /// Its link in the network's namespace.
  static let interface = "pasta0"

  /// Seconds until a pasta that has not become ready is given up.
  static let timeout = 10

  /// The program.
  /// - Parameter searchPath: as $PATH; /usr/bin and /usr/local/bin are searched after it.
  /// - Throws: `.notFound`, with the package's name.
  static func find(searchPath: String?) throws(NetworkError) -> String {
    let folders = (searchPath ?? "").split(separator: ":").map(String.init).filter { $0.hasPrefix("/") }
    for folder in folders + ["/usr/bin", "/usr/local/bin"] where access("\(folder)/pasta", X_OK) == 0 {
      return "\(folder)/pasta"
    }
    throw .notFound(
      "cannot connect the network: pasta is not installed (install the passt package, or use --network none)")
  }

  /// - Throws: `.system` where the caller may not open /dev/net/tun; pasta would wait for ever.
  static func checkDevice() throws(NetworkError) {
    let device = "/dev/net/tun"
    do throws(SyscallError) { _ = try OwnedFD.open(device, O_RDWR) } catch {
      throw .system(
        "connect the network: pasta needs \(device) (chmod 0666 \(device), modprobe tun, or use --network none)", error)
    }
  }

  /// `pasta --config-net --no-map-gw --mtu 1500 -T none -U none -t none -u none --userns … --netns …`
  ///
  /// Without `--no-map-gw` and with `-T auto`, its defaults, zones reach servers on the host's loopback. Ports are the
  /// relay's, since pasta takes them at its start only. The size of a packet is that of the bridge and the zones' links.
  static func arguments(helper: ProcessRecord, pidFile: String) -> [String] {
    ["--quiet", "--config-net", "--no-map-gw", "--mtu", "1500", "--ns-ifname", interface]
      + ["-T", "none", "-U", "none", "-t", "none", "-u", "none"]
      + ["--pid", pidFile, "--userns", UserSpace.userPath(of: helper), "--netns", UserSpace.path(of: helper)]
  }

  /// Connects a network whose helper holds its namespaces.
  ///
  /// pasta goes to the background when it is ready, so the end of the process we start is the sign.
  /// - Parameters:
  ///   - program: what `find` gave.
  ///   - pidFile: is gone again afterwards.
  /// - Throws: `.notFound` without /dev/net/tun, `.conflict` with pasta's own words, `.system`.
  static func start(
    _ program: String, helper: ProcessRecord, pidFile: String, group: HelperGroup?
  ) throws(NetworkError) -> ProcessRecord {
    try checkDevice()
    try RecordFile.remove(pidFile)
    defer { unlink(pidFile) }
    let words = try system("start pasta") { () throws(SyscallError) in try OwnedFD.pipe() }
    let null = try system("start pasta") { () throws(SyscallError) in try OwnedFD.open("/dev/null", O_RDWR) }
    let child = try Program.spawn(
      [program] + arguments(helper: helper, pidFile: pidFile), [null.raw, null.raw, words.second.raw], group: group)
    let ended = try system("wait for pasta") { () throws(SyscallError) in
      try child.process.waitUntilEnd(timeout: CInt(timeout * 1000))
    }
    if !ended {
      try system("end pasta") { () throws(SyscallError) in
        try child.process.signal(SIGKILL)
        _ = try child.process.reap()
      }
      throw .conflict("cannot connect the network: pasta was not ready within \(timeout) s (use --network none)")
    }
    let status = try system("wait for pasta") { () throws(SyscallError) in try child.process.reap() }
    guard status == .exited(0) else {
      throw .conflict("cannot connect the network: pasta ended with status \(status.shellCode)\(said(words.first))")
    }
    let text = try system("learn pasta's pid") { () throws(SyscallError) in try FileSystem.readLine(pidFile) }
    guard let pid = Int32(text), let (record, zombie) = ProcessRecord.of(pid), !zombie else {
      throw .conflict("cannot connect the network: pasta said it was ready and is gone\(said(words.first))")
    }
    return record
  }

  /// Ends every pasta that was started with this pid file: one that nobody wrote down, since who started it was killed.
  static func endStray(pidFile: String) throws(NetworkError) {
    let mark = Array("--pid\0\(pidFile)\0".utf8)
    // It executes another of itself, and forks on its way to the background, where the first one ends: one that was listed
    // may be gone when it is looked at, and have left another that was not. Only a second look that finds none is the last.
    var idle = 0
    for _ in 0..<50 where idle < 2 {
      idle += 1
      let pids = try system("list the processes") { () throws(SyscallError) in try FileSystem.list("/proc") }
      for pid in pids.compactMap(Int32.init) {
        guard let (record, zombie) = ProcessRecord.of(pid), !zombie,
          let line = try? FileSystem.read("/proc/\(pid)/cmdline", limit: 65536)
        else { continue }
        // In the midst of an execve(2) nobody has words.
        if line.isEmpty, isOurs(pid) { idle = 0 }
        guard contains(line, mark) else { continue }
        idle = 0
        try record.end()
      }
      usleep(1000)
    }
    try RecordFile.remove(pidFile)
  }

  private static func isOurs(_ pid: Int32) -> Bool {
    (try? FileSystem.status("/proc/\(pid)", followingLinks: false))?.st_uid == geteuid()
  }

  private static func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
    guard bytes.count >= part.count else { return false }
    return (0...(bytes.count - part.count)).contains { bytes[$0...].starts(with: part) }
  }

  /// The last line it wrote to its standard error.
  private static func said(_ pipe: borrowing OwnedFD) -> String {
    _ = zns_fcntl(pipe.raw, F_SETFL, Int(O_NONBLOCK))
    var room = [UInt8](repeating: 0, count: 8192)
    let got = read(pipe.raw, &room, room.count)
    guard got > 0 else { return "" }
    let lines = String(decoding: room[0..<got], as: UTF8.self).split(separator: "\n").filter {
      !$0.hasPrefix("Failed to send")
    }
    return lines.last.map { ": \($0)" } ?? ""
  }
}
