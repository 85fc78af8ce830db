/// The verbs of `zonectl`, each a row of the table: what it runs is chosen by this name, and the compiler sees that none is forgotten.
public enum ZonectlVerb: String, CaseIterable, Sendable {
  case configure, create, ready, start, run
  case stop, halt, restart, pause, resume, delete
  case exec, login, attach, logs, cp, kill, wait
  case sandbox, learn
  case list, show, set, explain, audit, events, changes, features
  case image, snapshot, clone, commit, diff, df
  case export, `import`, rebase, volume, prune
  case apply, plan, down, ps
  case completion, man, help, version
  case zoneEnded = "zone-ended"
  case networkNames = "network-names"
  case userNetwork = "user-network"
  case egressProxy = "egress-proxy"
  case sandboxWatch = "sandbox-watch"
}

/// The options of `zonectl`, by their long names: how verbs ask an invocation.
public enum ZonectlOption: String, CaseIterable, Sendable {
  case image, cpus
  case cpuShares = "cpu-shares"
  case cpuset, memory, pids
  case volume, tmpfs, secret, env
  case envFile = "env-file"
  case workdir, user, hostname
  case network
  case networkAlias = "network-alias"
  case publish
  case readOnly = "read-only"
  case capAdd = "cap-add"
  case capDrop = "cap-drop"
  case restart, autostart, expires, quota, `init`, nesting, label
  case ro, rw, hide, home, profile, require, review, explain, verbose, report, id, ids, pid
  case only, calls, check, limits
  case stopSignal = "stop-signal"
  case stopTimeout = "stop-timeout"
  case tty, interactive, name, rm, detach
  case detachKeys = "detach-keys"
  case all, force, yes, timeout, signal, follow, tail, quiet, output
  case digests, platform, from, blobs, ca, login, jobs, pull
  case change, message, author, compress
  case asTemplate = "as-template"
  case machine, file, size
  case noVolumes = "no-volumes"
  case bootable, kernel, volumes
  case plainHttp = "plain-http"
  case dryRun = "dry-run"
  case root, help, version
}

extension Invocation {
  /// What to run; the table has no other names.
  public var zonectlVerb: ZonectlVerb? { ZonectlVerb(rawValue: verb.name) }

  public func has(_ option: ZonectlOption) -> Bool { has(option.rawValue) }
  public func value(_ option: ZonectlOption) -> String? { value(option.rawValue) }
  public func values(_ option: ZonectlOption) -> [String] { values(option.rawValue) }
  public func seconds(_ option: ZonectlOption) throws(UsageError) -> Double? { try seconds(option.rawValue) }
  public func number(_ option: ZonectlOption, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
    try number(option.rawValue, in: range)
  }
}
