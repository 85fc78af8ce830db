internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// OCI containers: what `zone-oci` does for an engine. There is no keeper: a container's process is the engine's to wait
/// for, and all that is known of it lies in files (`ContainerRecord`) and in the kernel.
public struct Containers: Sendable {
  /// The specification's version that is spoken.
  public static let specification = "1.3.0"

  /// Root's.
  static let standardRoot = "/run/zone-oci"

  /// Where each container has a directory.
  public let root: String
  /// By `--root`, or host root's, where nobody else can be.
  private let isTrusted: Bool
  /// `cgroupsPath` is `slice:prefix:name`, and systemd makes the groups.
  let systemdCgroup: Bool
  let warn: @Sendable (String) -> Void

  /// - Parameters:
  ///   - root: nil: `/run/zone-oci`, or `$XDG_RUNTIME_DIR/zone-oci` of an ordinary user.
  ///   - warn: takes a line about something that goes on nevertheless.
  public init(root: String?, systemdCgroup: Bool, warn: @escaping @Sendable (String) -> Void) throws(ZoneError) {
    if let root {
      guard !root.isEmpty else { throw .usage("--root wants a directory") }
      self.root = try Self.absolute(root)
    } else if Self.isRoot {
      self.root = Self.standardRoot
    } else if let runtime = getenv("XDG_RUNTIME_DIR").map({ String(cString: $0) }), runtime.hasPrefix("/") {
      self.root = "\(runtime)/zone-oci"
    } else {
      self.root = "/tmp/zone-oci-\(geteuid())"
    }
    isTrusted = root != nil || Self.isRoot
    self.systemdCgroup = systemdCgroup
    self.warn = warn
  }

  /// Refuses a standard place that somebody else has made, or could exchange: in /tmp anybody can be there first, with a
  /// container whose hooks would be the caller's to run. Asked once the place is there, for what is missing can be anybody's
  /// a moment later. Whoever names a place answers for it, as with runc.
  func checkTrust() throws(ZoneError) {
    if isTrusted { return }
    switch try attempt("look at the way to \(root)", { () throws(SyscallError) in try FileSystem.distrust(of: root) }) {
    case nil, .open?: return  // each container's directory is closed by itself
    case let found?: throw .refused("cannot keep containers in \(root): \(found.words)")
    }
  }

  /// Root of this machine, or of a container that is one by itself. Podman calls an ordinary user's runtime as root of a
  /// user namespace, where host root's directories are nobody's: that is the user.
  static let isRoot: Bool = {
    var status = stat()
    return geteuid() == 0 && stat("/run", &status) == 0 && status.st_uid == 0
  }()

  /// Who may make devices and say which may be used: root of the first user namespace alone.
  static let isHostRoot: Bool = {
    guard geteuid() == 0, let map = try? FileSystem.readLine("/proc/self/uid_map") else { return false }
    return map.split(separator: " ").elementsEqual(["0", "0", "4294967295"])
  }()

  static var groupsAreKept: Bool { !isHostRoot && (try? FileSystem.readLine("/proc/self/setgroups")) == "deny" }

  static func absolute(_ path: String) throws(ZoneError) -> String {
    if path.hasPrefix("/") { return path }
    guard let here = getcwd(nil, 0) else { throw .refused("cannot find the working directory: it is gone") }
    defer { free(here) }
    return "\(String(cString: here))/\(path)"
  }

  /// runc's ids: 1 to 1,024 of letters, digits, `_ + - .`; no name that a directory cannot have.
  static func check(_ id: String) throws(ZoneError) {
    let isPlain = id.utf8.allSatisfy {
      (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || [43, 45, 46, 95].contains($0)
    }
    guard isPlain, (1...1024).contains(id.utf8.count), id != ".", id != ".." else {
      throw .refused("invalid container id '\(id)': it is 1 to 1024 letters, digits and _ + - .")
    }
  }

  func files(_ id: String) throws(ZoneError) -> ContainerFiles {
    try Self.check(id)
    return ContainerFiles(root: root, id: id)
  }

  // MARK: looking

  /// - Throws: runc's words where there is none; engines look for them.
  func record(_ files: ContainerFiles) throws(ZoneError) -> ContainerRecord {
    guard let record = try files.readRecord() else {
      throw .refused("container '\(files.id)' does not exist")
    }
    try checkTrust()
    return record
  }

  /// A living process of the record's; nil where it has ended, or was never made.
  func living(_ record: ContainerRecord) throws(ZoneError) -> Pidfd? {
    guard let process = record.process, try isThisBoot(record) else { return nil }
    do throws(SyscallError) {
      // The descriptor first: from then on the number cannot come to mean another process.
      let pidfd = try Pidfd.open(process.pid)
      guard try ProcessIdentity.of(process.pid) == process, try !pidfd.waitUntilEnd(timeout: 0) else { return nil }
      return pidfd
    } catch {
      guard error.errno == ESRCH || error.errno == ENOENT || error.errno == EINVAL else {
        throw .call("look at the process of container \(record.id)", error)
      }
      return nil
    }
  }

  private func isThisBoot(_ record: ContainerRecord) throws(ZoneError) -> Bool {
    try attempt("read the boot id") { () throws(SyscallError) in try RunRecord.bootId() } == record.bootId
  }

  func state(_ files: ContainerFiles, _ record: ContainerRecord) throws(ZoneError) -> ContainerState {
    guard record.process != nil else { return .creating }
    guard try living(record) != nil else { return .stopped }
    if FileSystem.exists(files.gate) { return .created }
    // A group that cannot be read is not frozen by us.
    if (try? record.cgroup.group.isFrozen()) == true { return .paused }
    return .running
  }

  public func status(_ id: String) throws(ZoneError) -> ContainerStatus {
    let files = try files(id)
    let record = try record(files)
    // What the bundle says of itself is told along; a configuration that was damaged since hides no state.
    let annotations = (try? files.readConfig())?.annotations ?? []
    return try status(files, record, annotations)
  }

  func status(_ files: ContainerFiles, _ record: ContainerRecord, _ annotations: [(key: String, value: String)])
    throws(ZoneError) -> ContainerStatus
  {
    let state = try state(files, record)
    let owner =
      record.owner == 0
      ? "root" : getpwuid(record.owner).map { String(cString: $0.pointee.pw_name) } ?? "\(record.owner)"
    return ContainerStatus(
      id: record.id, state: state, pid: state == .stopped || state == .creating ? 0 : record.process?.pid ?? 0,
      bundle: record.bundle, rootfs: record.rootfs,
      created: Timestamp.text(record.createdSeconds, record.createdNanoseconds), owner: owner, annotations: annotations)
  }

  /// All containers of this root, by id. What cannot be read is told, and left out.
  public func list() throws(ZoneError) -> [ContainerStatus] {
    let names: [String]
    do throws(SyscallError) { names = try FileSystem.list(root) } catch {
      guard error.errno == ENOENT else { throw .call("list containers", error) }
      return []
    }
    try checkTrust()
    var found: [ContainerStatus] = []
    // What is not a container's has a name that no id can have.
    for name in names where !name.hasPrefix("=") {
      do throws(ZoneError) {
        guard let id = try Self.id(in: "\(root)/\(name)") else { continue }
        let files = ContainerFiles(root: root, id: id)
        guard let record = try files.readRecord() else { continue }  // deleted meanwhile
        found.append(try status(files, record, (try? files.readConfig())?.annotations ?? []))
      } catch { warn("\(error)") }
    }
    return found
  }

  /// Whose directory it is: a name may stand for a longer id.
  private static func id(in directory: String) throws(ZoneError) -> String? {
    guard let bytes = try? FileSystem.read("\(directory)/state.json") else { return nil }
    do throws(JSONError) { return try JSON.decode(ContainerRecord.self, from: bytes, name: directory).id } catch {
      throw .json(error)
    }
  }
}
