internal import LinuxNS
internal import ResourceControl

/// What happens to a process between its fork and its execve: one path for start and exec (CVE-2022-29162).
extension LaunchPlanner {
  static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  mutating func planProcess() {
    let wanted = ProcessWish(
      user: facts.user, workdir: spec.workdir, home: spec.brand == .sparse, capabilities: facts.capabilities,
      keepGroups: facts.tier == .single, noNewPrivileges: !spec.ownInit, keyring: spec.nesting,
      seccomp: facts.watchedFilter ?? facts.seccomp, isNarrow: !spec.calls.isEmpty,
      isWatched: facts.watchedFilter != nil, afterRoot: secondWall())
    plan.process = wanted.ops
    // In a user namespace of his own nobody else's processes count (setrlimit(2), RLIMIT_NPROC; Linux 5.14).
    if spec.sandbox != nil, let pids = spec.limits.pids {
      let most = UInt64(pids)
      plan.process.insert(.rlimit(.init(resource: 6, name: "RLIMIT_NPROC", soft: most, hard: most)), at: 0)
    }
    if spec.ownInit { plan.process.append(.simple(.deathSignal, "die with the keeper")) }
    plan.arguments = spec.command
    plan.environment = ProcessWish.environment(spec.environment, user: facts.user, terminal: spec.terminal)
    plan.searchPath = spec.environment["PATH"] ?? Self.searchPath
  }
}

struct ProcessWish {
  var user: ZoneUser
  var workdir: String?
  /// The user's home is where it starts, if nothing else was said.
  var home: Bool
  var capabilities: CapabilitySet
  var keepGroups: Bool
  var noNewPrivileges: Bool
  /// keyctl(2) is open inside: then the caller's session keyring must not be.
  var keyring: Bool
  var seccomp: [UInt8]
  /// It lets less through than a launch itself needs (`--calls`).
  var isNarrow = false
  /// It hands calls over to a watcher, who is not to see the launch's own.
  var isWatched = false
  /// As soon as the root stands.
  var afterRoot: [PlannedOp] = []

  /// Then the filter is the last thing before the command. Without no_new_privs it cannot be: the right to load one has
  /// gone by then.
  private var filtersLate: Bool { noNewPrivileges && (isNarrow || isWatched) }

  /// What needs no root comes first: at a start it is done while the root is still put in place. The filter lets all
  /// that follows through, as it does for a command that changes its user.
  var ops: [PlannedOp] {
    var ops: [PlannedOp] = []
    if keyring { ops.append(.simple(.keyring, "leave the caller's session keyring")) }
    // A system zone has su and sudo inside; without no_new_privs only CAP_SYS_ADMIN, which is about to go, may filter.
    if noNewPrivileges { ops.append(.simple(.noNewPrivileges, "gain no privileges by execve")) }
    if !filtersLate { ops.append(.seccomp(seccomp)) }
    ops += PlannedOp.capabilities(capabilities)
    if let workdir {
      ops.append(.changeDirectory(workdir, make: true))
    } else {
      ops.append(home ? .enterHome(user.home) : .changeDirectory("/", make: false))
    }
    ops += afterRoot
    ops.append(.ids(uid: user.uid, gid: user.gid, groups: user.groups, keepGroups: keepGroups))
    ops.append(.holdCapabilities(capabilities))
    if filtersLate { ops.append(.seccomp(seccomp, flags: isWatched ? WatchFilter.flags : 0)) }
    return ops
  }

  /// `KEY=VALUE`, sorted, with what every process may count on.
  static func environment(_ wanted: [String: String], user: ZoneUser, terminal: Bool) -> [String] {
    // Without a dictionary of its own, whose type a start would have to make.
    var all: [String] = []
    let expect = { (name: String, value: String) in if wanted[name] == nil { all.append("\(name)=\(value)") } }
    expect("PATH", LaunchPlanner.searchPath)
    expect("HOME", user.home)
    expect("container", "zones")
    if terminal { expect("TERM", "xterm-256color") }
    for (name, value) in wanted { all.append("\(name)=\(value)") }
    return all.sorted()
  }
}
