internal import ArgumentParser
internal import Orchestrator

struct PsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "ps", abstract: "The zones of the fleets.")
  enum Output: String, ExpressibleByArgument, CaseIterable { case table, wide, json }

  @Argument(help: "Only this fleet.") var fleet: String?
  @Option(name: [.customShort("o"), .customLong("output")], help: "table, wide or json.") var output: Output = .table
  @OptionGroup var place: PlaceOptions

  func run() async throws {
    let client = try place.client()
    var rows: [ZoneRow] = []
    if client.hasState {
      try await client.ensureDaemon()
      rows = try await client.get("/v1/zones", fleet.map { [("fleet", $0)] } ?? [])
    } else if let fleet {
      throw FleetError.notFound("there is no fleet '\(fleet)'")
    }
    switch output {
    case .json: try Terminal.json(rows)
    case .table: Terminal.table(Self.header, rows.map(Self.cells))
    case .wide:
      Terminal.table(Self.header + ["PID", "LAST END", "WHY"], rows.map { Self.cells($0) + Self.wideCells($0) })
    }
  }

  private static let header = ["NAME", "SERVICE", "STATE", "HEALTH", "RESTARTS", "ADDRESS", "PORTS", "AGE"]

  private static func cells(_ row: ZoneRow) -> [String] {
    let completed = row.state == "installed" && row.exit != nil
    return [
      row.name, row.service, completed ? "\(row.state) (\(row.exit!.why))" : row.state,
      row.health == .unchecked ? "-" : row.health.rawValue, String(row.restarts),
      row.addresses.isEmpty ? "-" : row.addresses.joined(separator: ","),
      row.ports.isEmpty ? "-" : row.ports.joined(separator: ", "), Terminal.age(since: row.started),
    ]
  }

  private static func wideCells(_ row: ZoneRow) -> [String] {
    [row.pid.map(String.init) ?? "-", row.exit?.why ?? "-", row.why ?? row.healthWhy ?? "-"]
  }
}

struct LogsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "logs", abstract: "What the zones wrote.")

  @Argument(help: "Only these services.") var services: [String] = []
  @Option(help: "Only this fleet.") var fleet: String?
  @Flag(name: [.customShort("f"), .long], help: "Go on with what comes.") var follow = false
  @Option(help: "Only this many lines of each zone's past.") var tail: Int?
  @OptionGroup var place: PlaceOptions

  func validate() throws {
    guard tail ?? 0 >= 0 else { throw ValidationError("--tail wants a number of lines") }
  }

  func run() async throws {
    let client = try place.client()
    guard client.hasState else { throw FleetError.notFound("there is no fleet") }
    try await client.ensureDaemon()
    var query = services.map { ("service", $0) }
    if let fleet { query.append(("fleet", fleet)) }
    if let tail { query.append(("tail", String(tail))) }
    if follow { query.append(("follow", "1")) }
    var colours: [String: Int] = [:]
    var width = 0
    try await client.stream("/v1/logs", query) { line in
      guard let log = line.log else { return }
      // Six colours by turns: red is left for errors.
      let colour = colours[log.zone] ?? [36, 33, 32, 35, 34, 96][colours.count % 6]
      colours[log.zone] = colour
      width = max(width, log.zone.count)
      let name = log.zone + String(repeating: " ", count: width - log.zone.count)
      Terminal.print(Terminal.coloured("\(name) |", colour) + " \(log.text)")
    }
  }
}

struct EventsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "events", abstract: "What happened to the fleets.")

  @Argument(help: "Only this fleet.") var fleet: String?
  @Flag(name: [.customShort("f"), .long], help: "Go on with what comes.") var follow = false
  @Option(name: [.customShort("o"), .customLong("output")], help: "table or json (a line each).") var output:
    TableOrJSON = .table
  @OptionGroup var place: PlaceOptions

  func run() async throws {
    let client = try place.client()
    guard client.hasState else { throw FleetError.notFound("there is no fleet") }
    try await client.ensureDaemon()
    var query: [(String, String)] = follow ? [("follow", "1")] : []
    if let fleet { query.append(("fleet", fleet)) }
    try await client.stream("/v1/events", query) { line in
      guard let event = line.event else { return }
      switch output {
      case .json: try Terminal.json(event)
      case .table:
        Terminal.print("\(Terminal.time(event.at))  \(event.kind)  \(event.zone ?? event.fleet)  \(event.text)")
      }
    }
  }
}

struct FieldsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fields", abstract: "Every field that a manifest may have.")

  func run() throws {
    for (owner, fields) in Manifest.reference {
      Terminal.print("\(owner)")
      for field in fields { Terminal.print("  \(field.field) (\(field.takes)): \(field.means)") }
    }
  }
}
