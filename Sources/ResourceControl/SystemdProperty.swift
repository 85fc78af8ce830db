/// A property of a unit (org.freedesktop.systemd1(5), systemd.resource-control(5)), in busctl(1)'s words.
public struct SystemdProperty: Equatable, Sendable {
  public var name: String
  /// D-Bus's types of the value.
  public var signature: String
  /// The value; an array's begin with their number.
  public var words: [String]

  public init(_ name: String, _ signature: String, _ words: [String]) {
    (self.name, self.signature, self.words) = (name, signature, words)
  }

  public init(_ name: String, text: String) { self.init(name, "s", [text]) }
  public init(_ name: String, _ value: Bool) { self.init(name, "b", [value ? "true" : "false"]) }
  public init(_ name: String, _ value: UInt64) { self.init(name, "t", ["\(value)"]) }

  // MARK: limits

  private enum Kind { case amount, weight, idle, quota, list, policy }

  /// The files of a v2 group that systemd writes too, whenever it thinks that they are due: what we write there is to be
  /// what it knows.
  private static let table: [(file: String, property: String, kind: Kind, since: Int)] = [
    ("cpu.weight", "CPUWeight", .weight, 0), ("cpu.idle", "CPUWeight", .idle, 252),
    ("cpu.max", "CPUQuotaPerSecUSec", .quota, 0), ("cpuset.cpus", "AllowedCPUs", .list, 0),
    ("cpuset.mems", "AllowedMemoryNodes", .list, 0), ("io.weight", "IOWeight", .weight, 0),
    ("memory.min", "MemoryMin", .amount, 0), ("memory.low", "MemoryLow", .amount, 0),
    ("memory.high", "MemoryHigh", .amount, 0), ("memory.max", "MemoryMax", .amount, 0),
    ("memory.swap.max", "MemorySwapMax", .amount, 0), ("memory.zswap.max", "MemoryZSwapMax", .amount, 253),
    ("memory.oom.group", "OOMPolicy", .policy, 253), ("pids.max", "TasksMax", .amount, 0),
  ]

  /// The properties that say the same as these limits, so far as systemd knows such limits.
  /// - Parameter version: systemd's; asked only where it makes a difference.
  public static func of(_ limits: ContainerLimits, version: () throws(CgroupError) -> Int) throws(CgroupError)
    -> [SystemdProperty]
  {
    var found: [SystemdProperty] = []
    for value in limits.parts.flatMap({ $0.v2 }) + limits.unified {
      for row in table where row.file == value.file {
        if row.since > 0, try version() < row.since { continue }
        for property in properties(row.property, row.kind, value.text) {
          // What is asked for last is what the file has in the end.
          found.removeAll { $0.name == property.name }
          found.append(property)
        }
      }
    }
    return found
  }

  /// None for a text that the kernel has to judge.
  private static func properties(_ name: String, _ kind: Kind, _ text: String) -> [SystemdProperty] {
    let words = text.split(separator: " ").map(String.init)
    switch kind {
    case .amount:
      return amount(words.first ?? "").map { [SystemdProperty(name, $0)] } ?? []
    case .weight:
      // io.weight: `default N`
      return words.last.flatMap { UInt64($0) }.map { [SystemdProperty(name, $0)] } ?? []
    case .idle:
      return words == ["1"] ? [SystemdProperty(name, 0)] : []
    case .policy:
      return [SystemdProperty(name, text: words == ["1"] ? "kill" : "continue")]
    case .quota:
      let period = words.count > 1 ? UInt64(words[1]) ?? 0 : 100_000
      guard let quota = amount(words.first ?? ""), quota == .max || quota < 1 << 50, period > 0 else { return [] }
      // systemd keeps whole percents, so it is rounded up, as runc does; the file gets it to the microsecond.
      let perSecond = quota == .max ? quota : (quota * 100 + period - 1) / period * 10_000
      return [SystemdProperty("CPUQuotaPeriodUSec", period), SystemdProperty(name, perSecond)]
    case .list:
      guard let numbers = try? CPUList.parse(words.joined()) else { return [] }
      var mask = [UInt8](repeating: 0, count: (numbers.last ?? 0) / 8 + 1)
      for number in numbers { mask[number / 8] |= 1 << UInt8(number % 8) }
      return [SystemdProperty(name, "ay", ["\(mask.count)"] + mask.map { "\($0)" })]
    }
  }

  /// A number, with the kernel's suffixes (memparse), or `max`.
  private static func amount(_ text: String) -> UInt64? {
    if text == "max" { return .max }
    let suffixes: [(Character, UInt64)] = [("k", 10), ("m", 20), ("g", 30), ("t", 40)]
    guard let last = text.last else { return nil }
    for (letter, bits) in suffixes where last == letter || String(last) == letter.uppercased() {
      guard let number = UInt64(text.dropLast()), number < 1 << (63 - bits) else { return nil }
      return number << bits
    }
    return UInt64(text)
  }
}
