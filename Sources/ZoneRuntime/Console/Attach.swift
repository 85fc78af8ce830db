internal import Glibc
internal import LinuxNS

/// How the terminal client meets what it relays: a zone that lives, one that was just run, a command in one.
extension Zones {
  /// Stays with a living zone until its first process has ended or the person leaves.
  public func attach(_ name: String, _ client: TerminalClient) throws(ZoneError) -> TerminalClient.Outcome {
    let files = try files(name)
    guard files.exists else { throw .notFound(name) }
    guard let link = try KeeperLink.connect(files) else {
      throw .state(zone: name, state: try state(of: files), verb: "attach to", hint: "start it first, or look at logs")
    }
    return try attempt("stay with zone \(name)") { () throws(SyscallError) in
      try client.relay(keeper: link.socket.raw, attaching: true)
    }
  }

  /// The shell of a user of the zone as its passwd names it; /bin/sh where that says nothing or is not there.
  public func shell(of spec: ZoneSpec) throws(ZoneError) -> String {
    let files = try files(spec.name)
    var template = ""
    if spec.brand == .sparse {
      try directories.make()
      template = try attempt("look at the host's /etc") { () throws(SyscallError) in
        try EtcTemplate(store: "\(directories.shared)/etc").path()
      }
    }
    let facts = HostFacts(
      tier: .root, uid: 0, gid: 0, uids: [], gids: [], runDirectory: files.run, dataDirectory: files.data,
      dataRoot: directories.data, etcTemplate: template, volumeDirectory: directories.volumes,
      user: ZoneUser(uid: 0, gid: 0, groups: [], name: nil, home: "/", shell: "/bin/sh"), capabilities: [], seccomp: [],
      resolvConf: "", hosts: "")
    let shell: String
    do throws(ZoneError) { shell = try user(spec.user ?? "root", spec, facts).shell } catch {
      // A tree without accounts has no root by name; somebody who was named must be there.
      guard spec.user == nil else { throw error }
      return "/bin/sh"
    }
    guard case .directory(let path) = spec.brand else { return shell }
    let root = try attempt("use the tree \(path)") { () throws(SyscallError) in try RootFD.open(path) }
    return (try? root.open(shell, O_PATH)) == nil ? "/bin/sh" : shell
  }
}

extension RunningZone {
  /// Relays until the end or until the person leaves; then `finish` is the caller's.
  public borrowing func relay(_ client: TerminalClient) throws(ZoneError) -> TerminalClient.Outcome {
    try attempt("stay with zone \(name)") { () throws(SyscallError) in
      try client.relay(keeper: socket, attaching: false)
    }
  }
}

extension Execution {
  /// Relays the command's terminal until it has ended; `wait` then tells how.
  public borrowing func relay(_ client: TerminalClient) throws(ZoneError) -> TerminalClient.Outcome {
    switch terminal {
    case .some(let master):
      try attempt("stay with a command in zone \(zone)") { () throws(SyscallError) in
        try client.relay(master: master, until: socket)
      }
    case .none: .finished
    }
  }
}
