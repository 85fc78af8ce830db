#if !hasFeature(Embedded)
  internal import Glibc
  internal import LinuxNS

  /// Something that somebody wants until a time (`--expires`), and whether its end was told.
  public struct Lease: Equatable, Sendable {
    public enum Subject: Equatable, Sendable {
      case zone(String)
      case snapshot(String, of: String)
      /// A name of one.
      case image(ImageReference)
      case volume(String)
    }

    public var subject: Subject
    /// Seconds since 1970.
    public var expires: UInt64
    /// When it was told that it ends; nil: it was not, or has been renewed since.
    public var warned: UInt64?

    /// It goes no sooner than this behind the warning, in seconds: a day, in which somebody may renew it.
    public static let notice: UInt64 = 86_400

    /// When it may be deleted.
    public var end: UInt64? { warned.map { max(expires, $0 + Self.notice) } }

    /// - Returns: nil where nobody has said until when.
    init?(_ subject: Subject, _ expires: UInt64?, _ warned: UInt64?) {
      guard let expires else { return nil }
      (self.subject, self.expires, self.warned) = (subject, expires, warned)
    }
  }

  /// Zones tell by their settings until when they are wanted, and a file `expiring` that it was told; what else there is by
  /// its record.
  extension Zones {
    /// All that there are. Zones that a fleet owns have none: it would make them again.
    /// What cannot be read is told, and left alone.
    public func leases() throws(ZoneError) -> [Lease] {
      var leases: [Lease?] = []
      for zone in try names() {
        let files = try files(zone)
        // Of a spec that cannot be read nothing is known; other verbs tell.
        guard let spec = (try? files.readSpec()) ?? nil, spec.fleet == nil, let expires = spec.expires else { continue }
        leases.append(Lease(.zone(zone), expires, warned(files, expires)))
      }
      told { () throws(ZoneError) in
        for root in try ImageStore.open(directories)?.roots() ?? [] {
          leases += root.record.snapshots.map { Lease(.snapshot($0.name, of: root.zone), $0.expires, $0.warned) }
        }
      }
      told { () throws(ZoneError) in
        let names = try ImageStore.open(directories)?.allReferences() ?? []
        leases += names.map { Lease(.image($0.name), $0.record.expires, $0.record.warned) }
      }
      for volume in try volumes() {
        told { () throws(ZoneError) in
          guard let record = try volumeRecord(volume) else { return }
          leases.append(Lease(.volume(volume), record.expires, record.warned))
        }
      }
      return leases.compactMap { $0 }
    }

    private func told(_ body: () throws(ZoneError) -> Void) {
      do throws(ZoneError) { try body() } catch { notice(error.description) }
    }

    /// The zones that keep it, whatever its time: those that have a volume, or were made from an image of no other name.
    public func keepers(of lease: Lease) throws(ZoneError) -> [String] {
      switch lease.subject {
      case .zone, .snapshot: return []
      case .volume(let name): return try users(ofVolume: name).map { $0.zone }
      case .image(let name):
        guard let store = try ImageStore.open(directories), let record = try store.reference(name) else { return [] }
        let others = try store.allReferences().contains { $0.name != name && $0.record.manifest == record.manifest }
        return others
          ? [] : try store.roots().filter { $0.record.manifests.contains(record.manifest) }.map { $0.zone }
      }
    }

    /// Tells that it ends, and notes that it was told, unless somebody has renewed it since it was looked at.
    /// - Returns: false where somebody has.
    public func warn(_ lease: Lease) throws(ZoneError) -> Bool {
      let now = Clock.realtimeNanoseconds() / 1_000_000_000
      switch lease.subject {
      case .zone(let name):
        let files = try files(name)
        // What is noted of another time counts for nothing.
        guard try files.readSpec()?.expires == lease.expires else { return false }
        try attempt("note that zone \(name) expires") { () throws(SyscallError) in
          try FileSystem.replace(mark(files), with: Array("\(lease.expires)\n".utf8))
        }
        note(.expiring, name)
        return true
      default:
        var isSame = false
        try change(lease.subject) { expires, warned in
          isSame = expires == lease.expires
          if isSame { warned = now }
        }
        return isSame
      }
    }

    /// Deletes it, unless somebody has renewed it since it was looked at.
    /// - Returns: false where somebody has.
    public func end(_ lease: Lease) throws(ZoneError) -> Bool {
      switch lease.subject {
      case .zone(let name):
        guard let spec = try files(name).readSpec(), spec.fleet == nil, spec.expires == lease.expires else {
          return false
        }
        try delete(name, force: true)
        return true
      case .snapshot(let name, let zone):
        return try withSnapshot(name, of: zone) { own, snapshot throws(ZoneError) in
          guard snapshot.expires == lease.expires else { return false }
          try own.forget(name)
          return true
        }
      case .image(let name):
        guard let store = try ImageStore.open(directories) else { return false }
        return try !store.delete(name.familiar, force: false, expired: lease.expires).isEmpty
      case .volume(let name):
        let lock = try hold(volume: name)
        defer { withExtendedLifetime(lock) {} }
        guard try volumeRecord(name)?.expires == lease.expires else { return false }
        try removeVolume(name)
        return true
      }
    }

    /// - Parameter expires: in seconds since 1970; nil: for ever.
    /// - Throws: where there is no such thing.
    public func renew(_ subject: Lease.Subject, until expires: UInt64?) throws(ZoneError) {
      switch subject {
      case .zone(let name):
        var spec = try spec(of: name)
        spec.expires = expires
        _ = try set(name, to: spec)
      default: try change(subject) { ($0, $1) = (expires, nil) }
      }
    }

    // MARK: parts

    /// - Parameter edit: until when it is wanted, and when it was told that this ends.
    private func change(
      _ subject: Lease.Subject, _ edit: (_ expires: inout UInt64?, _ warned: inout UInt64?) -> Void
    ) throws(ZoneError) {
      switch subject {
      case .zone: break
      case .snapshot(let name, let zone):
        try withSnapshot(name, of: zone) { own, _ throws(ZoneError) in
          try own.change { root in
            for index in root.snapshots.indices where root.snapshots[index].name == name {
              var snapshot = root.snapshots[index]
              edit(&snapshot.expires, &snapshot.warned)
              root.snapshots[index] = snapshot
            }
          }
        }
      case .image(let name):
        guard let store = try ImageStore.open(directories) else { throw ImageStore.noName(name) }
        let lock = try store.share(notice)
        try store.change(name) { edit(&$0.expires, &$0.warned) }
        withExtendedLifetime(lock) {}
      case .volume(let name):
        guard try volumes().contains(name) else {
          throw .refused("there is no volume \(shortened(name)) (zonectl volume list)")
        }
        let lock = try hold(volume: name)
        try change(volume: name) { edit(&$0.expires, &$0.warned) }
        withExtendedLifetime(lock) {}
      }
    }

    private func withSnapshot<Outcome>(
      _ name: String, of zone: String, _ body: (inout OwnLayer, RootSnapshot) throws(ZoneError) -> Outcome
    ) throws(ZoneError) -> Outcome {
      let store = try images(of: try spec(of: zone))
      let lock = try store.share(notice)
      var own = try ownLayer(of: zone, for: "look at", in: store, sparse: true)
      let snapshot = try own.root.snapshot(named: name, of: zone)
      let outcome = try body(&own, snapshot)
      withExtendedLifetime(lock) {}
      return outcome
    }

    /// The note that a zone's end was told: which end it was about, and its own time.
    private func mark(_ files: ZoneFiles) -> String { "\(files.data)/expiring" }

    private func warned(_ files: ZoneFiles, _ expires: UInt64) -> UInt64? {
      guard let text = try? FileSystem.readLine(mark(files)), text == "\(expires)",
        let facts = try? FileFacts.at(mark(files)), facts.modified > 0
      else { return nil }
      return UInt64(facts.modified) / 1_000_000_000
    }
  }
#endif
