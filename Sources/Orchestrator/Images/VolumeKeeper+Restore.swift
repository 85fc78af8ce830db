internal import Glibc
internal import LayerUnpacking
internal import LinuxNS
public import ZoneRuntime

/// Restore: what a backup has becomes a volume's, or a new one.
extension VolumeKeeper {
  /// What a backup has becomes the volume's, with nothing beside it; the volume is made where it is missing. Who is stopped
  /// on the way does it again.
  /// - Parameter force: also where something is in it.
  public func restore(_ name: String, from file: String, force: Bool) throws(ZoneError) {
    let blob: OwnedFD
    if file == "-" {
      blob = OwnedFD(raw: dup(0))
    } else {
      blob = try attempt("read \(file)") { () throws(SyscallError) in try OwnedFD.open(file, O_RDONLY | O_NONBLOCK) }
    }
    try Self.checkName(name)
    try directories.make()
    let lock = try zones.hold(volume: name)
    defer { withExtendedLifetime(lock) {} }
    guard exists(name) else {
      var volume = ArchivedZone.Volume()
      volume.name = name
      return try make(volume, from: blob)
    }
    if try zones.volumeRecord(name)?.imported != nil { try zones.change(volume: name) { $0.imported = nil } }
    if try known(name) == .file, try !zones.users(ofVolume: name).contains(where: { $0.state.isLive }) {
      return try replaceDisk(name, from: blob, force: force)
    }
    try replaceFiles(name, from: blob, force: force)
  }

  /// A volume of a zone that is being imported, made anew where an import of the same archive was killed behind it.
  /// - Returns: its lock: until it goes, nobody else takes the volume for what somebody has left.
  func bring(_ volume: ArchivedZone.Volume, from blob: borrowing OwnedFD) throws(ZoneError) -> VolumeLock {
    try Self.checkName(volume.name)
    try directories.make()
    let lock = try zones.hold(volume: volume.name)
    if exists(volume.name) {
      guard try isLeft(volume) else { throw .refused("there is a volume \(volume.name) already") }
      try deleteHeld(volume.name)
    }
    try make(volume, from: blob)
    return lock
  }

  /// An import has made it of this and was stopped before the zone was there, and nobody has started another with it.
  func isLeft(_ volume: ArchivedZone.Volume) throws(ZoneError) -> Bool {
    guard exists(volume.name), try zones.volumeRecord(volume.name)?.imported == volume.files.digest else {
      return false
    }
    let row = try row(volume.name)
    return row.used == nil && row.zones.isEmpty
  }

  /// The zone is there that a volume was made for.
  func keep(_ name: String) throws(ZoneError) { try zones.change(volume: name) { $0.imported = nil } }

  /// One that is not there, whose lock is the caller's. Where a directory cannot be bounded that is told.
  private func make(_ volume: ArchivedZone.Volume, from blob: borrowing OwnedFD) throws(ZoneError) {
    let name = volume.name
    let new = try begin(name, disk: volume.disk)
    var size = volume.disk ?? volume.size
    if volume.disk == nil, let bound = size {
      do throws(ZoneError) { try zones.bound(volume: name, new, to: bound) } catch {
        notice("\(error); it may take as much as there is room")
        size = nil
      }
    }
    do throws(ZoneError) { try fill(new, isDisk: volume.disk != nil, name, from: blob) } catch {
      try? removeNew(new, name)
      throw error
    }
    var record = VolumeRecord(owner: geteuid(), made: Clock.realtimeNanoseconds(), size: size)
    record.labels = volume.labels
    record.imported = volume.files == .blank ? nil : volume.files.digest
    try finish(new, name, record)
  }

  /// A volume that nobody has yet.
  private func fill(_ new: String, isDisk: Bool, _ name: String, from blob: borrowing OwnedFD) throws(ZoneError) {
    guard isDisk else {
      if try !unpack(blob, into: new, name) { chmod(new, 0o755) }
      return
    }
    let ground = try ground(name, disk: new)
    let (files, old) = try beside(ground, name)
    try makeEmpty(files, name)
    try makeEmpty(old, name)
    let hasTop = try unpack(blob, into: files, name)
    try swap(ground.folder, files, old, name, keeping: [files, old], top: hasTop)
    try keepingTime(of: ground) { () throws(ZoneError) in
      for folder in [files, old] { try remove(folder, name) }
    }
    ground.end()
    try attempt("save volume \(name)") { () throws(SyscallError) in
      let file = try OwnedFD.open(new, O_RDONLY | O_NOFOLLOW)
      try FileSystem.call("fsync", name) { fsync(file.raw) }
    }
  }

  /// A disk that nobody has mounted becomes another one: it may be full.
  private func replaceDisk(_ name: String, from blob: borrowing OwnedFD, force: Bool) throws(ZoneError) {
    if !force, try !isEmpty(try ground(name), name) { throw Self.hasFiles(name) }
    let size = ((try? FileFacts.at(path(name))) ?? nil)?.size ?? 0
    let new = try begin(name, disk: size)
    do throws(ZoneError) {
      try fill(new, isDisk: true, name, from: blob)
      try attempt("restore volume \(name)") { () throws(SyscallError) in
        try FileSystem.call("rename", path(name)) { rename(new, path(name)) }
      }
    } catch {
      try? remove(new, name)
      throw error
    }
  }

  private static func hasFiles(_ name: String) -> ZoneError {
    .refused("cannot restore volume \(name): it has files (--force puts the backup's in their place)")
  }

  /// What a zone has mounted in the volume would be torn off with the directory that it is on.
  private func checkInside(_ name: String) throws(ZoneError) {
    for user in try zones.users(ofVolume: name) {
      guard let inside = user.inside.first else { continue }
      throw .refused(
        "cannot restore volume \(name): zone \(user.zone) has \(inside) mounted in it (zonectl stop \(user.zone))")
    }
  }

  /// All of it is unpacked first, and takes the place of what is there while the zones that may write in it are frozen.
  private func replaceFiles(_ name: String, from blob: borrowing OwnedFD, force: Bool) throws(ZoneError) {
    let ground = try ground(name)
    if !force, try !isEmpty(ground, name) { throw Self.hasFiles(name) }
    try checkInside(name)
    let (new, old) = try beside(ground, name)
    defer { try? remove(new, name) }
    try makeEmpty(new, name)
    if ground.disk == nil {
      // What is not counted as the volume's is cannot be moved into it.
      try attempt("bound the new files of volume \(name)") { () throws(SyscallError) in
        try DiskQuota.share(ground.folder, with: new)
      }
    }
    let hasTop: Bool
    do throws(ZoneError) { hasTop = try unpack(blob, into: new, name) } catch {
      let text = "\(error)"
      if ground.disk != nil, text.contains("ENOSPC") {
        throw .refused("\(text) (a disk that zones have has to have room for both; stop them, and it need not)")
      }
      guard text.contains("EDQUOT") || text.contains("ENOSPC") else { throw error }
      throw .refused("\(text) (until it is done there has to be room for both: zonectl volume set \(name) size=SIZE)")
    }
    try makeEmpty(old, name)
    defer { rmdir(old) }  // where all is as it was it is empty
    var hold = try self.hold(writersOf: [name])
    defer { _ = try? hold.end() }
    // Who only reads in it may have been started since.
    try checkInside(name)
    try swap(ground.folder, new, old, name, keeping: ground.disk == nil ? [] : [new, old], top: hasTop)
    var torn: ZoneError?
    do throws(ZoneError) { if let told = try hold.end() { notice("\(told) for it") } } catch { torn = error }
    try keepingTime(of: ground) { () throws(ZoneError) in
      for folder in [new, old] { try remove(folder, name) }
    }
    if let torn { throw .refused("volume \(name) has the backup's files, and may have others among them: \(torn)") }
  }

  /// - Returns: whether it tells of the directory itself.
  private func unpack(_ blob: borrowing OwnedFD, into folder: String, _ name: String) throws(ZoneError) -> Bool {
    let directory = try attempt("restore volume \(name)") { () throws(SyscallError) in
      try OwnedFD.open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW)
    }
    do throws(UnpackFailure) {
      let report = try LayerUnpacker(program: program).unpack(
        blob, into: directory, limits: UnpackLimits(bytes: LayerLimits.volumeBytes))
      tellOmissions(report.omissions, report.omitted, "a volume")
      return report.notes.tellsTop
    } catch { throw .refused("cannot restore volume \(name): \(error)") }
  }

  private func swap(
    _ folder: String, _ new: String, _ old: String, _ name: String, keeping: [String], top: Bool
  ) throws(ZoneError) {
    let said: PackAnswer
    do {
      let folders = try [folder, new, old].map { path in
        try OwnedFD.open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW).take()
      }
      defer { for folder in folders { close(folder) } }
      let names = keeping.map { String($0.dropFirst(folder.utf8.count + 1)) }
      said = try OwnerProcess.start("swap", SwapOrder(keeping: names, top: top), fds: folders, program: program).heard(
        PackAnswer.self)
    } catch { throw .refused("cannot restore volume \(name): \(error)") }
    if let why = said.error { throw .refused("cannot restore volume \(name): \(why)") }
  }
}
