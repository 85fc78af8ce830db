import CommandLineTable
import ZoneRuntime

func set(_ context: Context) throws(ZoneError) -> Int32 {
  let format = try Output.format(context.invocation)
  try context.mayChange(context.name)
  let status = try context.zones.status(context.name)
  var spec = status.spec
  let named = try spelled(SpecKeys.apply(Array(context.invocation.operands.dropFirst()), to: &spec))

  var outcomes: [SetOutcome]
  let refused = SpecKeys.changed(from: status.spec, to: spec).contains { $0.isRefused } && status.state != .configured
  if refused {
    // One refusal and nothing is changed: what else would have been said of the others is not true now.
    outcomes = named.map { key in
      if case .refused(let why)? = SpecKeys.find(base(key))?.effect {
        return SetOutcome(key: key, effect: .refused, why: why)
      }
      return SetOutcome(key: key, effect: .refused, why: "not changed, because another setting was refused")
    }
  } else {
    let told = try context.zones.set(context.name, to: spec)
    outcomes = named.map { key in
      guard var outcome = told.first(where: { $0.key == key || $0.key == base(key) }) else {
        return SetOutcome(key: key, effect: .live, why: "it was so already")
      }
      outcome.key = key
      return outcome
    }
  }
  if format == .json {
    try Output.json(outcomes)
  } else {
    for outcome in outcomes {
      Output.line("\(outcome.key): \(outcome.effect.rawValue)" + (outcome.why.map { " (\($0))" } ?? ""))
    }
  }
  return outcomes.contains { $0.effect == .refused } ? 1 : 0
}

/// The key as the runtime tells it: `env` of `env.MODE`.
private func base(_ key: String) -> String {
  key.split(separator: ".", maxSplits: 1).first.map(String.init) ?? key
}

extension SpecKey {
  fileprivate var isRefused: Bool { if case .refused = effect { true } else { false } }
}
