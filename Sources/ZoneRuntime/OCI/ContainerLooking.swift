internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import ResourceControl

extension ContainerStatus {
  /// A list of states, as `list --format json` prints it.
  public static func json(of all: [ContainerStatus]) throws(ZoneError) -> [UInt8] {
    do throws(JSONError) {
      return try JSON.encode(all.map { Form(status: $0, forHooks: false) }, name: "list", pretty: true)
    } catch { throw .json(error) }
  }
}

extension Containers {
  /// RFC 3339, UTC.
  public static func timestamp(seconds: Int64, nanoseconds: Int64) -> String { Timestamp.text(seconds, nanoseconds) }

  /// What it uses, again and again, and each time that memory runs out, in runc's lines of JSON; until it ends.
  /// - Parameter interval: milliseconds.
  public func watch(_ id: String, interval: CInt, _ tell: ([UInt8]) -> Void) throws(ZoneError) {
    let (_, record) = try running(id, verb: "watch")
    guard let process = try living(record) else { return }
    var shortage = try Self.wrap { () throws(CgroupError) in try MemoryShortage(record.cgroup) }
    while true {
      tell(try statistics(record))
      let end = Clock.monotonicNanoseconds() + UInt64(interval) * 1_000_000
      while true {
        let now = Clock.monotonicNanoseconds()
        if now >= end { break }
        let heard: (isShort: Bool, ended: Bool)
        do throws(CgroupError) {
          heard = try shortage.wait(or: process, milliseconds: CInt((end - now + 999_999) / 1_000_000))
        } catch { throw .refused("\(error)") }
        if heard.isShort { tell(Array("{\"type\":\"oom\",\"id\":\"\(id)\"}\n".utf8)) }
        if heard.ended { return }
      }
    }
  }

  /// What it uses, as runc's `events --stats` tells it: one line of JSON.
  public func statistics(_ id: String) throws(ZoneError) -> [UInt8] {
    try statistics(running(id, verb: "measure").1)
  }

  private func statistics(_ record: ContainerRecord) throws(ZoneError) -> [UInt8] {
    do throws(CgroupError) {
      let form = StatisticsForm(id: record.id, used: try record.cgroup.group.statistics(), cgroup: record.cgroup)
      do throws(JSONError) { return try JSON.encode(form, name: "statistics") + [10] } catch {
        throw .unavailable(why: "\(error)")
      }
    } catch { throw .refused("\(error)") }
  }

  /// What this runtime can do on this machine (features.md of the specification).
  public func features() throws(ZoneError) -> [UInt8] {
    do throws(JSONError) { return try JSON.encode(FeaturesForm(), name: "features", pretty: true) } catch {
      throw .json(error)
    }
  }
}

/// An object that is only written.
private protocol WrittenJSON: JSONValue {}

extension WrittenJSON {
  init(json: JSONNode) throws(JSONError) { throw JSONError(why: "it is only written") }
}

private struct StatisticsForm: WrittenJSON {
  var id: String
  var used: CgroupStatistics
  var cgroup: ContainerCgroup

  init(id: String, used: CgroupStatistics, cgroup: ContainerCgroup) {
    (self.id, self.used, self.cgroup) = (id, used, cgroup)
  }

  private struct Part: WrittenJSON {
    var fields: [(String, UInt64?)]
    init(_ fields: [(String, UInt64?)]) { self.fields = fields }

    func write(to json: inout JSONWriter) throws(JSONError) {
      json.open("{")
      for (name, value) in fields { if let value { try json.member(name, Int64(clamping: value)) } }
      json.close("}")
    }
  }

  private struct CPU: WrittenJSON {
    var used: CgroupStatistics
    init(_ used: CgroupStatistics) { self.used = used }

    func write(to json: inout JSONWriter) throws(JSONError) {
      json.open("{")
      try json.member("usage", Part([("total", used.cpuNanoseconds ?? 0)]))
      try json.member(
        "throttling", Part([("throttledPeriods", used.throttledPeriods), ("throttledTime", used.throttledNanoseconds)]))
      json.close("}")
    }
  }

  private struct Memory: WrittenJSON {
    var used: CgroupStatistics
    var limit: UInt64?
    init(_ used: CgroupStatistics, _ limit: UInt64?) { (self.used, self.limit) = (used, limit) }

    func write(to json: inout JSONWriter) throws(JSONError) {
      json.open("{")
      try json.member("usage", Part([("limit", limit), ("usage", used.memory ?? 0), ("max", used.memoryPeak)]))
      json.close("}")
    }
  }

  private struct Data: WrittenJSON {
    var form: StatisticsForm
    init(_ form: StatisticsForm) { self.form = form }

    func write(to json: inout JSONWriter) throws(JSONError) {
      json.open("{")
      try json.member("cpu", CPU(form.used))
      try json.member("memory", Memory(form.used, form.memoryLimit))
      try json.member("pids", Part([("current", form.used.pids)]))
      json.close("}")
    }
  }

  /// nil: none.
  private var memoryLimit: UInt64? {
    for path in [cgroup.unified.map { "\($0)/memory.max" }, cgroup.v1["memory"].map { "\($0)/memory.limit_in_bytes" }] {
      if let path, let text = try? FileSystem.readLine(path), let value = UInt64(text) { return value }
    }
    return nil
  }

  func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("{")
    try json.member("type", "stats")
    try json.member("id", id)
    try json.member("data", Data(self))
    json.close("}")
  }
}

private struct FeaturesForm: WrittenJSON {
  init() {}

  private struct Enabled: WrittenJSON {
    var fields: [(String, Bool)]
    init(_ fields: [(String, Bool)]) { self.fields = fields }

    func write(to json: inout JSONWriter) throws(JSONError) {
      json.open("{")
      for (name, value) in fields { try json.member(name, value) }
      json.close("}")
    }
  }

  private struct Seccomp: WrittenJSON {
    init() {}

    func write(to json: inout JSONWriter) throws(JSONError) {
      json.open("{")
      try json.member("enabled", true)
      try json.member("actions", BundleSeccomp.actions.map { $0.name })
      try json.member("operators", BundleSeccomp.comparisons.map { $0.name })
      try json.member("archs", BundleSeccomp.architectureTable.map { $0.name })
      try json.member("knownFlags", BundleSeccomp.flagTable.map { $0.name })
      try json.member("supportedFlags", BundleSeccomp.flagTable.map { $0.name })
      json.close("}")
    }
  }

  private struct Extensions: WrittenJSON {
    init() {}

    func write(to json: inout JSONWriter) throws(JSONError) {
      json.open("{")
      try json.member("idmap", Enabled([("enabled", geteuid() == 0)]))
      json.close("}")
    }
  }

  private struct Linux: WrittenJSON {
    init() {}

    func write(to json: inout JSONWriter) throws(JSONError) {
      let trees = try? CgroupTrees.detect()
      json.open("{")
      try json.member("namespaces", BundleNamespace.table.map { $0.name })
      try json.member("capabilities", CapabilitySet.known(last: Capability.last()).list.map { "CAP_\($0)" })
      try json.member(
        "cgroup",
        Enabled([
          ("v1", !(trees?.v1.isEmpty ?? true)), ("v2", trees?.unified != nil), ("systemd", true),
          ("systemdUser", true), ("rdma", true),
        ]))
      try json.member("seccomp", Seccomp())
      try json.member("apparmor", Enabled([("enabled", Containers.hasAppArmor())]))
      try json.member("selinux", Enabled([("enabled", FileSystem.exists("/sys/fs/selinux/enforce"))]))
      try json.member("intelRdt", Enabled([("enabled", false)]))
      try json.member("memoryPolicy", Enabled([("enabled", true)]))
      try json.member("mountExtensions", Extensions())
      try json.member("netDevices", Enabled([("enabled", true)]))
      json.close("}")
    }
  }

  func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("{")
    try json.member("ociVersionMin", "1.0.0")
    try json.member("ociVersionMax", Containers.specification)
    try json.member(
      "hooks", ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"])
    try json.member("mountOptions", BundleMount.optionNames)
    try json.member("linux", Linux())
    json.close("}")
  }
}
