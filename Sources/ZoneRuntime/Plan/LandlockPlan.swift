internal import LinuxNS
internal import ResourceControl

/// Landlock domains (landlock(7)): of a sandbox with namespaces a second wall behind them; of one without the wall itself.
extension LaunchPlanner {
  /// A domain in which nothing is to be had but what lies below the sandbox's own root: whatever else led out, a descriptor
  /// or a mount, leads nowhere. Where nobody asked for that it is one of signals and abstract sockets: each open(2) would go
  /// up to the root once more, six parts in a hundred of a build of C.
  func secondWall() -> [PlannedOp] {
    let landlock = facts.landlock
    guard let sandbox = spec.sandbox, landlock.abi > 0 else { return [] }
    var scopes: UInt32 = landlock.scopesSignals ? Landlock.scopeSignals : 0
    if landlock.scopesAbstractSockets, spec.network != .host { scopes |= Landlock.scopeAbstractSockets }
    if !sandbox.landlock { return scopes == 0 ? [] : [.landlockRuleset(files: [], scopes: scopes), .landlockEnter] }
    return [
      .landlockRuleset(files: landlock.files, scopes: scopes),
      .landlockAllow("/", landlock.files, why: "the sandbox's own tree"), .landlockEnter,
    ]
  }

  // MARK: the tier without namespaces

  /// The host's tree as it is: who may reach what is said path by path.
  mutating func planBare() {
    guard let sandbox = spec.sandbox, sandbox.bare != nil else { return }
    let landlock = facts.landlock
    // The keeper and all below it: a signal to everybody stays in there, which is how the sandbox ends.
    if landlock.scopesSignals {
      plan.before = [
        .simple(.noNewPrivileges, "gain no privileges by execve"),
        .landlockRuleset(files: [], scopes: Landlock.scopeSignals), .landlockEnter,
      ]
    }
    if spec.terminal {
      plan.zone.append(
        .terminal(rows: UInt64(facts.terminalSize?.rows ?? 0), columns: UInt64(facts.terminalSize?.columns ?? 0)))
    }
    plan.process = bareLimits()
    plan.process.append(.simple(.noNewPrivileges, "gain no privileges by execve"))
    plan.process += domain(of: sandbox)
    plan.process.append(.seccomp(facts.seccomp))
    // Only root has a bounding set that may be changed; without new privileges nobody gains any by it.
    if facts.uid == 0 { plan.process += PlannedOp.capabilities(facts.capabilities) }
    plan.process.append(.changeDirectory(spec.workdir ?? "/", make: false))
    plan.process.append(.ids(uid: facts.user.uid, gid: facts.user.gid, groups: [], keepGroups: true))
    plan.process.append(.holdCapabilities(facts.capabilities))
    plan.arguments = spec.command
    plan.environment = ProcessWish.environment(spec.environment, user: facts.user, terminal: spec.terminal)
    plan.searchPath = spec.environment["PATH"] ?? Self.searchPath
  }

  /// setrlimit(2). Processes are counted by user: those that run already count too.
  private func bareLimits() -> [PlannedOp] {
    var ops: [PlannedOp] = []
    if let pids = spec.limits.pids {
      let most = facts.ownProcesses + UInt64(pids)
      ops.append(.rlimit(.init(resource: 6, name: "RLIMIT_NPROC", soft: most, hard: most)))
    }
    if let memory = spec.limits.memory {
      ops.append(.rlimit(.init(resource: 2, name: "RLIMIT_DATA", soft: UInt64(memory), hard: UInt64(memory))))
    }
    return ops
  }

  private func domain(of sandbox: SandboxSpec) -> [PlannedOp] {
    let landlock = facts.landlock
    var scopes: UInt32 = landlock.scopesSignals ? Landlock.scopeSignals : 0
    if landlock.scopesAbstractSockets { scopes |= Landlock.scopeAbstractSockets }
    let network = spec.network == .host ? 0 : landlock.network
    var ops = [PlannedOp.landlockRuleset(files: landlock.files, network: network, scopes: scopes)]
    let add = { (path: String, isDirectory: Bool, rights: Landlock.Files, why: String, flags: StageOp.Flags) in
      // A rule about a file may name no right that only directories have.
      let named = isDirectory ? rights : rights.intersection(.ofFile)
      ops.append(.landlockAllow(path, named.intersection(landlock.files), why: why, flags: flags))
    }
    for name in facts.rootDirectories { add("/\(name)", true, .read, "the machine's programs", .straight) }
    for path in facts.readable { add(path.path, path.isDirectory, .read, path.why, .optional) }
    for name in Self.bareDevices { add("/dev/\(name)", false, landlock.device, "a device of everybody's", .optional) }
    // Its terminal by the name that ttyname(3) finds; whose number nobody knows before.
    if spec.terminal { add("/proc/self/fd/0", false, landlock.device, "its own terminal", []) }
    for place in sandbox.places {
      let isWritable = place.access == .writable
      add(
        place.source ?? place.path, place.isDirectory, isWritable ? landlock.write : .read, place.why,
        place.path.hasPrefix("/proc") ? [] : .straight)
    }
    ops.append(.landlockEnter)
    return ops
  }

  static let bareDevices = ["null", "zero", "full", "random", "urandom", "tty"]
}

/// A path of the host's that a sandbox without namespaces may read.
public struct ReadablePath: Equatable, Sendable {
  public var path: String
  public var isDirectory: Bool
  public var why: String
}

extension PlannedOp {
  static func landlockRuleset(files: Landlock.Files, network: UInt32 = 0, scopes: UInt32) -> PlannedOp {
    PlannedOp(
      op: StageOp(.landlock, flags: .make, a: files.rawValue, b: UInt64(scopes) << 32 | UInt64(network)),
      words: "make a Landlock domain"
        + ([
          files.isEmpty ? nil : "of files", network == 0 ? nil : "of TCP",
          scopes & Landlock.scopeSignals == 0 ? nil : "of signals",
          scopes & Landlock.scopeAbstractSockets == 0 ? nil : "of abstract sockets",
        ] as [String?]).compactMap { $0 }.joined(separator: ",").prefixed(by: " "))
  }

  static func landlockAllow(
    _ path: String, _ rights: Landlock.Files, why: String, flags: StageOp.Flags = .straight
  ) -> PlannedOp {
    PlannedOp(
      op: StageOp(.landlock, flags: flags, blocks: [Array(path.utf8)], a: rights.rawValue),
      words: "let it \(rights.contains(.writeFile) ? "write" : "read") \(path) (\(why))")
  }

  static var landlockEnter: PlannedOp {
    PlannedOp(op: StageOp(.landlock), words: "enter the Landlock domain")
  }
}

extension String {
  fileprivate func prefixed(by text: String) -> String { isEmpty ? "" : text + self }
}
