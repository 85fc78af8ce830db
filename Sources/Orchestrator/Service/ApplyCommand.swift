internal import ArgumentParser
internal import Orchestrator

struct ApplyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply", abstract: "Make a fleet as its manifest says.",
    discussion:
      "Shows what will change, changes just that, and waits until everything is up. What has stopped is started, but for work that is done."
  )

  @Argument(help: "The manifest; - is standard input.") var manifest: String?
  @Option(name: [.customShort("f"), .customLong("file")], help: "The manifest.") var file: String?
  @Flag(name: .customLong("no-wait"), help: "Do not wait until everything is up.") var noWait = false
  @Option(help: "Seconds for all of it.") var timeout: Double = 120
  @OptionGroup var place: PlaceOptions

  func validate() throws {
    guard timeout > 0, timeout < 1e6 else { throw ValidationError("--timeout wants seconds, from 1 to 1000000") }
  }

  func run() async throws {
    let manifest = try ManifestSource.read(manifest, file)
    let client = try place.client()
    try await client.ensureDaemon()
    var options = ApplyOptions()
    options.wait = !noWait
    options.timeout = timeout
    let lines = ProgressLines()
    try await client.stream("/v1/apply", ApplyRequest(manifest, options)) { line in
      if let plan = line.plan { PlanCommand.show(plan) }
      if let progress = line.progress { lines.show(progress) }
    }
  }
}

struct PlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan", abstract: "Show what apply would do; change nothing.")

  @Argument(help: "The manifest; - is standard input.") var manifest: String?
  @Option(name: [.customShort("f"), .customLong("file")], help: "The manifest.") var file: String?
  @Option(name: [.customShort("o"), .customLong("output")], help: "table or json.") var output: TableOrJSON = .table
  @OptionGroup var place: PlaceOptions

  func run() async throws {
    let manifest = try ManifestSource.read(manifest, file)
    let client = try place.client()
    let plan: PlanReply
    if client.hasState {
      try await client.ensureDaemon()
      plan = try await client.post("/v1/plan", ApplyRequest(manifest))
    } else {
      // No fleet was ever applied here: a daemon would only be started, and leave files, to say so.
      plan = try Planner.first(manifest, on: try Place(root: place.root).driver(), client.directories)
    }
    switch output {
    case .table: Self.show(plan)
    case .json: try Terminal.json(plan)
    }
  }

  static func show(_ plan: PlanReply) {
    guard !plan.changes.isEmpty else { return Terminal.print("\(plan.fleet): nothing to change") }
    Terminal.table(
      ["CHANGE", "NAME", "DOWNTIME", "WHY"],
      plan.changes.map { change in
        let downtime = change.downtime > 0 ? "at most \(durationText(change.downtime))" : "none"
        return [change.effect.rawValue, change.name, downtime, change.reasons.joined(separator: ", ")]
      })
  }
}

enum TableOrJSON: String, ExpressibleByArgument, CaseIterable { case table, json }

struct DownCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "down", abstract: "Take a fleet down: its zones, ports, network and secrets.",
    discussion: "Named volumes are kept unless --volumes is given.")

  @Argument(help: "The fleets; may be left out where there is one.") var fleets: [String] = []
  @Option(name: [.customShort("f"), .customLong("file")], help: "Take down the fleet of this manifest.") var file:
    String?
  @Flag(help: "Remove the fleet's named volumes too.") var volumes = false
  @OptionGroup var place: PlaceOptions

  func run() async throws {
    var names = fleets
    if let file { names.append(try ManifestSource.read(nil, file).fleet.name) }
    let client = try place.client()
    guard client.hasState else {
      throw FleetError.notFound(names.isEmpty ? "there is no fleet" : "there is no fleet '\(names[0])'")
    }
    try await client.ensureDaemon()
    if names.isEmpty {
      let known: FleetNames = try await client.get("/v1/fleets")
      guard known.names.count <= 1 else {
        throw ValidationError("name the fleet: \(known.names.joined(separator: ", "))")
      }
      guard let only = known.names.first else { throw FleetError.notFound("there is no fleet") }
      names = [only]
    }
    let lines = ProgressLines()
    var ends = false
    for name in names {
      ends = try await client.stream("/v1/fleets/\(name)/down", DownRequest(volumes: volumes)) { line in
        if let progress = line.progress { lines.show(progress) }
      }.daemonEnds
    }
    if ends { try await client.waitForEnd() }
  }
}
