#if !hasFeature(Embedded)
  internal import Glibc
  internal import LinuxNS

  /// A zone that somebody wants until a time (`--expires`), and whether its end was told.
  public struct ZoneLease: Equatable, Sendable {
    public var zone: String
    /// Seconds since 1970.
    public var expires: UInt64
    /// When it was told that it ends; nil: it was not, or has been renewed since.
    public var warned: UInt64?

    /// It goes no sooner than this behind the warning, in seconds: a day, in which somebody may renew it.
    public static let notice: UInt64 = 86_400

    /// When it may be deleted.
    public var end: UInt64? { warned.map { max(expires, $0 + Self.notice) } }
  }

  extension Zones {
    /// Those that a fleet owns have none: it would make them again.
    public func zoneLeases() throws(ZoneError) -> [ZoneLease] {
      var leases: [ZoneLease] = []
      for zone in try names() {
        let files = try files(zone)
        // Of a spec that cannot be read nothing is known; other verbs tell.
        guard let spec = (try? files.readSpec()) ?? nil, spec.fleet == nil, let expires = spec.expires else { continue }
        leases.append(ZoneLease(zone: zone, expires: expires, warned: warned(files, expires)))
      }
      return leases
    }

    /// The note that it was told: which end it was about, and its own time.
    private func mark(_ files: ZoneFiles) -> String { "\(files.data)/expiring" }

    private func warned(_ files: ZoneFiles, _ expires: UInt64) -> UInt64? {
      guard let text = try? FileSystem.readLine(mark(files)), text == "\(expires)",
        let facts = try? FileFacts.at(mark(files)), facts.modified > 0
      else { return nil }
      return UInt64(facts.modified) / 1_000_000_000
    }

    /// Tells that a zone ends, and notes that it was told.
    public func warn(_ lease: ZoneLease) throws(ZoneError) {
      let files = try files(lease.zone)
      try attempt("note that zone \(lease.zone) expires") { () throws(SyscallError) in
        try FileSystem.replace(mark(files), with: Array("\(lease.expires)\n".utf8))
      }
      note(.expiring, lease.zone)
    }

    /// Deletes it, unless somebody has renewed it since it was looked at.
    /// - Returns: false where somebody has.
    public func end(_ lease: ZoneLease) throws(ZoneError) -> Bool {
      guard let spec = try files(lease.zone).readSpec(), spec.fleet == nil, spec.expires == lease.expires else {
        return false
      }
      try delete(lease.zone, force: true)
      return true
    }
  }
#endif
