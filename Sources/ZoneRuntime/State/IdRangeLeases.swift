internal import Glibc
public import LinuxNS

/// Gives every living zone of root's its own 65,536 host ids, so that no two share an id on the host.
///
/// One symbolic link a lease, `<run>/id-ranges/START -> ZONE`: symlink(2) makes it or says that the range is taken, so
/// that a start takes no lock and reads no table, however many zones live. A range is a zone's from its start to its
/// end; no id of one is ever on a disk (roots and volumes are id-mapped), hence each start may have another.
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
  private var folder: String { "\(directory)/id-ranges" }

  /// - Parameters:
  ///   - directory: one that a reboot empties, as it ends all zones; must exist.
  ///   - foreignFiles: subuid(5) and subgid(5), whose ranges are others' and skipped.
  public init(directory: String, foreignFiles: [String] = ["/etc/subuid", "/etc/subgid"]) {
    self.directory = directory
    self.foreignFiles = foreignFiles
  }

  /// A range for a zone that is about to start.
  public func lease(_ zone: String) throws(IdRangeError) -> IdRange {
    guard Self.isName(zone) else { throw .name(zone) }
    let foreign = try foreignRanges()
    let turn = try turn()
    var index = turn.index ?? UInt32(stableHash(directory) % UInt64(Self.startCount))
    // Nearly always the first is free; no sets and strides, whose types cost a start more than the search.
    for _ in 0..<Self.startCount {
      index = (index + 1) % Self.startCount
      let range = Self.range(index)
      if foreign.contains(where: { $0.overlaps(range) }) { continue }
      guard try claim(range, for: zone) else { continue }
      // Advice only: where it is lost, a range is another zone's sooner than it could be.
      let text = String(range.start) + "\n"
      _ = text.withCString { pwrite(turn.file.raw, $0, text.utf8.count, 0) }
      return range
    }
    throw .exhausted(zone: zone, count: try list().count)
  }

  /// Gives a zone's range back; without one, whatever it has. What is another's stays.
  public func release(_ zone: String, _ range: IdRange? = nil) throws(IdRangeError) {
    let leases = if let range { [Lease(zone: zone, range: range)] } else { try list() }
    for lease in leases where lease.zone == zone {
      let path = path(lease.range)
      do throws(SyscallError) {
        guard try FileSystem.readLink(path) == zone else { continue }
        try FileSystem.call("unlink", path) { unlink(path) }
      } catch {
        // EINVAL: it is no link, and so none of ours.
        guard [ENOENT, EINVAL].contains(error.errno) else { throw .release(error) }
      }
    }
  }

  /// Removes the note which range was leased last: it is advice, and the only file that is there without a zone.
  func forgetTurn() { unlink("\(folder)/next") }

  /// Every lease, by range.
  public func list() throws(IdRangeError) -> [Lease] {
    let names: [String]
    do { names = try FileSystem.list(folder) } catch {
      guard error.errno == ENOENT else { throw .call(error) }
      return []
    }
    var leases: [Lease] = []
    for name in names {
      guard let start = StrictNumber.id(Array(name.utf8)), let index = Self.index(of: start),
        let zone = holder("\(folder)/\(name)"), Self.isName(zone)
      else { continue }
      leases.append(Lease(zone: zone, range: Self.range(index)))
    }
    return leases.sorted { $0.range.start < $1.range.start }
  }

  // MARK: choosing

  private static func range(_ index: UInt32) -> IdRange { IdRange(start: firstStart + index * count, count: count)! }

  private static func index(of start: UInt32) -> UInt32? {
    guard start >= firstStart, start & (count - 1) == 0, (start - firstStart) / count < startCount else { return nil }
    return (start - firstStart) / count
  }

  private func path(_ range: IdRange) -> String { "\(folder)/\(range.start)" }

  /// nil where nobody holds it.
  private func holder(_ path: String) -> String? { try? FileSystem.readLink(path) }

  /// false where another zone has it.
  private func claim(_ range: IdRange, for zone: String) throws(IdRangeError) -> Bool {
    let path = path(range)
    if symlink(zone, path) == 0 { return true }
    let error = errno
    guard error == EEXIST else { throw .call(SyscallError(call: "symlink", errno: error, path: path)) }
    return false
  }

  private struct Turn: ~Copyable {
    let file: OwnedFD
    let index: UInt32?
  }

  /// The range leased last: the search goes on behind it, so that a range rests before it is another zone's, and a
  /// process that a zone left behind is not the next zone's. Unreadable or missing, the first one depends on the
  /// directory, since two `--root`s do not know of each other.
  private func turn() throws(IdRangeError) -> Turn {
    let path = "\(folder)/next"
    let open = { () throws(SyscallError) in try OwnedFD.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600) }
    do throws(SyscallError) {
      let file: OwnedFD
      do throws(SyscallError) { file = try open() } catch {
        guard error.errno == ENOENT else { throw error }
        try FileSystem.makeDirectories(folder, mode: 0o700)
        file = try open()
      }
      var bytes = [UInt8](repeating: 0, count: 16)
      let got = pread(file.raw, &bytes, bytes.count, 0)
      let digits = bytes[..<max(0, got)].prefix { $0 != 10 }
      return Turn(file: file, index: StrictNumber.id(digits).flatMap(Self.index(of:)))
    } catch { throw .call(error) }
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

  /// A zone's name or an id of the OCI grammar (VOCABULARY.md): what a link may say.
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
  case release(SyscallError)
  case name(String)
  case exhausted(zone: String, count: Int)
  case subordinate(SyntaxError)

  public var description: String {
    switch self {
    case .call(let error): "cannot lease ids: \(error)"
    case .release(let error): "cannot give back a zone's ids: \(error)"
    case .name(let name): "cannot lease ids for '\(name)': not a zone's name"
    case .exhausted(let zone, let count):
      "cannot lease ids for \(zone): \(count) zones have one and the rest is taken by /etc/subuid or /etc/subgid; delete zones"
    case .subordinate(let error): "cannot map ids: \(error)"
    }
  }
}
