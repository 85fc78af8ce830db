internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The network of an ordinary user's zone: pasta(1), which carries the zone's packets through sockets of that user.
public enum Pasta {
  /// The zone's network as pasta is told of it.
  public struct Target: Equatable, Sendable {
    /// `/proc/PID/ns/net` and `/proc/PID/ns/user`: the user namespace is the one that owns the network namespace,
    /// which is not always the process's own.
    public var networkNamespace: String
    public var userNamespace: String
    public var ports: [PublishedPort]

    public init(networkNamespace: String, userNamespace: String, ports: [PublishedPort] = []) {
      self.networkNamespace = networkNamespace
      self.userNamespace = userNamespace
      self.ports = ports
    }
  }

  /// A pasta that serves a zone, as it is kept in the zone's state.
  public struct Instance: Codable, Equatable, Sendable {
    public var pid: Int32
    /// Field 22 of /proc/PID/stat.
    public var started: UInt64

    /// Whether that same process still lives.
    public var isAlive: Bool { ProcessRecord(pid: pid, started: started).isAlive }

    /// Ends it; it does not see by itself that the zone has gone. Fine where it has ended already.
    public func end() throws(NetworkError) { try ProcessRecord(pid: pid, started: started).end() }
  }

  /// Who answers names, for the zone's resolv.conf: pasta carries what is sent there (UDP) to the host's first resolver,
  /// also where that one listens on the host's loopback, which the zone does not reach otherwise.
  public static let nameServer = IPv4Address(0xa9fe_3535)  // 169.254.53.53

  /// Seconds until a pasta that has not become ready is given up.
  public static let timeout = 10

  /// The program.
  /// - Parameter searchPath: as $PATH; /usr/bin and /usr/local/bin are searched after it.
  /// - Throws: `.notFound`, with the package's name.
  public static func find(searchPath: String?) throws(NetworkError) -> String {
    let folders = (searchPath ?? "").split(separator: ":").map(String.init).filter { $0.hasPrefix("/") }
    for folder in folders + ["/usr/bin", "/usr/local/bin"] where access("\(folder)/pasta", X_OK) == 0 {
      return "\(folder)/pasta"
    }
    throw .notFound(
      "cannot connect the zone: pasta is not installed (install the passt package, or use --network none)")
  }

  /// `pasta --config-net --no-map-gw --dns-forward 169.254.53.53 -T none -U none -t … -u … --userns … --netns …`
  ///
  /// Without `--no-map-gw` and with `-T auto`, its defaults, the zone reaches servers on the host's loopback.
  public static func arguments(_ target: Target, pidFile: String) -> [String] {
    var words = ["--quiet", "--config-net", "--no-map-gw", "--dns-forward", "\(nameServer)", "--ns-ifname", "eth0"]
    words += ["-T", "none", "-U", "none"]
    for (option, transport) in [("-t", PublishedPort.Transport.tcp), ("-u", .udp)] {
      let specs = target.ports.filter { $0.transport == transport }.map { port in
        (port.hostAddress.map { "\($0)/" } ?? "") + "\(port.hostPort):\(port.zonePort)"
      }
      for spec in specs.isEmpty ? ["none"] : specs { words += [option, spec] }
    }
    return words + ["--pid", pidFile, "--userns", target.userNamespace, "--netns", target.networkNamespace]
  }

  /// Connects a zone whose namespaces stand.
  ///
  /// pasta goes to the background when it is ready, so the end of the process we start is the sign.
  /// - Parameters:
  ///   - program: what `find` gave.
  ///   - folder: where its pid file may lie for that moment; the zone's own run folder.
  /// - Throws: `.notFound` without /dev/net/tun, `.conflict` with pasta's own words, `.system`.
  public static func start(_ program: String, _ target: Target, folder: String) throws(NetworkError) -> Instance {
    let device = "/dev/net/tun"
    let tun = open(device, O_RDWR | O_CLOEXEC)
    let refusal = errno
    guard tun >= 0 else {
      throw .system(
        "connect the zone: pasta needs \(device) (chmod 0666 \(device), modprobe tun, or use --network none)",
        SyscallError(call: "open", errno: refusal, path: device))
    }
    close(tun)
    let pidFile = "\(folder)/pasta.pid"
    try RecordFile.remove(pidFile)
    defer { unlink(pidFile) }
    let words = try system("start pasta") { () throws(SyscallError) in try OwnedFD.pipe() }
    let null = try system("start pasta") { () throws(SyscallError) in try OwnedFD.open("/dev/null", O_RDWR) }
    let child = try Program.spawn(
      [program] + arguments(target, pidFile: pidFile), [null.raw, null.raw, words.second.raw])
    let ended = try system("wait for pasta") { () throws(SyscallError) in
      try child.process.waitUntilEnd(timeout: CInt(timeout * 1000))
    }
    if !ended {
      try system("end pasta") { () throws(SyscallError) in
        try child.process.signal(SIGKILL)
        _ = try child.process.reap()
      }
      throw .conflict("cannot connect the zone: pasta was not ready within \(timeout) s (use --network none)")
    }
    let status = try system("wait for pasta") { () throws(SyscallError) in try child.process.reap() }
    guard status == .exited(0) else {
      throw .conflict("cannot connect the zone: pasta ended with status \(status.shellCode)\(said(words.first))")
    }
    let text = try system("learn pasta's pid") { () throws(SyscallError) in try FileSystem.readLine(pidFile) }
    guard let pid = Int32(text), let (record, zombie) = ProcessRecord.of(pid), !zombie else {
      throw .conflict("cannot connect the zone: pasta said it was ready and is gone\(said(words.first))")
    }
    return Instance(pid: pid, started: record.started)
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
