/// What a watcher has seen of a run.
public struct WatchNotes: Equatable, Sendable {
  public struct Sighting: Hashable, Sendable {
    public var path: String
    public var access: FileAccess
    /// What was there before; nil: nothing.
    public var kind: PathKind?

    public init(_ path: String, _ access: FileAccess, _ kind: PathKind?) {
      self.path = path
      self.access = access
      self.kind = kind
    }
  }

  public var denials: [Denial] = []
  /// Of `learn`: files outside of what every sandbox has.
  public var sightings: [Sighting] = []
  /// The groups of calls that were made, without those that cannot be seen apart.
  public var groups: CallGroups = .base
  /// Processes and threads at once, as far as they were seen.
  public var mostProcesses = 0
  /// It was killed, or could not go on: what comes after is not in here.
  public var wasCut = false

  public init() {}

  /// Each a line, the first byte says which.
  enum Mark {
    static let denial = UInt8(ascii: "d"), sighting = UInt8(ascii: "s"), group = UInt8(ascii: "g")
    static let processes = UInt8(ascii: "p"), end = UInt8(ascii: "e")
  }

  private static let accesses: [(FileAccess, UInt8)] = [
    (.look, UInt8(ascii: "l")), (.read, UInt8(ascii: "r")), (.write, UInt8(ascii: "w")), (.create, UInt8(ascii: "c")),
    (.remove, UInt8(ascii: "d")), (.execute, UInt8(ascii: "x")),
  ]
  private static let kinds: [(PathKind?, UInt8)] = [
    (nil, UInt8(ascii: "n")), (.directory, UInt8(ascii: "d")), (.file, UInt8(ascii: "f")), (.link, UInt8(ascii: "l")),
    (.other, UInt8(ascii: "o")),
  ]

  static func line(_ sighting: Sighting) -> [UInt8] {
    let access = accesses.first { $0.0 == sighting.access }?.1 ?? 0
    let kind = kinds.first { $0.0 == sighting.kind }?.1 ?? 0
    return [Mark.sighting, access, kind] + Array(sighting.path.utf8) + [10]
  }

  static func line(_ mark: UInt8, _ number: UInt64) -> [UInt8] { [mark] + Array("\(number)".utf8) + [10] }

  init(_ bytes: [UInt8]) {
    wasCut = true
    for line in bytes.split(separator: 10) {
      let rest = line.dropFirst()
      let number = UInt64(String(decoding: rest, as: UTF8.self))
      switch line.first {
      case Mark.denial:
        if let denial = try? JSON.decode(Denial.self, from: Array(rest), name: "a denial") { denials.append(denial) }
      case Mark.sighting:
        guard rest.count > 2, let access = Self.accesses.first(where: { $0.1 == rest[rest.startIndex] }),
          let kind = Self.kinds.first(where: { $0.1 == rest[rest.startIndex + 1] })
        else { continue }
        sightings.append(Sighting(String(decoding: rest.dropFirst(2), as: UTF8.self), access.0, kind.0))
      case Mark.group: groups.formUnion(CallGroups(rawValue: UInt32(truncatingIfNeeded: number ?? 0)))
      case Mark.processes: mostProcesses = max(mostProcesses, Int(truncatingIfNeeded: number ?? 0))
      case Mark.end: wasCut = false
      default: continue
      }
    }
  }
}
