internal import CLinuxNS
internal import Glibc
internal import LayerUnpacking
internal import LinuxNS
public import ZoneRuntime

/// `volume`: what zones keep beside their roots, and share.
public struct VolumeKeeper {
  private let directories: Directories
  private let zones: Zones
  /// The orchestrator.
  private let program: String
  private let notice: @Sendable (String) -> Void

  public init(
    _ directories: Directories, program: String = "/proc/self/exe", notice: @escaping @Sendable (String) -> Void
  ) {
    self.directories = directories
    self.program = program
    self.notice = notice
    zones = Zones(directories, notice: notice)
  }

  private func path(_ name: String) -> String { "\(directories.volumes)/\(name)" }

  /// What lies beside a volume while it is changed; no volume is called so.
  private func beside(_ name: String, _ word: String) -> String { "\(directories.volumes)/.\(name).\(word)" }

  private func known(_ name: String) throws(ZoneError) -> FileFacts.Kind {
    guard isDNSLabel(name), let facts = try? FileFacts.at(path(name)) else {
      let names = (try? zones.volumes()) ?? []
      let hint =
        names.isEmpty ? "zonectl volume create makes one" : "there are \(names.prefix(8).joined(separator: ", "))"
      throw .refused("there is no volume \(shortened(name)) (\(hint))")
    }
    return facts.kind
  }

  // MARK: looking

  public struct Row: JSONObject, Equatable, Sendable {
    public var name = ""
    /// On the disk; of a file all of it.
    public var bytes: Int64 = 0
    /// Something in it cannot be looked at.
    public var isPartial = false
    public var kind = Kind.directory
    public var labels: [String: String] = [:]
    /// Nanoseconds since 1970; nil where nobody has noted it.
    public var made: UInt64?
    public var owner: UInt32?
    public var path = ""
    public var size: Int64?
    public var used: UInt64?
    public var zones: [String] = []

    public enum Kind: String, Sendable { case directory, file }

    public static var blank: Row { Row() }

    public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      var word = kind.rawValue
      try json.field("bytes", &bytes)
      try json.field("kind", &word)
      try json.field("labels", &labels)
      try json.field("made", &made)
      try json.field("name", &name)
      try json.field("owner", &owner)
      try json.field("partial", &isPartial)
      try json.field("path", &path)
      try json.field("size", &size)
      try json.field("used", &used)
      try json.field("zones", &zones)
      kind = Kind(rawValue: word) ?? .directory
    }
  }

  public func row(_ name: String) throws(ZoneError) -> Row {
    var row = Row()
    row.name = name
    row.kind = try known(name) == .file ? .file : .directory
    row.path = path(name)
    let usage = TreeUsage.of(row.path)
    (row.bytes, row.isPartial) = (usage.bytes, usage.isPartial)
    row.zones = try zones.users(ofVolume: name).map { $0.zone }
    guard let record = try zones.volumeRecord(name) else { return row }
    (row.labels, row.made, row.owner, row.size) = (record.labels, record.made, record.owner, record.size)
    // The record's own time: when a zone was last started with it.
    if let facts = try? FileFacts.at("\(directories.volumeRecords)/\(name)"), facts.modified > 0 {
      row.used = UInt64(facts.modified)
    }
    return row
  }

  public func rows() throws(ZoneError) -> [Row] {
    var rows: [Row] = []
    for name in try zones.volumes().sorted() { rows.append(try row(name)) }
    return rows
  }

  // MARK: making and removing

  /// The smallest disk that ext4 has a journal on.
  public static let smallestDisk: Int64 = 16 << 20

  /// - Parameter disk: of a volume that is ext4 in a file, how large; nil: a directory.
  public func create(_ name: String, disk: Int64?, labels: [String: String]) throws(ZoneError) {
    guard isDNSLabel(name) else {
      throw .commandLine("'\(shortened(name))' cannot be a volume's name: it takes a-z, 0-9 and inner hyphens")
    }
    guard !FileSystem.exists(path(name)) else { throw .refused("there is a volume \(name) already") }
    try directories.make()
    try attempt("make the volume \(name)") { () throws(SyscallError) in
      try FileSystem.makeDirectories(directories.volumes, mode: 0o711)
    }
    var record = VolumeRecord(owner: geteuid(), made: Clock.realtimeNanoseconds(), size: disk)
    record.labels = labels
    try zones.note(record, of: name)
    do throws(ZoneError) {
      if let disk { return try makeDisk(name, disk) }
      try attempt("make the volume \(name)") { () throws(SyscallError) in
        try FileSystem.call("mkdir", path(name)) { mkdir(path(name), 0o755) }
      }
    } catch {
      unlink("\(directories.volumeRecords)/\(name)")
      throw error
    }
  }

  /// Its room is taken at once: a file with holes would fail inside of the zone when the disk is full.
  private func makeDisk(_ name: String, _ size: Int64) throws(ZoneError) {
    guard geteuid() == 0 else {
      throw .refused(
        "cannot make volume \(name) in a file: only root may mount it (leave --file out, and it is a directory)")
    }
    let draft = beside(name, "new")
    defer { unlink(draft) }
    do throws(SyscallError) {
      let file = try OwnedFD.open(draft, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
      let error = posix_fallocate(file.raw, 0, off_t(size))
      guard error == 0 else { throw SyscallError(call: "fallocate", errno: error, path: path(name)) }
    } catch { throw .call("make the volume \(name)", error) }
    // nodiscard: what was taken stays so.
    try run(
      "/usr/sbin/mke2fs", ["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-E", "nodiscard,root_owner=0:0", draft],
      name)
    try attempt("make the volume \(name)") { () throws(SyscallError) in
      let file = try OwnedFD.open(draft, O_RDONLY | O_NOFOLLOW)
      try FileSystem.call("fsync", path(name)) { fsync(file.raw) }
      try FileSystem.call("link", path(name)) { link(draft, path(name)) }
    }
  }

  private func run(_ program: String, _ words: [String], _ name: String) throws(ZoneError) {
    let status: ExitStatus
    do throws(SyscallError) {
      let null = try OwnedFD.open("/dev/null", O_RDWR)
      let started = try spawn(
        ProgramStart(
          path: program, arguments: [program] + words, environment: Environment.all, fds: [null.raw, null.raw, 2]))
      status = try Pidfd(OwnedFD(raw: started.pidfd)).reap()
    } catch {
      guard error.errno == ENOENT else { throw .call("make the volume \(name)", error) }
      throw .refused("cannot make the volume \(name): \(program) is missing (apt install e2fsprogs)")
    }
    guard status == .exited(0) else {
      throw .refused("cannot make the volume \(name): \(program) ended with status \(status.shellCode) (see above)")
    }
  }

  public func delete(_ name: String) throws(ZoneError) {
    let kind = try known(name)
    if let user = try zones.users(ofVolume: name).first {
      throw .refused(
        "cannot delete volume \(name): zone \(user.zone) has it (zonectl delete \(user.zone), or set it without)")
    }
    // A user's has files of his subordinate ids.
    if kind == .directory, geteuid() != 0 { try empty(path(name), name) }
    try zones.removeVolume(name)
  }

  private func empty(_ folder: String, _ name: String) throws(ZoneError) {
    guard FileSystem.exists(folder) else { return }
    do throws(SyscallError) {
      let directory = try OwnedFD.open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      do throws(UnpackFailure) { try LayerUnpacker(program: program).empty(directory) } catch {
        throw SyscallError(call: "unlink", errno: EBUSY, path: folder, step: "\(error)")
      }
    } catch { throw .call("empty volume \(name)", error) }
  }

  // MARK: backup and restore

  /// A volume's own directory, wherever it is.
  private struct Ground {
    /// Where its files are seen.
    let folder: String
    /// Where others can be made in the same file system.
    let near: (String) -> String
    /// Names in `folder` that are not the volume's.
    let foreign: [String]
  }

  private func ground(_ name: String) throws(ZoneError) -> Ground {
    guard try known(name) == .file else {
      return Ground(folder: path(name), near: { beside(name, $0) }, foreign: [])
    }
    let at = beside(name, "at")
    try attempt("mount volume \(name)") { () throws(SyscallError) in
      try FileSystem.makeDirectories(at, mode: 0o700)
      try DiskFile.show(path(name), on: at)
    }
    return Ground(folder: at, near: { "\(at)/.zones.\($0)" }, foreign: [".zones.new", ".zones.old"])
  }

  /// The zones that may write in the volume now.
  func writers(of name: String) throws(ZoneError) -> [String] {
    var writers: [String] = []
    for user in try zones.users(ofVolume: name) where user.isLive && user.writes {
      // One that is frozen already, or waits at its gate, writes nothing.
      if try zones.status(user.zone).state == .running { writers.append(user.zone) }
    }
    return writers
  }

  private func holdUsers(_ name: String) throws(ZoneError) -> [ZoneHold] {
    var holds: [ZoneHold] = []
    for zone in try writers(of: name) {
      holds.append(try ZoneHold(zone, root: directories.root, program: program))
    }
    return holds
  }

  private func tellHeld(_ count: Int, since begun: UInt64, _ what: String) {
    guard count > 0 else { return }
    let tenths = (Clock.monotonicNanoseconds() - begun) / 100_000_000
    notice("\(count) zone\(count == 1 ? " was" : "s were") frozen \(what) (\(tenths / 10).\(tenths % 10) s)")
  }

  /// One tar with all that is in it. Of a volume in use as it was at one moment: where the file system shares blocks
  /// between files of a copy, otherwise while the zones that may write in it are frozen; which is told.
  public func back(up name: String, to file: String, _ compression: MediaType.Compression) throws(ZoneError) {
    let ground = try ground(name)
    defer { if !ground.foreign.isEmpty { rmdir(ground.folder) } }
    do throws(ImageError) {
      try ArchiveOutput.write(to: file) { (output, words) throws(ImageError) in
        let copy = ground.near("old")
        let begun = Clock.monotonicNanoseconds()
        let holds = try stored { () throws(ZoneError) in try holdUsers(name) }
        defer { for hold in holds { hold.end() } }
        var folder = ground.folder
        if !holds.isEmpty, sharesBlocks(near: ground.near("probe")) {
          try stored { () throws(ZoneError) in try makeEmpty(copy, name) }
          try copyTree(ground.folder, to: copy)
          for hold in holds { hold.end() }
          tellHeld(holds.count, since: begun, "while blocks were shared")
          folder = copy
        }
        defer { if folder == copy { try? remove(copy, name) } }
        try pack(folder, compression, output, words)
        if folder != copy {
          for hold in holds { hold.end() }
          tellHeld(holds.count, since: begun, "meanwhile")
        }
      }
    } catch { throw .refused("cannot back volume \(name) up: \(error)") }
  }

  /// What is in a volume as a blob of a store: nobody writes in it meanwhile.
  func archive(_ name: String, in store: ImageStore) throws(ImageError) -> ArchivedZone.Volume {
    var volume = ArchivedZone.Volume()
    volume.name = name
    let record = try stored { () throws(ZoneError) in try zones.volumeRecord(name) }
    volume.labels = record?.labels ?? [:]
    let ground = try stored { () throws(ZoneError) in try self.ground(name) }
    defer { if !ground.foreign.isEmpty { rmdir(ground.folder) } }
    if !ground.foreign.isEmpty {
      volume.disk = record?.size ?? Int64((try? FileSystem.status(path(name)))?.st_size ?? 0)
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

  /// A new empty directory of ours.
  private func makeEmpty(_ folder: String, _ name: String) throws(ZoneError) {
    try remove(folder, name)
    try attempt("make \(folder)") { () throws(SyscallError) in
      try FileSystem.call("mkdir", folder) { mkdir(folder, 0o700) }
    }
  }

  private func remove(_ folder: String, _ name: String) throws(ZoneError) {
    guard FileSystem.exists(folder) else { return }
    try empty(folder, name)
    rmdir(folder)
  }

  private func copyTree(_ from: String, to: String) throws(ImageError) {
    let said: PackAnswer
    do {
      let tree = try OwnedFD.open(from, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      let target = try OwnedFD.open(to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      let nothing = try nothing()
      said = try OwnerProcess.start("copy-tree", NoOrder(), fds: [tree.raw, target.raw, nothing.raw], program: program)
        .heard(PackAnswer.self)
    } catch { throw ImageError("\(error)") }
    if let why = said.error { throw ImageError(why) }
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
      let raw = output.raw
      try ArchiveOutput.encode(archive, by: encoder) { bytes in
        wrote(bytes)
        var rest = bytes
        while rest.count > 0 {
          let sent = write(raw, rest.baseAddress, rest.count)
          let error = errno
          if sent < 0, error == EINTR { continue }
          guard sent > 0 else { throw SyscallError(call: "write", errno: error, path: words) }
          rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
        }
      }
      // An archive that was cut is none: only who made it knows.
      let answer = try running.heard(PackAnswer.self)
      if let why = answer.error { throw ImageError(why) }
      guard answer.read.omitted > 0 else { return }
      let named = answer.read.omissions
      notice(
        "left out \(answer.read.omitted), which an archive cannot have: "
          + named.map { $0.words }.joined(separator: ", ") + (answer.read.omitted > named.count ? " …" : ""))
    } catch let error as ImageError { throw error } catch { throw ImageError("\(error)") }
  }

  /// A directory that is removed: in it there can be nothing.
  private func nothing() throws(SyscallError) -> OwnedFD {
    let path = "\(directories.volumes)/.nothing.\(getpid())"
    try FileSystem.call("mkdir", path) { mkdir(path, 0o700) }
    defer { rmdir(path) }
    return try OwnedFD.open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW)
  }

  /// btrfs and xfs do (ioctl_ficlone(2)).
  private func sharesBlocks(near path: String) -> Bool {
    let other = "\(path).2"
    defer { for path in [path, other] { unlink(path) } }
    guard let one = try? OwnedFD.open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600),
      (try? FileSystem.write([UInt8](repeating: 1, count: 1 << 16), to: one)) != nil,
      let two = try? OwnedFD.open(other, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
    else { return false }
    return zns_share_content(two.raw, one.raw) >= 0
  }

  /// What a backup has becomes the volume's, with nothing beside it; the volume is made where it is missing. All of it is
  /// unpacked first, and takes the place of what is there while the zones that may write in it are frozen. Who is stopped on
  /// the way does it again.
  /// - Parameter force: also where something is in it.
  public func restore(_ name: String, from file: String, force: Bool) throws(ZoneError) {
    let blob: OwnedFD
    if file == "-" {
      blob = OwnedFD(raw: dup(0))
    } else {
      blob = try attempt("read \(file)") { () throws(SyscallError) in try OwnedFD.open(file, O_RDONLY | O_NONBLOCK) }
    }
    try restore(name, from: blob, disk: nil, labels: [:], force: force)
  }

  func exists(_ name: String) -> Bool { FileSystem.exists(path(name)) }

  /// - Parameters:
  ///   - disk: of one that is made: the size of a volume in a file; nil: a directory.
  ///   - labels: of one that is made.
  func restore(_ name: String, from blob: borrowing OwnedFD, disk: Int64?, labels: [String: String], force: Bool)
    throws(ZoneError)
  {
    let isNew = isDNSLabel(name) && !exists(name)
    if isNew { try create(name, disk: disk, labels: labels) }
    do throws(ZoneError) {
      let ground = try ground(name)
      defer { if !ground.foreign.isEmpty { rmdir(ground.folder) } }
      let (new, old) = (ground.near("new"), ground.near("old"))
      if !force, try !isEmpty(ground, name) {
        throw .refused("cannot restore volume \(name): it has files (--force puts the backup's in their place)")
      }
      try makeEmpty(new, name)
      defer { try? remove(new, name) }
      try unpack(blob, into: new, name)
      // What an earlier turn has moved away is not wanted either.
      if !FileSystem.exists(old) { try makeEmpty(old, name) }
      let begun = Clock.monotonicNanoseconds()
      let holds = try holdUsers(name)
      defer { for hold in holds { hold.end() } }
      try swap(ground, new, old, name)
      for hold in holds { hold.end() }
      tellHeld(holds.count, since: begun, "for it")
      try remove(old, name)
    } catch {
      if isNew { try? delete(name) }
      throw error
    }
  }

  private func isEmpty(_ ground: Ground, _ name: String) throws(ZoneError) -> Bool {
    // A user cannot look into what is closed to him and is his zone's: that counts as something.
    let names = (try? FileSystem.list(ground.folder)) ?? ["?"]
    return names.allSatisfy { ground.foreign.contains($0) || !ground.foreign.isEmpty && $0 == "lost+found" }
  }

  private func unpack(_ blob: borrowing OwnedFD, into folder: String, _ name: String) throws(ZoneError) {
    let directory = try attempt("restore volume \(name)") { () throws(SyscallError) in
      try OwnedFD.open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW)
    }
    do throws(UnpackFailure) {
      let report = try LayerUnpacker(program: program).unpack(blob, into: directory)
      guard report.omitted > 0 else { return }
      notice(
        "left out \(report.omitted), which a volume cannot have: "
          + report.omissions.map { $0.words }.joined(separator: ", ")
          + (report.omitted > report.omissions.count ? " …" : ""))
    } catch { throw .refused("cannot restore volume \(name): \(error)") }
  }

  private func swap(_ ground: Ground, _ new: String, _ old: String, _ name: String) throws(ZoneError) {
    let said: PackAnswer
    do {
      let folders = try [ground.folder, new, old].map { path in
        try OwnedFD.open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW).take()
      }
      defer { for folder in folders { close(folder) } }
      said = try OwnerProcess.start("swap", SwapOrder(keeping: ground.foreign), fds: folders, program: program).heard(
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
  static var blank: SwapOrder { SwapOrder(keeping: []) }
  mutating func fields(_ json: inout some JSONFields) throws(JSONError) { try json.field("keeping", &keeping) }
}

/// `orchestrator pack-tree`, `copy-tree` and `swap`, hidden: what `VolumeKeeper` starts.
public enum VolumeProgram {
  /// Descriptor 3 is the tree, 4 takes the archive; 5 is an empty directory.
  public static func pack() -> Int32 {
    OwnerProcess.run("pack-tree") { (_: NoOrder) throws -> PackAnswer in
      PackAnswer(read: try LayerArchive.write(tree: OwnedFD(raw: 3), nothing: OwnedFD(raw: 5), to: OwnedFD(raw: 4)))
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
        OwnedFD(raw: 3), new: OwnedFD(raw: 4), old: OwnedFD(raw: 5), keeping: order.keeping.map { Array($0.utf8) })
      return PackAnswer()
    }
  }
}
