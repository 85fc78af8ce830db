public import ZoneRuntime

/// Where two specs of one zone differ, and what it takes to bring the difference in force.
public struct SpecDifference: Equatable, Sendable {
  /// The manifest's name of it.
  public var field: String
  public var effect: Change.Effect

  struct Row: Sendable {
    let field: String
    let effect: Change.Effect
    let isEqual: @Sendable (ZoneSpec, ZoneSpec) -> Bool

    init<Value: Equatable & Sendable>(
      _ field: String, _ effect: Change.Effect, _ path: any KeyPath<ZoneSpec, Value> & Sendable
    ) {
      self.field = field
      self.effect = effect
      self.isEqual = { $0[keyPath: path] == $1[keyPath: path] }
    }

    init(
      _ field: String, _ effect: Change.Effect, isEqual: @escaping @Sendable (ZoneSpec, ZoneSpec) -> Bool
    ) {
      self.field = field
      self.effect = effect
      self.isEqual = isEqual
    }
  }

  /// Each field of a spec with the cut that a change of it needs. A field of ZoneSpec that has no row here would be
  /// changed unseen; a test compares the rows with the spec's own fields.
  static let rows: [Row] = [
    Row("image", .recreate, \.brand),
    Row("command", .restart, \.command),
    Row("environment", .restart, \.environment),
    Row("working_dir", .restart, \.workdir),
    Row("user", .restart, \.user),
    Row("hostname", .restart, \.hostname),
    Row("network", .restart, \.network),
    Row("aliases", .restart, \.aliases),
    Row("ports", .live, \.publish),
    Row("volumes", .restart, \.volumes),
    Row("secrets", .restart, \.secrets),
    Row("limits", .live, \.limits),
    Row("read_only", .restart, \.readOnly),
    Row("cap_add", .restart, \.capAdd),
    Row("cap_drop", .restart, \.capDrop),
    Row("calls", .restart, \.calls),
    Row("restart", .live, \.restart),
    // A fleet makes none; somebody else's sandbox by its zone's name is no zone of its.
    Row("sandbox", .recreate, \.sandbox),
    Row("autostart", .live, \.autostart),
    Row("expires", .live, \.expires),
    // What was written without one is counted first, which takes a zone that does not run.
    Row("storage_opt", .restart) { $0.quota != nil || $1.quota == nil },
    Row("storage_opt", .live) { $0.quota == nil || $0.quota == $1.quota },
    Row("tty", .restart, \.terminal),
    Row("init", .restart, \.ownInit),
    Row("nesting", .restart, \.nesting),
    Row("labels", .live, \.labels),
    Row("stop_signal", .live, \.stopSignal),
    Row("stop_grace_period", .live, \.stopGrace),
    Row("fleet", .live, \.fleet),
    Row("ephemeral", .restart, \.ephemeral),
    Row("version", .live, \.version),
  ]

  public static func between(_ old: ZoneSpec, _ new: ZoneSpec) -> [SpecDifference] {
    rows.filter { !$0.isEqual(old, new) }.map { SpecDifference(field: $0.field, effect: $0.effect) }
  }
}
