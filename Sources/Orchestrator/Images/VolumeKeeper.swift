internal import CLinuxNS
internal import Glibc
internal import LayerUnpacking
internal import LinuxNS
public import ZoneRuntime

/// `volume`: what zones keep beside their roots, and share. How its files are read: `VolumeKeeper+Backup`; and
/// replaced: `VolumeKeeper+Restore`.
public struct VolumeKeeper {
  let directories: Directories
  let zones: Zones
  /// The orchestrator.
  let program: String
  let notice: @Sendable (String) -> Void

  public init(
    _ directories: Directories, program: String = "/proc/self/exe", notice: @escaping @Sendable (String) -> Void
  ) {
    self.directories = directories
    self.program = program
    self.notice = notice
    zones = Zones(directories, notice: notice)
  }

  func path(_ name: String) -> String { "\(directories.volumes)/\(name)" }

  /// What lies beside a volume while it is changed; no volume is called so.
  func beside(_ name: String, _ word: String) -> String { "\(directories.volumes)/.\(name).\(word)" }

  func exists(_ name: String) -> Bool { FileSystem.exists(path(name)) }

  func known(_ name: String) throws(ZoneError) -> Row.Kind {
    guard isDNSLabel(name), let facts = try? FileFacts.at(path(name)) else {
      let names = (try? zones.volumes()) ?? []
      let hint =
        names.isEmpty ? "zonectl volume create makes one" : "there are \(names.prefix(8).joined(separator: ", "))"
      throw .refused("there is no volume \(shortened(name)) (\(hint))")
    }
    return facts.kind == .file ? .file : .directory
  }

  static func checkName(_ name: String) throws(ZoneError) {
    guard isDNSLabel(name) else {
      throw .commandLine("'\(shortened(name))' cannot be a volume's name: it takes a-z, 0-9 and inner hyphens")
    }
  }

  // MARK: looking

  public struct Row: JSONObject, Equatable, Sendable {
    public var name = ""
    /// On the disk; of a file all of it.
    public var bytes: Int64 = 0
    /// Something in it cannot be looked at.
    public var isPartial = false
    /// Seconds since 1970; nil is never.
    public var expires: UInt64?
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
      try json.field("expires", &expires)
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
    row.kind = try known(name)
    row.path = path(name)
    let usage = TreeUsage.of(row.path)
    (row.bytes, row.isPartial) = (usage.bytes, usage.isPartial)
    row.zones = try zones.users(ofVolume: name).map { $0.zone }
    let record: VolumeRecord?
    do throws(ZoneError) { record = try zones.volumeRecord(name) } catch {
      notice(error.description)
      return row
    }
    guard let record else { return row }
    (row.labels, row.made, row.owner, row.size) = (record.labels, record.made, record.owner, record.size)
    row.expires = record.expires
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

  /// - Parameters:
  ///   - size: of a disk; what a directory may take at most, where its file system has project quotas.
  ///   - isDisk: it is ext4 in a file; otherwise a directory.
  ///   - expires: seconds since 1970; nil: it is wanted for ever.
  public func create(
    _ name: String, size: Int64?, isDisk: Bool, labels: [String: String], expires: UInt64?
  ) throws(ZoneError) {
    try Self.checkName(name)
    try directories.make()
    let lock = try zones.hold(volume: name)
    defer { withExtendedLifetime(lock) {} }
    guard !exists(name) else { throw .refused("there is a volume \(name) already") }
    let new = try begin(name, disk: isDisk ? size : nil)
    if !isDisk {
      chmod(new, 0o755)
      do throws(ZoneError) { if let size { try zones.bound(volume: name, new, to: size) } } catch {
        try? removeNew(new, name)  // the first error is the one to report
        throw error
      }
    }
    var record = VolumeRecord(owner: geteuid(), made: Clock.realtimeNanoseconds(), size: size)
    (record.labels, record.expires) = (labels, expires)
    try finish(new, name, record)
  }

  /// - Parameter size: what a directory may take at most; nil: as much as there is room.
  public func set(size: Int64?, of name: String) throws(ZoneError) {
    let lock = try zones.hold(volume: name)
    defer { withExtendedLifetime(lock) {} }
    let refuse = { (why: String) in ZoneError.refused("cannot set the size of volume \(name): \(why)") }
    guard try known(name) == .directory else {
      throw refuse("it is a disk, whose size stays (backup, and restore to a larger one)")
    }
    let folder = path(name)
    let isOurs = try attempt("look at volume \(name)") { () throws(SyscallError) in
      if try DiskQuota.isCounted(folder) { return true }
      return try FileSystem.list(folder).isEmpty
    }
    if let size {
      guard isOurs else {
        throw refuse(
          "what is in it was never counted (create another with --size, and restore a backup of this one there)")
      }
      try zones.bound(volume: name, folder, to: size)
    } else {
      try attempt("take the size of volume \(name) away") { () throws(SyscallError) in try DiskQuota.lift(folder) }
    }
    try zones.change(volume: name) { $0.size = size }
  }

  /// A volume on its way, beside its place: the directory, or the file.
  func begin(_ name: String, disk: Int64?) throws(ZoneError) -> String {
    try attempt("make the volume \(name)") { () throws(SyscallError) in
      try FileSystem.makeDirectories(directories.volumes, mode: 0o711)
    }
    let new = beside(name, "new")
    try removeNew(new, name)
    guard let disk else {
      try makeEmpty(new, name)
      return new
    }
    do throws(ZoneError) { try makeDisk(new, name, disk) } catch {
      unlink(new)
      throw error
    }
    return new
  }

  /// Puts it into its place, whole.
  func finish(_ new: String, _ name: String, _ record: VolumeRecord) throws(ZoneError) {
    do throws(ZoneError) {
      try zones.note(record, of: name)
      // When a zone was last started with it: none was.
      if record.imported != nil { try? FileSystem.setModified("\(directories.volumeRecords)/\(name)", 0) }
      let place = path(name)
      try attempt("make the volume \(name)") { () throws(SyscallError) in
        _ = try check(zns_renameat2(AT_FDCWD, new, AT_FDCWD, place, 1 /* RENAME_NOREPLACE */), "rename", place)
      }
    } catch {
      try? removeNew(new, name)
      if !exists(name) { unlink("\(directories.volumeRecords)/\(name)") }
      throw error
    }
  }

  /// Its room is taken at once: a file with holes would fail inside of the zone when the disk is full.
  func makeDisk(_ file: String, _ name: String, _ size: Int64) throws(ZoneError) {
    guard geteuid() == 0 else {
      throw .refused(
        "cannot make volume \(name) in a file: only root may mount it (a directory is everybody's to make)")
    }
    guard size >= Self.smallestDisk else {
      throw .refused("cannot make volume \(name) of \(size) bytes: it is too small")
    }
    var room = statvfs()
    guard statvfs(directories.volumes, &room) == 0 else {
      throw .call("make the volume \(name)", SyscallError(call: "statvfs", errno: errno, path: directories.volumes))
    }
    let free = Int64(clamping: UInt64(room.f_bavail)).multipliedReportingOverflow(by: Int64(room.f_frsize)).partialValue
    guard size < free else {
      throw .call(
        "make the volume \(name): it wants \(size) bytes, and \(free) are free",
        SyscallError(call: "fallocate", errno: ENOSPC, path: path(name)))
    }
    do throws(SyscallError) {
      let new = try OwnedFD.open(file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      let error = posix_fallocate(new.raw, 0, off_t(size))
      guard error == 0 else { throw SyscallError(call: "fallocate", errno: error, path: path(name)) }
    } catch { throw .call("make the volume \(name)", error) }
    // nodiscard: what was taken stays so.
    let words = ["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-E", "nodiscard,root_owner=0:0", file]
    try run("/usr/sbin/mke2fs", words, name)
    try attempt("make the volume \(name)") { () throws(SyscallError) in
      let made = try OwnedFD.open(file, O_RDONLY | O_NOFOLLOW)
      try FileSystem.call("fsync", path(name)) { fsync(made.raw) }
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
    _ = try known(name)
    let lock = try zones.hold(volume: name)
    try deleteHeld(name)
    withExtendedLifetime(lock) {}
  }

  /// Its lock is the caller's.
  func deleteHeld(_ name: String) throws(ZoneError) {
    if let user = try zones.users(ofVolume: name).first {
      throw .refused(
        "cannot delete volume \(name): zone \(user.zone) has it (zonectl delete \(user.zone), or set it without)")
    }
    for rest in ["new", "old"] { try remove(beside(name, rest), name) }
    // A user's has files of his subordinate ids.
    if try known(name) == .directory, geteuid() != 0 { try empty(path(name), name) }
    try zones.removeVolume(name)
  }

  /// What killed commands have left beside volumes, where nobody is at it.
  public func removeLeftovers() throws(ZoneError) {
    for entry in (try? FileSystem.list(directories.volumes)) ?? [] where entry.hasPrefix(".") {
      let parts = entry.dropFirst().split(separator: ".").map(String.init)
      guard parts.count == 2, isDNSLabel(parts[0]), ["new", "old", "at"].contains(parts[1]) else { continue }
      let lock = try zones.hold(volume: parts[0])
      try remove(beside(parts[0], parts[1]), parts[0])
      withExtendedLifetime(lock) {}
    }
  }

  // MARK: places

  func empty(_ folder: String, _ name: String) throws(ZoneError) {
    do throws(SyscallError) {
      let directory = try OwnedFD.open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      do throws(UnpackFailure) { try LayerUnpacker(program: program).empty(directory) } catch {
        throw SyscallError(call: "unlink", errno: EBUSY, path: folder, step: "\(error)")
      }
    } catch { throw .call("empty volume \(name)", error) }
  }

  /// A new empty directory of ours.
  func makeEmpty(_ folder: String, _ name: String) throws(ZoneError) {
    try remove(folder, name)
    try attempt("make \(folder)") { () throws(SyscallError) in
      try FileSystem.call("mkdir", folder) { mkdir(folder, 0o700) }
    }
  }

  /// One that was to be a volume, and with it its bound. What is beside a volume that is there has that one's.
  func removeNew(_ path: String, _ name: String) throws(ZoneError) {
    try? DiskQuota.lift(path)  // best effort: a limit of what nothing is counted by any more
    try remove(path, name)
  }

  func remove(_ path: String, _ name: String) throws(ZoneError) {
    guard let facts = (try? FileFacts.at(path)) ?? nil else { return }
    guard facts.kind == .directory else {
      unlink(path)
      return
    }
    try empty(path, name)
    rmdir(path)
  }

  func tellOmissions(_ named: [BytePath], _ count: Int, _ who: String) {
    guard count > 0 else { return }
    notice(
      "left out \(count), which \(who) cannot have: " + named.map { $0.words }.joined(separator: ", ")
        + (count > named.count ? " …" : ""))
  }
}
