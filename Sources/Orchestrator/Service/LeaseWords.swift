internal import CommandLineTable
internal import ZoneRuntime

/// `--expires WHEN`, and `set NAME expires=WHEN` of what is no zone.
enum Leases {
  struct Until: Sendable {
    /// Seconds since 1970; nil: for ever.
    var time: UInt64?
  }

  static func parse(when text: String) throws(ZoneError) -> UInt64? {
    do throws(SyntaxError) { return try LeaseTime.parse(text) } catch { throw .commandLine(error.description) }
  }

  /// - Parameter verb: whose the setting is.
  static func parse(_ setting: String, _ verb: String) throws(ZoneError) -> UInt64? {
    let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, parts[0] == "expires" else {
      throw .commandLine(
        "\(verb): '\(shortened(setting))' is no setting of it: it is expires=WHEN (7d, 2026-12-01, never)")
    }
    return parts[1].isEmpty ? nil : try parse(when: parts[1])
  }
}

extension Invocation {
  /// nil: nothing was said.
  func expires() throws(ZoneError) -> Leases.Until? {
    guard let text = value(.expires) else { return nil }
    return Leases.Until(time: try Leases.parse(when: text))
  }
}
