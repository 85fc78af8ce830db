internal import Glibc
internal import LinuxNS

/// Locks that a start holds.
struct VolumeLocks: ~Copyable {
  fileprivate(set) var numbers: [CInt] = []
  deinit { for number in numbers { close(number) } }
}

/// Named volumes: a directory, or for host root a file with ext4 in it.
extension Zones {
  /// The named volumes there are.
  public func volumes() throws(ZoneError) -> [String] {
    guard FileSystem.exists(directories.volumes) else { return [] }
    let names = try attempt("list the volumes") { () throws(SyscallError) in try FileSystem.list(directories.volumes) }
    return names.filter(isDNSLabel)  // what is being made or removed has another name
  }

  /// A volume that is a file.
  func isDisk(_ path: String) -> Bool {
    guard let status = try? FileSystem.status(path, followingLinks: false) else { return false }
    return status.st_mode & S_IFMT == S_IFREG
  }

  /// Those that are missing are made when they are first used.
  /// - Returns: locks of those that are written in, to be kept until the zone is seen to live: who reads or replaces all of
  ///   a volume waits for starts, and they for him.
  func useVolumes(of spec: ZoneSpec) throws(ZoneError) -> VolumeLocks {
    var locks = VolumeLocks()
    for volume in spec.volumes {
      guard case .volume(let name) = volume.source else { continue }
      // Its file's time tells when it was used last, which is worth no failed start.
      if utimensat(AT_FDCWD, "\(directories.volumeRecords)/\(name)", nil, 0) != 0 { try? note(newVolume: name) }
      try attempt("make the volume \(name)") { () throws(SyscallError) in
        try FileSystem.makeDirectories(directories.volumes, mode: 0o711)
        let path = "\(directories.volumes)/\(name)"
        if !FileSystem.exists(path) { try FileSystem.makeDirectories(path, mode: 0o755) }
      }
      if !volume.readOnly { locks.numbers.append(try lock(volume: name, LOCK_SH).take()) }
    }
    return locks
  }

  /// `volume-records/NAME.lock`.
  func lock(volume name: String, _ how: CInt) throws(ZoneError) -> OwnedFD {
    let path = "\(directories.volumeRecords)/\(name).lock"
    return try attempt("lock volume \(name)") { () throws(SyscallError) in
      try FileSystem.makeDirectories(directories.volumeRecords, mode: 0o700)
      let file = try OwnedFD.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
      let raw = file.raw
      if flock(raw, how | LOCK_NB) != 0 {
        notice("waiting for who is at volume \(name) …")
        try FileSystem.call("flock", path) { flock(raw, how) }
      }
      return file
    }
  }

  private func note(newVolume name: String) throws(ZoneError) {
    // Of one that is older than such notes nothing is known.
    guard !FileSystem.exists("\(directories.volumes)/\(name)") else { return }
    try write(VolumeRecord(owner: geteuid(), made: Clock.realtimeNanoseconds()), of: name)
  }

  func write(_ record: VolumeRecord, of name: String) throws(ZoneError) {
    try attempt("note the volume \(name)") { () throws(SyscallError) in
      try FileSystem.makeDirectories(directories.volumeRecords, mode: 0o700)
    }
    try RecordFile.write(record, "\(directories.volumeRecords)/\(name)", draft: nil)
  }
}

#if !hasFeature(Embedded)
  public struct VolumeUser: Equatable, Sendable {
    public var zone: String
    public var state: ZoneState
    /// Where it lives: it may write in it now. Otherwise: it will.
    public var writes: Bool
    /// Where it lives: what it has mounted below the volume's own directory, by the paths that it sees. Who moves a directory
    /// of the volume takes that from it: the kernel spares the mount points of the caller's namespace alone (rename(2)).
    public var inside: [String] = []
  }

  /// flock(2), until it is gone.
  public final class VolumeLock: Sendable {
    private let file: OwnedFD
    init(_ file: consuming OwnedFD) { self.file = file }
  }

  /// What `orchestrator` does for `zonectl volume`.
  extension Zones {
    /// nil: nobody has noted any.
    public func volumeRecord(_ name: String) throws(ZoneError) -> VolumeRecord? {
      try RecordFile.read(VolumeRecord.self, "\(directories.volumeRecords)/\(name)")
    }

    public func note(_ record: VolumeRecord, of name: String) throws(ZoneError) { try write(record, of: name) }

    /// Changes what is noted of a volume that is there; its lock is the caller's.
    public func change(volume name: String, _ change: (inout VolumeRecord) -> Void) throws(ZoneError) {
      var record = try volumeRecord(name) ?? VolumeRecord(owner: geteuid(), made: Clock.realtimeNanoseconds())
      change(&record)
      try RecordFile.rewrite(record, "\(directories.volumeRecords)/\(name)")
    }

    /// The zones that have a volume: by their spec, or mounted since they were started, whatever their spec says now.
    public func users(ofVolume name: String) throws(ZoneError) -> [VolumeUser] {
      let path = "\(directories.volumes)/\(name)"
      let isDisk = isDisk(path)
      // What cannot be looked at may be written meanwhile.
      let (device, place) = try attempt("look where volume \(name) is mounted") {
        () throws(SyscallError) -> (String?, MountAudit.Place?) in
        if isDisk { return (try DiskFile.device(of: path), nil) }
        return (nil, try KernelView.place(of: path, in: MountTable.read("/proc/self/mountinfo")))
      }
      var users: [VolumeUser] = []
      for zone in try names() {
        let spec: ZoneSpec?
        do throws(ZoneError) { spec = try files(zone).readSpec() } catch {
          throw .refused("cannot tell whether zone \(zone) uses volume \(name): \(error)")
        }
        let wanted = (spec?.volumes ?? []).filter { $0.source == .volume(name) }
        var user = VolumeUser(zone: zone, state: try status(zone).state, writes: wanted.contains { !$0.readOnly })
        var isUser = !wanted.isEmpty
        if user.state.isLive, let keeper = try? files(zone).readKeeper(), keeper.`init` > 0,
          let table = try? MountTable.read("/proc/\(keeper.`init`)/mountinfo")
        {
          let mounts = table.filter { entry in
            if isDisk { return entry.device == device }
            return place == MountAudit.Place(device: entry.device, root: entry.root)
          }
          isUser = isUser || !mounts.isEmpty
          user.writes = mounts.contains { !$0.options.contains("ro") }
          user.inside = table.filter { entry in
            // What lies over its own directory stays there with that.
            mounts.contains { $0.id == entry.parent && $0.target != entry.target }
          }.map { $0.target }
        }
        if isUser { users.append(user) }
      }
      return users
    }

    /// The lock of a volume, for who reads or replaces all of it.
    public func hold(volume name: String) throws(ZoneError) -> VolumeLock {
      VolumeLock(try lock(volume: name, LOCK_EX))
    }

    /// A zone's lock: no verb changes it meanwhile. Not waited for long, since its holder may wait for ours.
    public func hold(zone name: String) throws(ZoneError) -> VolumeLock {
      let files = try files(name)
      let folder = try attempt("lock zone \(name)") { () throws(SyscallError) in
        try OwnedFD.open(FileSystem.exists(files.data) ? files.data : files.run, O_RDONLY | O_DIRECTORY)
      }
      let end = Clock.monotonicNanoseconds() + 10_000_000_000
      while flock(folder.raw, LOCK_EX | LOCK_NB) != 0 {
        guard errno == EWOULDBLOCK || errno == EINTR, Clock.monotonicNanoseconds() < end else {
          throw .refused("zone \(name) is being changed by somebody else (do it again when that is done)")
        }
        usleep(5000)
      }
      return VolumeLock(folder)
    }

    /// Removes a named volume and what is in it; refused while a zone has it in its spec.
    public func removeVolume(_ name: String) throws(ZoneError) {
      guard isDNSLabel(name) else { throw .usage("'\(shortened(name))' is not a volume's name") }
      if let user = try users(ofVolume: name).first {
        throw .refused("cannot remove volume \(name): zone \(user.zone) uses it")
      }
      guard FileSystem.exists("\(directories.volumes)/\(name)") else {
        throw .refused("there is no volume \(name) (zonectl volume list)")
      }
      try attempt("remove volume \(name)") { () throws(SyscallError) in
        if !isDisk("\(directories.volumes)/\(name)") { try? DiskQuota.lift("\(directories.volumes)/\(name)") }
        try TreeRemoval.remove("\(directories.volumes)/\(name)")
        for rest in ["new", "old", "at"] { try TreeRemoval.remove("\(directories.volumes)/.\(name).\(rest)") }
        for rest in ["", ".lock"] { try TreeRemoval.remove("\(directories.volumeRecords)/\(name)\(rest)") }
      }
    }
  }
#endif
