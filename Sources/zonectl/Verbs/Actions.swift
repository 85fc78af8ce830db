import CommandLineTable
import ZoneRuntime

/// What a verb runs: from a parsed command line to an exit status.
typealias Action = (Invocation) throws(ZoneError) -> Int32

/// The action of each verb; the compiler sees that none is forgotten.
func action(of invocation: Invocation) -> Action {
  switch invocation.zonectlVerb {
  case .configure: onZones(configure)
  case .create: onZones(create)
  case .ready: onZones(ready)
  case .start: onZones(start)
  case .run: onZones(run)
  case .stop: onZones(stop)
  case .halt: onZones(halt)
  case .restart: onZones(restart)
  case .pause: onZones(pause)
  case .resume: onZones(resume)
  case .delete: onZones(delete)
  case .exec: onZones(exec)
  case .login: onZones(login)
  case .attach: onZones(attach)
  case .logs: onZones(logs)
  case .cp: onZones(copyFiles)
  case .clone: onZones(clone)
  case .kill: onZones(kill)
  case .wait: onZones(wait)
  case .sandbox: onZones(sandbox)
  case .learn: onZones(learn)
  case .list: onZones(list)
  case .show: onZones(show)
  case .set: onZones(set)
  case .explain: onZones(explain)
  case .audit: onZones(audit)
  case .changes: onZones(changes)
  case .features: features
  case .events: onZones(events)
  case .apply, .plan, .down, .ps: handOver
  case .image, .snapshot, .commit, .diff, .df, .export, .import, .rebase, .volume, .prune: handOverChecked
  case .completion: completion
  case .man: manual
  case .help: help
  case .version: version
  case .zoneEnded: onZones(zoneEnded)
  case .networkNames: onZones(networkNames)
  case .userNetwork: userNetwork
  case .egressProxy: egressProxy
  case .sandboxWatch: sandboxWatch
  case nil: preconditionFailure("the table has a verb that is no ZonectlVerb: \(invocation.verb.name)")
  }
}

private func onZones(_ body: @escaping (Context) throws(ZoneError) -> Int32) -> Action {
  { invocation in try body(Context(invocation)) }
}
