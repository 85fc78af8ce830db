internal import CLinuxNS
internal import Glibc
internal import LayerUnpacking
internal import LinuxNS
public import ZoneRuntime

/// Backup and restore: all that a volume has, of one moment.
extension VolumeKeeper {
  // MARK: where its files are

  /// A volume's own directory, wherever it is.
  final class Ground {
    /// Where its files are seen.
    let folder: String
    /// It is the file system of a file, mounted for us alone; nil: a directory.
    let disk: String?
    private var isOver = false

    init(folder: String, disk: String?) {
      self.folder = folder
      self.disk = disk
    }

    /// All that was written in a disk is in its file then.
    func end() {
      guard disk != nil, !isOver else { return }
      isOver = true
      umount2(folder, CInt(MNT_DETACH))
      rmdir(folder)
    }

    deinit { end() }
  }

  /// - Parameter file: of a volume that is one, another than its own.
  func ground(_ name: String, disk file: String? = nil) throws(ZoneError) -> Ground {
    if file == nil, try known(name) == .directory { return Ground(folder: path(name), disk: nil) }
    let (file, at) = (file ?? path(name), beside(name, "at"))
    try attempt("mount volume \(name)") { () throws(SyscallError) in
      try FileSystem.makeDirectories(at, mode: 0o700)
      try DiskFile.show(file, on: at)
    }
    return Ground(folder: at, disk: file)
  }

  // MARK: one moment

  /// Zones that are held back from a volume.
  struct Hold {
    fileprivate var holds: [ZoneHold] = []
    fileprivate var locks: [VolumeLock] = []
    /// Those that were not frozen before.
    fileprivate var running = 0
    private let begun = Clock.monotonicNanoseconds()

    /// Lets go of them all.
    /// - Returns: how many were frozen for this, and for how many tenths of a second; nil: none.
    /// - Throws: where one did not stand still until now.
    mutating func end() throws(ZoneError) -> String? {
      var failure: ZoneError?
      for hold in holds { do throws(ZoneError) { try hold.end() } catch { failure = failure ?? error } }
      (holds, locks) = ([], [])
      if let failure { throw failure }
      guard running > 0 else { return nil }
      defer { running = 0 }
      let tenths = (Clock.monotonicNanoseconds() - begun) / 100_000_000
      let who = running == 1 ? "1 zone was" : "\(running) zones were"
      return "\(who) frozen for \(tenths / 10).\(tenths % 10) s"
    }
  }

  /// Freezes the zones that may write in volumes now, and keeps everybody from resuming them. The volumes' locks are held:
  /// none is started. Who ends one is told of by the hold's end.
  /// - Parameter own: a zone whose lock the caller has, and who is frozen by him.
  func hold(writersOf names: [String], but own: String? = nil) throws(ZoneError) -> Hold {
    var hold = Hold()
    var writers: Set<String> = []
    for name in names {
      for user in try zones.users(ofVolume: name) where user.state.isLive && user.writes { writers.insert(user.zone) }
    }
    do throws(ZoneError) {
      for zone in writers.sorted() where zone != own {
        hold.locks.append(try zones.hold(zone: zone))
        // One that waits at its gate writes nothing, and does not get through it without its lock.
        let state = try zones.status(zone).state
        guard state.isLive, state != .ready else { continue }
        hold.holds.append(try ZoneHold(zone, root: directories.root, program: program))
        if state != .frozen { hold.running += 1 }
      }
    } catch {
      _ = try? hold.end()  // the first error is the one to report
      throw error
    }
    return hold
  }

  // MARK: out

  /// One tar with all that is in it. Of a volume in use as it was at one moment: where the file system shares blocks
  /// between files of a copy, otherwise while the zones that may write in it are frozen; which is told. Nobody stands still
  /// for who reads a pipe.
  public func back(up name: String, to file: String, _ compression: MediaType.Compression) throws(ZoneError) {
    _ = try known(name)
    var lock: VolumeLock? = try zones.hold(volume: name)
    defer { withExtendedLifetime(lock) {} }
    let ground = try ground(name)
    _ = try beside(ground, name)
    do throws(ImageError) {
      try ArchiveOutput.write(to: file) { (output, words) throws(ImageError) in
        var hold = try stored { () throws(ZoneError) in try self.hold(writersOf: [name]) }
        defer { _ = try? hold.end() }
        let ended = { (hold: inout Hold) throws(ImageError) -> String? in
          try stored { () throws(ZoneError) in try hold.end() }
        }
        guard !hold.holds.isEmpty else { return try pack(ground.folder, compression, output, words) }
        if ground.disk == nil, sharesBlocks() {
          let copy = beside(name, "old")
          try stored { () throws(ZoneError) in try makeEmpty(copy, name) }
          defer { try? remove(copy, name) }
          try copyTree(ground.folder, to: copy)
          if let told = try ended(&hold) { notice("\(told), while a copy was made that shares its blocks") }
          return try pack(copy, compression, output, words)
        }
        if ArchiveOutput.isFile(output) {
          try pack(ground.folder, compression, output, words)
          if let told = try ended(&hold) { notice("\(told), while it was read") }
          return
        }
        let waiting = try stored { () throws(ZoneError) in try nameless(name) }
        let place = "beside the volume, where it waits for who reads it (name a file, and it need not)"
        try pack(ground.folder, compression, waiting, place)
        if let told = try ended(&hold) { notice("\(told), while it was read") }
        // Nor does who starts a zone with the volume wait for him.
        ground.end()
        lock = nil
        try ArchiveOutput.send(waiting, to: output, words)
      }
    } catch { throw .refused("cannot back volume \(name) up: \(error)") }
  }

  /// What is in a volume as a blob of a store: its lock is held, and its writers are frozen.
  func archive(_ name: String, in store: ImageStore) throws(ImageError) -> ArchivedZone.Volume {
    var volume = ArchivedZone.Volume()
    volume.name = name
    let record = try stored { () throws(ZoneError) in try zones.volumeRecord(name) }
    volume.labels = record?.labels ?? [:]
    let ground = try stored { () throws(ZoneError) in try self.ground(name) }
    if let disk = ground.disk {
      volume.disk = ((try? FileFacts.at(disk)) ?? nil)?.size ?? 0
    } else {
      volume.size = record?.size
    }
    let part = try stored { () throws(ZoneError) in try store.part() }
    do throws(ImageError) {
      var (hash, size) = (BlobHash(), Int64(0))
      try pack(ground.folder, .gzip, part.file, part.path) { bytes in
        hash.update(bytes)
        size += Int64(bytes.count)
      }
      let digest = hash.digest
      try stored { () throws(ZoneError) in try store.finish(part, as: digest) }
      volume.files = ImageDescriptor(
        mediaType: MediaType.layer(.gzip, isDistributable: true).name, digest: digest, size: size)
    } catch {
      store.abandon(part)
      throw ImageError("volume \(name): \(error)")
    }
    return volume
  }

  private func copyTree(_ from: String, to: String) throws(ImageError) {
    let said: PackAnswer
    do {
      let tree = try OwnedFD.open(from, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      let target = try OwnedFD.open(to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      let nothing = try nothing()
      said = try OwnerProcess.start(
        "copy-tree", NoOrder(), fds: [tree.raw, target.raw, nothing.raw], program: program
      )
      .heard(PackAnswer.self)
    } catch { throw ImageError("\(error)") }
    if let why = said.error { throw ImageError(why) }
    tellOmissions(said.read.omissions, said.read.omitted, "an archive")
  }

  private func pack(
    _ folder: String, _ compression: MediaType.Compression, _ output: borrowing OwnedFD, _ words: String,
    wrote: (UnsafeRawBufferPointer) -> Void = { _ in }
  ) throws(ImageError) {
    do {
      let tree = try OwnedFD.open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      let encoder = try LayerEncoder(compression)
      let pipe = try OwnedFD.pipe()
      let nothing = try nothing()
      let running = try OwnerProcess.start(
        "pack-tree", NoOrder(), fds: [tree.raw, pipe.second.raw, nothing.raw], program: program)
      let archive = pipe.takeFirst()  // its other end is the program's alone now
      try ArchiveOutput.encode(archive, by: encoder) { bytes in
        wrote(bytes)
        let error = FileSystem.write(all: bytes, to: output)
        if error != 0 { throw SyscallError(call: "write", errno: error, path: words) }
      }
      // An archive that was cut is none: only who made it knows.
      let answer = try running.heard(PackAnswer.self)
      if let why = answer.error { throw ImageError(why) }
      tellOmissions(answer.read.omissions, answer.read.omitted, "an archive")
    } catch let error as ImageError { throw error } catch { throw ImageError("\(error)") }
  }

  private func tellOmissions(_ named: [BytePath], _ count: Int, _ who: String) {
    guard count > 0 else { return }
    notice(
      "left out \(count), which \(who) cannot have: " + named.map { $0.words }.joined(separator: ", ")
        + (count > named.count ? " …" : ""))
  }

  /// A file beside the volumes that goes with its descriptor.
  private func nameless(_ name: String) throws(ZoneError) -> OwnedFD {
    let path = beside(name, "new")
    try remove(path, name)
    return try attempt("make \(path)") { () throws(SyscallError) in
      let file = try OwnedFD.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      try FileSystem.call("unlink", path) { unlink(path) }
      return file
    }
  }

  /// A directory that is removed: in it there can be nothing.
  private func nothing() throws(SyscallError) -> OwnedFD {
    var path = Array("\(directories.volumes)/.nothing.XXXXXX".utf8CString)
    guard mkdtemp(&path) != nil else { throw SyscallError(call: "mkdtemp", errno: errno, path: directories.volumes) }
    let made = path.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    defer { rmdir(made) }
    return try OwnedFD.open(made, O_PATH | O_DIRECTORY | O_NOFOLLOW)
  }

  /// btrfs and xfs do (ioctl_ficlone(2)).
  private func sharesBlocks() -> Bool {
    let open = { [directories] () throws(SyscallError) in
      try OwnedFD.open(directories.volumes, O_RDWR | O_DIRECTORY | 0x40_0000 /* O_TMPFILE */, mode: 0o600)
    }
    guard let one = try? open(), let two = try? open(),
      (try? FileSystem.write([UInt8](repeating: 1, count: 1 << 16), to: one)) != nil
    else { return false }
    return zns_share_content(two.raw, one.raw) >= 0
  }

  // MARK: in

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

  /// Of a disk, whose own directory our folders are in.
  private func keepingTime(of ground: Ground, _ body: () throws(ZoneError) -> Void) throws(ZoneError) {
    let before = ground.disk == nil ? nil : (try? FileFacts.at(ground.folder)) ?? nil
    try body()
    guard let before else { return }
    try? FileSystem.setModified(ground.folder, before.modified)  // nothing but a time
  }

  /// Where a volume's files to be are put, and those that were. In a disk that is within the zones' sight: under names that
  /// nobody has, and what a killed one has left goes.
  private func beside(_ ground: Ground, _ name: String) throws(ZoneError) -> (new: String, old: String) {
    guard ground.disk != nil else { return (beside(name, "new"), beside(name, "old")) }
    let prefix = ".zones-restore."
    let names = try attempt("look into volume \(name)") { () throws(SyscallError) in
      try FileSystem.list(ground.folder)
    }
    for left in names where left.hasPrefix(prefix) { try remove("\(ground.folder)/\(left)", name) }
    let mark = String(UInt64.random(in: 0...UInt64.max), radix: 36)
    return ("\(ground.folder)/\(prefix)\(mark).new", "\(ground.folder)/\(prefix)\(mark).old")
  }

  private func isEmpty(_ ground: Ground, _ name: String) throws(ZoneError) -> Bool {
    // A user cannot look into what is closed to him and is his zone's: that counts as something.
    let names = (try? FileSystem.list(ground.folder)) ?? ["?"]
    return names.allSatisfy { ground.disk != nil && ($0 == "lost+found" || $0.hasPrefix(".zones-restore.")) }
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

/// There is nothing to say but what the descriptors are.
private struct NoOrder: JSONObject {
  static var blank: NoOrder { NoOrder() }
  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {}
}

private struct SwapOrder: JSONObject {
  var keeping: [String]
  var top: Bool
  static var blank: SwapOrder { SwapOrder(keeping: [], top: false) }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("keeping", &keeping)
    try json.field("top", &top)
  }
}

/// `orchestrator pack-tree`, `copy-tree` and `swap`, hidden: what `VolumeKeeper` starts.
public enum VolumeProgram {
  /// Descriptor 3 is the tree, 4 takes the archive; 5 is an empty directory.
  public static func pack() -> Int32 {
    OwnerProcess.run("pack-tree") { (_: NoOrder) throws -> PackAnswer in
      PackAnswer(
        read: try LayerArchive.write(tree: OwnedFD(raw: 3), nothing: OwnedFD(raw: 5), to: OwnedFD(raw: 4)))
    }
  }

  /// Descriptor 3 is the tree, 4 and 5 are empty directories.
  public static func copy() -> Int32 {
    OwnerProcess.run("copy-tree") { (_: NoOrder) throws -> PackAnswer in
      PackAnswer(read: try LayerCopy.make(OwnedFD(raw: 3), over: OwnedFD(raw: 5), in: OwnedFD(raw: 4)))
    }
  }

  /// Descriptor 3 is a directory, 4 has what is to be in it, 5 takes what is.
  public static func swap() -> Int32 {
    OwnerProcess.run("swap") { (order: SwapOrder) throws -> PackAnswer in
      try TreeSwap.run(
        OwnedFD(raw: 3), new: OwnedFD(raw: 4), old: OwnedFD(raw: 5), keeping: order.keeping.map { Array($0.utf8) },
        top: order.top)
      return PackAnswer()
    }
  }
}
