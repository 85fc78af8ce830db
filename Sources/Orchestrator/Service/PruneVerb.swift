internal import CommandLineTable
internal import Foundation
internal import Glibc
internal import LinuxNS
internal import Orchestrator
internal import ZoneRuntime

/// prune: what is past its time, volumes of no zone, images that nothing leads to.
struct PruneVerb {
  private let invocation: Invocation
  private let directories: Directories
  private let zones: Zones
  private var isDry: Bool { invocation.has(.dryRun) }

  init(_ invocation: Invocation) throws {
    self.invocation = invocation
    directories = try Directories.standard(root: invocation.value(.root))
    zones = Zones(directories, zonectl: try Place.zonectl()) { HandedOver.complain($0) }
  }

  /// What became of a lease, or would.
  private struct Row: JSONObject {
    enum State: String { case warned, waits, used, deleted, failed }

    var kind = ""
    var name = ""
    var expires = ""
    var state = State.waits
    /// When it may go.
    var end: String?
    /// Zones for whose sake it stays.
    var zones: [String] = []

    static var blank: Row { Row() }

    mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      var word = state.rawValue
      try json.field("end", &end)
      try json.field("expires", &expires)
      try json.field("kind", &kind)
      try json.field("name", &name)
      try json.field("state", &word)
      try json.field("zones", &zones)
      state = State(rawValue: word) ?? .failed
    }
  }

  private struct Report: JSONObject {
    var images = PrunePlan()
    var leases: [Row] = []
    var volumes: [String] = []

    static var blank: Report { Report() }

    mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("images", &images)
      try json.field("leases", &leases)
      try json.field("volumes", &volumes)
    }
  }

  func run() throws -> Int32 {
    let format = try ImageVerbs.format(invocation)
    let wish = PrunePlan.Wish(all: invocation.has(.all), blobs: invocation.has(.blobs))
    if !isDry, !invocation.has(.yes), isatty(STDIN_FILENO) == 1 {
      let what =
        (wish.all ? ["all images that no zone was made from"] : [])
        + (invocation.has(.volumes) ? ["all volumes of no zone, with what is in them"] : [])
      guard what.isEmpty || ImageVerbs.confirmed("remove \(what.joined(separator: ", and "))?") else {
        throw ZoneError.refused("nothing was pruned")
      }
    }
    var report = Report()
    report.leases = try leases()
    if invocation.has(.volumes) { report.volumes = try volumes() }
    if !isDry { try VolumeKeeper(directories) { HandedOver.complain($0) }.removeLeftovers() }
    report.images = try ImageVerbs.pruned(wish, directories, isDry: isDry)
    if format == .json {
      try ImageVerbs.json(report)
    } else {
      for row in report.leases {
        Terminal.print(row.kind.padding(toLength: 10, withPad: " ", startingAt: 0) + "\(row.name): \(words(row))")
      }
      for name in report.volumes { Terminal.print("volume    \(name)") }
      ImageVerbs.print(report.images)
      Terminal.print("\(isDry ? "would free" : "freed") \(Words.bytes(report.images.bytes)) of images")
    }
    return report.leases.contains { $0.state == .failed } ? 1 : 0
  }

  private func words(_ row: Row) -> String {
    switch row.state {
    case .deleted: return isDry ? "would be deleted" : "deleted"
    case .failed: return "not deleted"
    case .used: return "expired \(row.expires), and stays for \(row.zones.joined(separator: ", "))"
    case .waits, .warned:
      let renewal =
        switch row.kind {
        case "zone": "set \(row.name)"
        case "snapshot": "snapshot set \(row.name.split(separator: "@").joined(separator: " "))"
        default: "\(row.kind) set \(row.name)"
        }
      return "expires \(row.expires), and goes \(row.end ?? row.expires) (zonectl \(renewal) expires=7d renews it)"
    }
  }

  private func leases() throws -> [Row] {
    var rows: [Row] = []
    let now = Clock.realtimeNanoseconds() / 1_000_000_000
    for lease in try zones.leases() where now + Lease.notice >= lease.expires {
      var row = Row()
      (row.kind, row.name) = Self.words(lease.subject)
      row.expires = LeaseTime.text(lease.expires)
      if let end = lease.end {
        row.end = LeaseTime.text(end)
        row.state = now >= end ? .deleted : .waits
      } else {
        row.end = LeaseTime.text(max(lease.expires, now + Lease.notice))
        row.state = .warned
      }
      // With its zone it goes, or has gone.
      if case .snapshot(_, let zone) = lease.subject,
        rows.contains(where: { $0.kind == "zone" && $0.name == zone && $0.state == .deleted })
      {
        continue
      }
      if carryOut(lease, &row) { rows.append(row) }
    }
    return rows
  }

  private static func words(_ subject: Lease.Subject) -> (kind: String, name: String) {
    switch subject {
    case .zone(let name): ("zone", name)
    case .snapshot(let name, let zone): ("snapshot", "\(zone)@\(name)")
    case .image(let name): ("image", name.familiar)
    case .volume(let name): ("volume", name)
    }
  }

  /// Tells a failure and goes on.
  /// - Returns: false where somebody has renewed it meanwhile, and there is nothing to tell.
  private func carryOut(_ lease: Lease, _ row: inout Row) -> Bool {
    do throws(ZoneError) {
      if row.state == .deleted {
        row.zones = try zones.keepers(of: lease)
        if !row.zones.isEmpty { row.state = .used }
      }
      if isDry { return true }
      switch row.state {
      case .warned: return try zones.warn(lease)
      case .deleted: return try zones.end(lease)
      case .waits, .used, .failed: return true
      }
    } catch {
      HandedOver.complain(error.description)
      row.state = .failed
      return true
    }
  }

  private func volumes() throws -> [String] {
    let keeper = VolumeKeeper(directories) { HandedOver.complain($0) }
    var gone: [String] = []
    for row in try keeper.rows() where row.zones.isEmpty {
      if !isDry { try keeper.delete(row.name) }
      gone.append(row.name)
    }
    return gone
  }
}
