internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// What is kept of an OCI container: `state.json` in its directory below the runtime's root. A reboot ends it.
struct ContainerRecord: Sendable {
  static let currentVersion = 1

  var version = ContainerRecord.currentVersion
  var id: String
  /// Absolute, without links.
  var bundle: String
  var rootfs: String
  /// Seconds since 1970, and nanoseconds.
  var createdSeconds: Int64 = 0
  var createdNanoseconds: Int64 = 0
  var bootId: String
  /// The uid that made it.
  var owner: UInt32
  /// nil while it is being made.
  var process: ProcessIdentity?
  var unified: String?
  /// Groups in v1 trees by controller.
  var v1: [String: String] = [:]
  /// The unit of systemd's that has made the group, and ends it.
  var unit: String?
  /// Its processes have a session keyring of their own.
  var newKeyring = true

  var cgroup: ContainerCgroup { ContainerCgroup(unified: unified, v1: v1) }
}

extension ContainerRecord: JSONObject {
  static var blank: ContainerRecord { ContainerRecord(id: "", bundle: "", rootfs: "", bootId: "", owner: 0) }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("bootId", &bootId)
    try json.field("bundle", &bundle)
    try json.field("createdNanoseconds", &createdNanoseconds)
    try json.field("createdSeconds", &createdSeconds)
    try json.field("id", &id)
    try json.field("newKeyring", &newKeyring)
    try json.field("owner", &owner)
    try json.field("process", &process)
    try json.field("rootfs", &rootfs)
    try json.field("unified", &unified)
    try json.field("unit", &unit)
    try json.field("v1", &v1)
    try json.field("version", &version)
  }
}

/// The specification's states, and runc's `paused`.
public enum ContainerState: String, Sendable {
  case creating, created, running, paused, stopped
}

/// The files of one container.
struct ContainerFiles: Sendable {
  let id: String
  let directory: String

  /// - Parameter root: the runtime's `--root`.
  init(root: String, id: String) {
    self.id = id
    directory = "\(root)/\(Self.name(of: id))"
  }

  var record: String { "\(directory)/state.json" }
  /// The bundle's configuration as it was when the container was made; the bundle may change.
  var config: String { "\(directory)/config.json" }
  /// Where `start` is told. Gone from then on.
  var gate: String { "\(directory)/gate.sock" }

  /// An id is a file's name where it can be one; longer ones, which file systems cannot hold, are known by a hash and
  /// looked at in full.
  static func name(of id: String) -> String {
    guard id.utf8.count > 200 else { return id }
    var words: (UInt64, UInt64) = (0xcbf2_9ce4_8422_2325, ~0xcbf2_9ce4_8422_2325)
    for byte in id.utf8 {
      words.0 = (words.0 ^ UInt64(byte)) &* 0x100_0000_01b3
      words.1 = (words.1 ^ UInt64(byte)) &* 0x100_0000_01b3 ^ words.0 >> 7
    }
    return String(id.prefix(100)) + "+" + String(words.0, radix: 16) + String(words.1, radix: 16)
  }

  func readRecord() throws(ZoneError) -> ContainerRecord? {
    let bytes: [UInt8]
    do throws(SyscallError) { bytes = try FileSystem.read(record) } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else { throw .call("read \(record)", error) }
      return nil
    }
    let value: ContainerRecord
    do throws(JSONError) { value = try JSON.decode(ContainerRecord.self, from: bytes, name: record) } catch {
      throw .json(error)
    }
    guard value.version <= ContainerRecord.currentVersion else {
      throw .refused(
        "cannot read \(record): it is of version \(value.version), and this runtime knows \(ContainerRecord.currentVersion)"
      )
    }
    guard value.id == id else {
      throw .refused("container '\(id)': another one, '\(value.id)', has its place")
    }
    return value
  }

  func writeRecord(_ value: ContainerRecord) throws(ZoneError) {
    let bytes: [UInt8]
    do { bytes = try JSON.encode(value, name: record) } catch { throw .json(error) }
    try attempt("save \(record)") { () throws(SyscallError) in try FileSystem.replace(record, with: bytes) }
  }

  func readConfig() throws(ZoneError) -> BundleConfig {
    let bytes = try attempt("read \(config)") { () throws(SyscallError) in try FileSystem.read(config, limit: 64 << 20)
    }
    return try BundleConfig.parse(bytes, name: config)
  }
}

/// What `state`, `list` and hooks tell of a container.
public struct ContainerStatus: Sendable {
  public var id: String
  public var state: ContainerState
  /// 0 where it has no process.
  public var pid: Int32
  public var bundle: String
  public var rootfs: String
  /// RFC 3339, UTC.
  public var created: String
  public var owner: String
  public var annotations: [(key: String, value: String)]

  /// The specification's state, with runc's additions.
  public func json(pretty: Bool = true, forHooks: Bool = false) throws(ZoneError) -> [UInt8] {
    do throws(JSONError) {
      return try JSON.encode(Form(status: self, forHooks: forHooks), name: "state", pretty: pretty)
    } catch {
      throw .json(error)
    }
  }

  /// As an element of `list --format json`.
  public var element: some JSONValue { Form(status: self, forHooks: false) }

  struct Form: JSONValue {
    var status: ContainerStatus
    var forHooks: Bool

    init(status: ContainerStatus, forHooks: Bool) { (self.status, self.forHooks) = (status, forHooks) }
    init(json: JSONNode) throws(JSONError) { throw JSONError(why: "a state is only written") }

    func write(to json: inout JSONWriter) throws(JSONError) {
      json.open("{")
      try json.member("ociVersion", Containers.specification)
      try json.member("id", status.id)
      try json.member("pid", Int(status.pid))
      try json.member("status", status.state.rawValue)
      try json.member("bundle", status.bundle)
      if !forHooks {
        try json.member("rootfs", status.rootfs)
        try json.member("created", status.created)
        try json.member("owner", status.owner)
      }
      if !status.annotations.isEmpty {
        try json.member("annotations", Annotations(pairs: status.annotations))
      }
      json.close("}")
    }
  }

  struct Annotations: JSONValue {
    var pairs: [(key: String, value: String)]

    init(pairs: [(key: String, value: String)]) { self.pairs = pairs }
    init(json: JSONNode) throws(JSONError) { throw JSONError(why: "annotations are only written") }

    func write(to json: inout JSONWriter) throws(JSONError) {
      json.open("{")
      for pair in pairs { try json.member(pair.key, pair.value) }
      json.close("}")
    }
  }
}
