internal import Glibc
public import LinuxNS

/// Gives every zone of root's its own 65,536 host ids, so that no two zones share an id on the host.
///
/// One file, `<data>/ids`, replaced as a whole under a lock of its own:
/// ```
/// zones-ids 1
/// next 1879179264
/// 1879048192 web
/// 1879113728 db
/// ```
/// It is not fsynced. After a crash an old one may be there, so the start of a zone leases again; no id of a range is
/// ever on a disk (roots and volumes are id-mapped), hence another range than before is as good.
public struct IdRangeLeases: Sendable {
  /// Ids a zone has.
  public static let count: UInt32 = 0x10000
  /// The first ids of all ranges: above systemd-nspawn's (up to 0x6fffffff), below where ids turn negative as 32 bits.
  private static let firstStart: UInt32 = 0x7000_0000
  private static let startCount: UInt32 = 0x1000

  public struct Lease: Equatable, Sendable {
    public let zone: String
    public let range: IdRange
  }

  let directory: String
  let foreignFiles: [String]
  private var file: String { "\(directory)/ids" }

  /// - Parameters:
  ///   - directory: the data directory; must exist.
  ///   - foreignFiles: subuid(5) and subgid(5), whose ranges are others' and skipped.
  public init(directory: String, foreignFiles: [String] = ["/etc/subuid", "/etc/subgid"]) {
    self.directory = directory
    self.foreignFiles = foreignFiles
  }

  /// The zone's range, leased now if it has none.
  public func lease(_ zone: String) throws(IdRangeError) -> IdRange {
    guard Self.isName(zone) else { throw .name(zone) }
    return try locked { () throws(IdRangeError) in
      var table = try read()
      if let lease = table.leases.first(where: { $0.zone == zone }) { return lease.range }
      let range = try choose(for: zone, in: table)
      table.leases.append(Lease(zone: zone, range: range))
      table.next = range.start
      try write(table)
      return range
    }
  }

  /// Gives the range back; a zone without one is fine.
  public func release(_ zone: String) throws(IdRangeError) {
    try locked { () throws(IdRangeError) in
      var table = try read()
      guard table.leases.contains(where: { $0.zone == zone }) else { return }
      table.leases.removeAll { $0.zone == zone }
      try write(table)
    }
  }

  /// Every lease, by range.
  public func list() throws(IdRangeError) -> [Lease] {
    // Without the lock: the file is replaced, never changed.
    try read().leases.sorted { $0.range.start < $1.range.start }
  }

  // MARK: choosing

  /// The next free range after the one leased last, so that a range rests before it is another zone's: a process or
  /// file that a deleted zone left behind does not belong to the next zone. The first start depends on the directory,
  /// since tables of two `--root`s do not know of each other.
  private func choose(for zone: String, in table: Table) throws(IdRangeError) -> IdRange {
    let foreign = try foreignRanges()
    var index =
      if let next = table.next, let last = Self.index(of: next) { last + 1 } else {
        UInt32(stableHash(directory) % UInt64(Self.startCount))
      }
    // Nearly always the first is free; no sets and strides, whose types cost a start more than the search.
    for _ in 0..<Self.startCount {
      let range = IdRange(start: Self.firstStart + index % Self.startCount * Self.count, count: Self.count)!
      index += 1
      if !table.leases.contains(where: { $0.range == range }), !foreign.contains(where: { $0.overlaps(range) }) { return range }
    }
    throw .exhausted(zone: zone, count: table.leases.count)
  }

  private static func index(of start: UInt32) -> UInt32? {
    guard start >= firstStart, start & (count - 1) == 0, (start - firstStart) / count < startCount else { return nil }
    return (start - firstStart) / count
  }

  private func foreignRanges() throws(IdRangeError) -> [IdRange] {
    var ranges: [IdRange] = []
    for path in foreignFiles {
      do {
        ranges += SubordinateIds.all(in: try FileSystem.read(path))
      } catch {
        guard error.errno == ENOENT else { throw .call(error) }
      }
    }
    return ranges
  }

  // MARK: the file

  private struct Table {
    var next: UInt32?
    var leases: [Lease] = []
  }

  private func locked<T>(_ body: () throws(IdRangeError) -> T) throws(IdRangeError) -> T {
    let lock = try takeLock()
    defer { _ = lock.file.raw }  // Held to the end of the body.
    return try body()
  }

  private func takeLock() throws(IdRangeError) -> FileLock {
    do { return try FileLock("\(file).lock", create: true) } catch { throw .call(error) }
  }

  private func read() throws(IdRangeError) -> Table {
    let bytes: [UInt8]
    do {
      bytes = try FileSystem.read(file)
    } catch {
      guard error.errno == ENOENT else { throw .call(error) }
      return Table()
    }
    let corrupt = { (line: Int, why: String) in IdRangeError.corrupt(path: file, line: line, why: why) }
    guard bytes.last == 10 else { throw corrupt(1, "it ends within a line") }
    var table = Table()
    var number = 0
    var at = 0
    while at < bytes.count {
      var end = at
      var space: Int?
      var spaces = 0
      while bytes[end] != 10 {
        if bytes[end] == 32 {
          space = end
          spaces += 1
        }
        end += 1
      }
      let line = bytes[at..<end]
      at = end + 1
      number += 1
      if number == 1 {
        let version = String(decoding: line, as: UTF8.self)
        guard version == "zones-ids 1" else { throw corrupt(1, "expected 'zones-ids 1', found '\(version.prefix(40))'") }
        continue
      }
      guard let space, spaces == 1 else { throw corrupt(number, "expected two words") }
      let (first, second) = (line[..<space], line[(space + 1)...])
      if first.elementsEqual("next".utf8) {
        table.next = StrictNumber.id(second)
        continue
      }
      let zone = String(decoding: second, as: UTF8.self)
      guard let start = StrictNumber.id(first), start >= 0x7000_0000, start & 0xffff == 0,
        let range = IdRange(start: start, count: Self.count), Self.isName(zone)
      else { throw corrupt(number, "expected the start of a range and a zone's name") }
      guard !table.leases.contains(where: { $0.zone == zone || $0.range == range }) else {
        throw corrupt(number, "the zone or the range is there twice")
      }
      table.leases.append(Lease(zone: zone, range: range))
    }
    return table
  }

  private func write(_ table: Table) throws(IdRangeError) {
    var text = "zones-ids 1\n"
    if let next = table.next { text += "next \(next)\n" }
    for lease in table.leases.sorted(by: { $0.range.start < $1.range.start }) {
      text += "\(lease.range.start) \(lease.zone)\n"
    }
    do { try FileSystem.replace(file, with: Array(text.utf8), mode: 0o644) } catch { throw .call(error) }
  }

  /// A zone's name or an id of the OCI grammar (VOCABULARY.md): no white space, so that a line is a line.
  private static func isName(_ text: String) -> Bool {
    (1...1024).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || "_+.-".utf8.contains($0)
      }
  }

  /// FNV-1a (public domain), because Swift's own hash differs from process to process.
  private func stableHash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}

/// Why no range of ids could be leased or read.
public enum IdRangeError: Error, Equatable, Sendable, CustomStringConvertible {
  case call(SyscallError)
  case name(String)
  case corrupt(path: String, line: Int, why: String)
  case exhausted(zone: String, count: Int)
  case subordinate(SyntaxError)

  public var description: String {
    switch self {
    case .call(let error): "cannot lease ids: \(error)"
    case .name(let name): "cannot lease ids for '\(name)': not a zone's name"
    case .corrupt(let path, let line, let why):
      "cannot read the leased ids in \(path): line \(line): \(why); restore the file, or remove it while no zone runs"
    case .exhausted(let zone, let count):
      "cannot lease ids for \(zone): \(count) zones have one and the rest is taken by /etc/subuid or /etc/subgid; delete zones"
    case .subordinate(let error): "cannot map ids: \(error)"
    }
  }
}
