/// The rows of `healthcheck` (compose-spec, "healthcheck"; `http` and `tcp` are our own).
extension HealthCheck {
  struct Draft {
    var probes: [Probe] = []
    var isNone = false
    var disabled = false
    var times = HealthCheck([])
  }

  static let table = FieldTable<Draft>(
    "a healthcheck",
    [
      Field("test", "list or text", "[CMD, PROGRAM, …], [CMD-SHELL, LINE], NONE; text is a line for the zone's /bin/sh")
      {
        (node, draft, _) throws(ManifestProblem) in
        if let command = try command(node) { draft.probes.append(command) } else { draft.isNone = true }
      },
      Field("http", "text", "PORT[/PATH]: a GET from the host; 200 to 399 is healthy") {
        (node, draft, _) throws(ManifestProblem) in
        let text = try node.textOrNumber()
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let port = UInt16(parts[0]), port > 0 else {
          throw node.problem("\(node.name) wants PORT[/PATH], 8000/ say, not '\(text)'")
        }
        let path = "/" + (parts.count == 2 ? parts[1] : "")
        guard path.utf8.allSatisfy({ (33...126).contains($0) }) else {
          throw node.problem("\(node.name): the path must be percent-encoded")
        }
        draft.probes.append(.http(port: port, path: path))
      },
      Field("tcp", "number", "a port that must take a connection from the host") {
        (node, draft, _) throws(ManifestProblem) in
        draft.probes.append(.tcp(port: UInt16(try node.whole(1...65535))))
      },
      Field("interval", "time", "between checks; 30s without it") { (node, draft, _) throws(ManifestProblem) in
        draft.times.interval = try positive(node)
      },
      Field("timeout", "time", "a check that takes longer has failed; 30s without it") {
        (node, draft, _) throws(ManifestProblem) in
        draft.times.timeout = try positive(node)
      },
      Field("retries", "number", "failures in a row that make it unhealthy; 3 without it") {
        (node, draft, _) throws(ManifestProblem) in
        draft.times.retries = Int(try node.whole(1...1000))
      },
      Field("start_period", "time", "after the start, failures do not count; 0s without it") {
        (node, draft, _) throws(ManifestProblem) in
        draft.times.startPeriod = try node.seconds()
      },
      Field("start_interval", "time", "between checks in that time; 5s without it") {
        (node, draft, _) throws(ManifestProblem) in
        draft.times.startInterval = try positive(node)
      },
      Field("disable", "true or false", "no check") { (node, draft, _) throws(ManifestProblem) in
        draft.disabled = try node.bool()
      },
    ])

  static func read(_ node: ManifestNode, _ reading: inout ManifestReading) throws(ManifestProblem) -> HealthCheck? {
    var draft = Draft()
    let before = reading.problems.count
    table.read(node, into: &draft, &reading)
    guard reading.problems.count == before else { return nil }
    if draft.isNone, !draft.probes.isEmpty {
      throw node.problem("\(node.name): NONE cannot stand beside another check")
    }
    if draft.disabled || draft.isNone { return nil }
    guard !draft.probes.isEmpty else { throw node.problem("\(node.name) has no test, http or tcp") }
    var check = draft.times
    check.probes = draft.probes
    return check
  }

  /// nil for NONE.
  private static func command(_ node: ManifestNode) throws(ManifestProblem) -> Probe? {
    guard node.isList else {
      let line = try node.text()
      return line == "NONE" ? nil : .command(["/bin/sh", "-c", line])
    }
    let words = try node.texts()
    switch words.first {
    case "NONE" where words.count == 1: return nil
    case "CMD" where words.count > 1: return .command(Array(words.dropFirst()))
    case "CMD-SHELL" where words.count == 2: return .command(["/bin/sh", "-c", words[1]])
    case "CMD", "CMD-SHELL", "NONE":
      throw node.problem(
        "\(node.name): \(words[0]) wants \(words[0] == "NONE" ? "nothing" : words[0] == "CMD" ? "a program" : "one line") after it"
      )
    default: throw node.problem("\(node.name) must begin with CMD, CMD-SHELL or NONE")
    }
  }

  private static func positive(_ node: ManifestNode) throws(ManifestProblem) -> Double {
    let seconds = try node.seconds()
    guard seconds > 0 else { throw node.problem("\(node.name) must be longer than nothing") }
    return seconds
  }
}
