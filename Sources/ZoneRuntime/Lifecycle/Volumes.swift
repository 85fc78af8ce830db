internal import Glibc
internal import LinuxNS

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
  func useVolumes(of spec: ZoneSpec) throws(ZoneError) {
    for volume in spec.volumes {
      guard case .volume(let name) = volume.source else { continue }
      // Its file's time tells when it was used last, which is worth no failed start.
      if utimensat(AT_FDCWD, "\(directories.volumeRecords)/\(name)", nil, 0) != 0 { try? note(newVolume: name) }
      try attempt("make the volume \(name)") { () throws(SyscallError) in
        try FileSystem.makeDirectories(directories.volumes, mode: 0o711)
        let path = "\(directories.volumes)/\(name)"
        if !FileSystem.exists(path) { try FileSystem.makeDirectories(path, mode: 0o755) }
      }
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
  /// What `orchestrator` does for `zonectl volume`.
  extension Zones {
    /// nil: nobody has noted any.
    public func volumeRecord(_ name: String) throws(ZoneError) -> VolumeRecord? {
      try RecordFile.read(VolumeRecord.self, "\(directories.volumeRecords)/\(name)")
    }

    public func note(_ record: VolumeRecord, of name: String) throws(ZoneError) { try write(record, of: name) }

    /// The zones that have a volume, and whether each of them lives and may write in it.
    public func users(ofVolume name: String) throws(ZoneError) -> [(zone: String, isLive: Bool, writes: Bool)] {
      var users: [(zone: String, isLive: Bool, writes: Bool)] = []
      for zone in try names() {
        let spec: ZoneSpec?
        do throws(ZoneError) { spec = try files(zone).readSpec() } catch {
          throw .refused("cannot tell whether zone \(zone) uses volume \(name): \(error)")
        }
        let mounts = (spec?.volumes ?? []).filter { $0.source == .volume(name) }
        guard !mounts.isEmpty else { continue }
        users.append((zone, try status(zone).state.isLive, mounts.contains { !$0.readOnly }))
      }
      return users
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
        try TreeRemoval.remove("\(directories.volumes)/\(name)")
        for rest in ["new", "old"] { try TreeRemoval.remove("\(directories.volumes)/.\(name).\(rest)") }
        try TreeRemoval.remove("\(directories.volumeRecords)/\(name)")
      }
    }
  }
#endif
