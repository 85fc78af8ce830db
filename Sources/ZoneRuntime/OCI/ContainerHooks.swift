internal import Glibc
internal import LinuxNS

/// Hooks of the runtime's side: executed one after the other, with the container's state as their standard input.
extension Containers {
  /// The state as hooks read it, in sealed memory.
  func stateFile(_ state: ContainerState, _ config: BundleConfig, _ record: ContainerRecord) throws(ZoneError)
    -> OwnedFD
  {
    let status = ContainerStatus(
      id: record.id, state: state, pid: state == .stopped ? 0 : record.process?.pid ?? 0, bundle: record.bundle,
      rootfs: record.rootfs, created: "", owner: "", annotations: config.annotations)
    let text = try status.json(pretty: false, forHooks: true)
    return try attempt("write the container's state for its hooks") { () throws(SyscallError) in
      try sealed("container-state", executable: false) { (file) throws(SyscallError) in
        try FileSystem.write(text, to: file)
      }
    }
  }

  func runCreateHooks(_ config: BundleConfig, _ files: ContainerFiles, _ record: ContainerRecord) throws(ZoneError) {
    try run(config.hooks.prestart, "prestart", .creating, config, record)
    try run(config.hooks.createRuntime, "createRuntime", .creating, config, record)
  }

  func run(
    _ hooks: [BundleHook], _ kind: String, _ state: ContainerState, _ config: BundleConfig, _ record: ContainerRecord
  ) throws(ZoneError) {
    for hook in hooks { try run(hook, kind, try stateFile(state, config, record)) }
  }

  /// After the container's end. One that fails is told of, and those behind it run (runtime.md, "Lifecycle").
  func runPoststop(_ config: BundleConfig, _ record: ContainerRecord) {
    for hook in config.hooks.poststop {
      do throws(ZoneError) { try run([hook], "poststop", .stopped, config, record) } catch { warn("\(error)") }
    }
  }

  private func run(_ hook: BundleHook, _ kind: String, _ state: consuming OwnedFD) throws(ZoneError) {
    let doing = "run the \(kind) hook \(hook.path)"
    let end = try attempt(doing) { () throws(SyscallError) -> ExitStatus? in
      lseek(state.raw, 0, SEEK_SET)
      let null = try OwnedFD.open("/dev/null", O_RDWR)
      let started = try spawn(
        ProgramStart(
          path: hook.path, arguments: hook.arguments, environment: hook.environment, fds: [state.raw, null.raw, 2],
          newSession: true))
      let process = Pidfd(OwnedFD(raw: started.pidfd))
      if let timeout = hook.timeout, try !process.waitUntilEnd(timeout: CInt(clamping: Int(timeout) * 1000)) {
        // With all that it has started: the session is its own.
        Glibc.kill(-started.pid, SIGKILL)
        _ = try process.reap()
        return nil
      }
      return try process.reap()
    }
    switch end {
    case .exited(0)?: return
    case .exited(let code)?: throw .refused("cannot \(doing): exit status \(code)")
    case .signaled(let number)?: throw .refused("cannot \(doing): killed by signal \(number)")
    case nil: throw .refused("cannot \(doing): it ran longer than its \(hook.timeout ?? 0) s, and was killed")
    }
  }
}
