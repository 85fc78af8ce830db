internal import CommandLineTable
internal import Foundation
internal import Glibc
internal import LinuxNS
internal import Orchestrator
internal import ResourceControl
internal import ZoneRuntime

/// volume: what zones keep beside their roots.
struct VolumeVerbs {
  private let invocation: Invocation
  private let directories: Directories
  private let keeper: VolumeKeeper

  init(_ invocation: Invocation) throws(ZoneError) {
    self.invocation = invocation
    directories = try Directories.standard(root: invocation.value(.root))
    keeper = VolumeKeeper(directories) { HandedOver.complain($0) }
  }

  private static let words = VerbWords(
    "volume",
    [
      VerbWords.Word("list", 0...0, "list", [.output, .quiet]), VerbWords.Word("show", 1...1, "show NAME", [.output]),
      VerbWords.Word("create", 1...1, "create NAME", [.file, .size, .label, .expires]),
      VerbWords.Word("set", 2...2, "set NAME expires=WHEN|size=SIZE", []),
      VerbWords.Word("delete", 1...Int.max, "delete NAME…", []),
      VerbWords.Word("backup", 2...2, "backup NAME FILE|-", [.compress]),
      VerbWords.Word("restore", 2...2, "restore NAME FILE|-", [.force]),
    ])

  func run() throws -> Int32 {
    let names = try Self.words.checked(invocation)
    switch invocation.operands[0] {
    case "list": try list(try keeper.rows())
    case "show": try show(try keeper.row(names[0]))
    case "create": try create(names[0])
    case "set": try set(names[0], names[1])
    case "delete": return delete(names)
    case "backup": try backUp(names[0], to: names[1])
    default: try keeper.restore(names[0], from: names[1], force: invocation.has(.force))
    }
    return 0
  }

  private func list(_ rows: [VolumeKeeper.Row]) throws {
    let format = try ImageVerbs.format(invocation)
    if invocation.has(.quiet) {
      for row in rows { Terminal.print(row.name) }
    } else if format == .json {
      try ImageVerbs.json(rows)
    } else {
      let isWide = format == .wide
      var table = TextTable(
        ["name", "kind", "size", "age", "used", "zones"] + (isWide ? ["expires", "owner", "labels", "path"] : []))
      for row in rows {
        let zones = row.zones.isEmpty ? "-" : row.zones.joined(separator: ",")
        let wide = [
          row.expires.map(LeaseTime.text) ?? "-", row.owner.map(String.init) ?? "-", Self.labels(row), row.path,
        ]
        table.add(
          [row.name, row.kind.rawValue, Self.size(row), Self.age(row.made), Self.age(row.used), zones]
            + (isWide ? wide : []))
      }
      Terminal.write(table.text(), to: STDOUT_FILENO)
    }
  }

  private func show(_ row: VolumeKeeper.Row) throws {
    if try ImageVerbs.format(invocation) == .json { return try ImageVerbs.json(row) }
    let lines = [
      ("name", row.name), ("kind", row.kind.rawValue), ("path", row.path), ("size", Self.size(row)),
      ("made", Self.time(row.made)), ("used", Self.time(row.used)),
      ("expires", row.expires.map(LeaseTime.text) ?? "never"), ("owner", row.owner.map { "uid \($0)" } ?? "-"),
      ("zones", row.zones.isEmpty ? "-" : row.zones.joined(separator: " ")), ("labels", Self.labels(row)),
    ]
    for (word, value) in lines {
      Terminal.print("\(word.padding(toLength: 9, withPad: " ", startingAt: 0))\(TextTable.printable(value))")
    }
  }

  private static func size(_ row: VolumeKeeper.Row) -> String {
    let bytes = Words.bytes(row.bytes) + (row.isPartial ? "+" : "")
    guard row.kind == .directory, let size = row.size else { return bytes }
    return "\(bytes) of \(Words.bytes(size))"
  }

  private static func age(_ time: UInt64?) -> String {
    guard let time else { return "-" }
    let now = Clock.realtimeNanoseconds()
    return Words.span(nanoseconds: now > time ? now - time : 0)
  }

  private static func time(_ time: UInt64?) -> String {
    time.map { Timestamp.text(Int64(clamping: $0 / 1_000_000_000), 0) } ?? "-"
  }

  private static func labels(_ row: VolumeKeeper.Row) -> String {
    row.labels.isEmpty
      ? "-" : row.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
  }

  private func set(_ name: String, _ setting: String) throws {
    guard setting.hasPrefix("size=") else {
      return try Zones(directories).renew(.volume(name), until: try Leases.parse(setting, "volume set"))
    }
    let text = setting.dropFirst("size=".utf8.count)
    try keeper.set(size: text.isEmpty ? nil : try size(String(text), "volume set: size"), of: name)
  }

  private func size(_ text: String, _ what: String) throws -> Int64 {
    guard let bytes = try? ByteSize.parse(text, limit: "size"), bytes >= VolumeKeeper.smallestDisk else {
      throw ZoneError.commandLine(
        "\(what) '\(shortened(text))' is no size from \(Words.bytes(VolumeKeeper.smallestDisk)) on, as 10G is")
    }
    return bytes
  }

  private func create(_ name: String) throws {
    let size = try invocation.value(.size).map { try self.size($0, "volume create: --size") }
    if invocation.has(.file), size == nil { throw ZoneError.commandLine("volume create: --file wants --size") }
    let expires = try invocation.expires()
    try keeper.create(
      name, size: size, isDisk: invocation.has(.file), labels: try invocation.labels(), expires: expires?.time)
    Terminal.print(name)
  }

  /// Tells every failure and goes on.
  private func delete(_ names: [String]) -> Int32 {
    var status: Int32 = 0
    for name in names {
      do throws(ZoneError) { try keeper.delete(name) } catch {
        HandedOver.complain(error.description)
        status = error.exitStatus
      }
    }
    return status
  }

  private func backUp(_ name: String, to file: String) throws {
    guard file != "-" || isatty(STDOUT_FILENO) == 0 else {
      throw ZoneError.refused("cannot back volume \(name) up to a terminal (name a file, or lead it on: … - | ssh …)")
    }
    let how = try invocation.choice("compress", ["gzip", "zstd", "none"]) ?? "none"
    try keeper.back(up: name, to: file, MediaType.Compression(rawValue: how) ?? .none)
  }
}
