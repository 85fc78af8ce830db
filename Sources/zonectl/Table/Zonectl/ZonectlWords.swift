/// The verbs of `zonectl`, each a row of the table: what it runs is chosen by this name, and the compiler sees that none is forgotten.
public enum ZonectlVerb: String, CaseIterable, Sendable {
  case configure, create, ready, start, run
  case stop, halt, restart, pause, resume, delete
  case exec, login, attach, logs, cp, kill, wait
  case list, show, set, explain, features
  case apply, plan, down, ps, events
  case completion, man, help, version
  case zoneEnded = "zone-ended"
  case networkNames = "network-names"
  case userNetwork = "user-network"
}

/// The options of `zonectl`, by their long names: how verbs ask an invocation.
public enum ZonectlOption: String, CaseIterable, Sendable {
  case image, cpus, cpuShares = "cpu-shares", cpuset, memory, pids
  case volume, tmpfs, secret, env, envFile = "env-file", workdir, user, hostname
  case network, networkAlias = "network-alias", publish, readOnly = "read-only", capAdd = "cap-add", capDrop = "cap-drop"
  case restart, autostart, `init`, nesting, label, stopSignal = "stop-signal", stopTimeout = "stop-timeout"
  case tty, interactive, name, rm, detach, detachKeys = "detach-keys"
  case all, force, yes, timeout, signal, follow, tail, quiet, output
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
