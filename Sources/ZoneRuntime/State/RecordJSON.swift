public import LinuxNS
public import ResourceControl
public import VirtualNet

// What a zone's run is made of and how it went, as JSON: `state.json`, `keeper.json` and `exit.json`.

extension RunRecord: JSONObject {
  static var blank: RunRecord {
    RunRecord(bootId: "", tier: .root, uids: [], gids: [], namespaces: 0, capabilities: [])
  }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("attachment", &attachment)
    try json.field("bootId", &bootId)
    try json.field("capabilities", &capabilities)
    try json.field("cgroup", &cgroup)
    try json.field("etcTemplate", &etcTemplate)
    try json.field("gids", &gids)
    try json.field("initProcess", &initProcess)
    try json.field("namespaces", &namespaces)
    try json.field("network", &network)
    try json.field("restarts", &restarts)
    try json.field("startFailure", &startFailure)
    try json.field("tier", &tier)
    try json.field("uids", &uids)
    try json.field("version", &version)
  }
}

extension WallTier: JSONText {}

extension IdMap: JSONValue {
  public func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("{")
    try json.member("count", count)
    try json.member("inside", inside)
    try json.member("outside", outside)
    json.close("}")
  }

  /// The numbers are looked at together, so that no map that overflows is ever made.
  public init(json: JSONNode) throws(JSONError) {
    let numbers = try Numbers(json: json)
    do throws(SyntaxError) {
      self = try IdMap(inside: numbers.inside, outside: numbers.outside, count: numbers.count)
    } catch { throw JSONError(why: "\(error)") }
  }

  private struct Numbers: JSONObject {
    var count: UInt32 = 0, inside: UInt32 = 0, outside: UInt32 = 0
    static var blank: Numbers { Numbers() }

    mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("count", &count)
      try json.field("inside", &inside)
      try json.field("outside", &outside)
    }
  }
}

/// As /proc/PID/status has it, in hexadecimal: a list of names was a third of a record, and `list` reads a thousand.
extension CapabilitySet: JSONValue {
  public func write(to json: inout JSONWriter) throws(JSONError) {
    let digits = String(rawValue, radix: 16)
    try json.put(String(repeating: "0", count: 16 - digits.utf8.count) + digits)
  }

  public init(json: JSONNode) throws(JSONError) {
    // A record of an earlier version has the names.
    if json.kind == .array {
      self = try Self.named(json)
      return
    }
    let text = try json.string()
    // By digits: UInt64 takes a sign too. The text stays out of the error, which is one line.
    let isDigits = text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    guard text.utf8.count == 16, isDigits, let value = UInt64(text, radix: 16) else {
      throw JSONError(why: "expected 16 hexadecimal digits of capabilities")
    }
    self.init(rawValue: value)
  }

  private static func named(_ json: JSONNode) throws(JSONError) -> CapabilitySet {
    var list: [Capability] = []
    for text in try [String](json: json) {
      do throws(SyntaxError) { list.append(try Capability(parsing: text)) } catch { throw JSONError(why: "\(error)") }
    }
    return CapabilitySet(list)
  }
}

extension CgroupRecord: JSONObject {
  public static var blank: CgroupRecord { CgroupRecord(unified: nil, v1: [:]) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    var groups = V1Groups(paths: v1)
    try json.field("isDelegated", &isDelegated)
    try json.field("unified", &unified)
    try json.field("v1", &groups)
    v1 = groups.paths
  }

  /// Keyed by the controllers' names.
  private struct V1Groups: JSONObject {
    var paths: [CgroupController: String]
    static var blank: V1Groups { V1Groups(paths: [:]) }

    mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      // In the order of their names, which is that of the cases but for the freezer.
      for controller in [CgroupController.cpu, .cpuset, .freezer, .memory, .pids] {
        var path = paths[controller]
        try json.field(controller.rawValue, &path)
        paths[controller] = path
      }
    }
  }
}

extension ProcessIdentity: JSONObject {
  public static var blank: ProcessIdentity { ProcessIdentity(pid: 0, started: 0) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("pid", &pid)
    try json.field("started", &started)
  }
}

extension Attachment: JSONObject {
  public static var blank: Attachment {
    let nowhere = IPv4Address(0)
    return Attachment(
      network: "", interface: "", hostInterface: "", hostIndex: 0, bridge: "", address: nowhere, prefixLength: 0,
      gateway: nowhere, nameServer: nowhere, mac: MACAddress(bytes: [0, 0, 0, 0, 0, 0])!)
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("address", &address)
    try json.field("bridge", &bridge)
    try json.field("gateway", &gateway)
    try json.field("hostIndex", &hostIndex)
    try json.field("hostInterface", &hostInterface)
    try json.field("interface", &interface)
    try json.field("mac", &mac)
    try json.field("nameServer", &nameServer)
    try json.field("network", &network)
    try json.field("prefixLength", &prefixLength)
  }
}

extension IPv4Address: JSONText {
  public var jsonText: String { description }
  public init(jsonText: String) throws(SyntaxError) {
    guard let address = IPv4Address(jsonText) else {
      throw SyntaxError(what: "address", value: jsonText, why: "no IPv4 address")
    }
    self = address
  }
}

extension MACAddress: JSONText {
  public var jsonText: String { description }
  public init(jsonText: String) throws(SyntaxError) {
    guard let address = MACAddress(jsonText) else {
      throw SyntaxError(what: "address", value: jsonText, why: "no MAC address")
    }
    self = address
  }
}

extension KeeperRecord: JSONObject {
  static var blank: KeeperRecord {
    KeeperRecord(version: KeeperRecord.currentVersion, phase: .ready, keeper: 0, init: 0, process: 0, started: 0)
  }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("asked", &asked)
    try json.field("code", &code)
    try json.field("ended", &ended)
    try json.field("init", &`init`)
    try json.field("keeper", &keeper)
    try json.field("oom", &oom)
    try json.field("phase", &phase)
    try json.field("process", &process)
    try json.field("reboot", &reboot)
    try json.field("signal", &signal)
    try json.field("started", &started)
    try json.field("version", &version)
  }
}

extension KeeperRecord.Phase: JSONText {}

extension ZoneExit: JSONObject {
  public static var blank: ZoneExit { ZoneExit(code: nil, signal: nil, oomKilled: false, at: 0) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("at", &at)
    try json.field("code", &code)
    try json.field("oomKilled", &oomKilled)
    try json.field("oomKills", &oomKills)
    try json.field("signal", &signal)
  }
}
