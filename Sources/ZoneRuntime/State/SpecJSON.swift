public import ResourceControl
public import VirtualNet

// What was asked of a zone, as JSON: `spec.json`, and the `spec` of `list -o json`.

extension ZoneSpec: JSONObject {
  public static var blank: ZoneSpec { ZoneSpec(name: "") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("aliases", &aliases)
    try json.field("autostart", &autostart)
    try json.field("brand", &brand)
    var groups: [String]? = calls.isEmpty ? nil : calls
    try json.field("calls", &groups)
    calls = groups ?? []
    try json.field("capAdd", &capAdd)
    try json.field("capDrop", &capDrop)
    try json.field("command", &command)
    try json.field("environment", &environment)
    try json.field("ephemeral", &ephemeral)
    try json.field("expires", &expires)
    try json.field("fleet", &fleet)
    try json.field("hostname", &hostname)
    try json.field("labels", &labels)
    try json.field("limits", &limits)
    try json.field("name", &name)
    try json.field("nesting", &nesting)
    try json.field("network", &network)
    try json.field("ownInit", &ownInit)
    try json.field("publish", &publish)
    try json.field("quota", &quota)
    try json.field("readOnly", &readOnly)
    try json.field("restart", &restart)
    try json.field("sandbox", &sandbox)
    try json.field("secrets", &secrets)
    try json.field("stopGrace", &stopGrace)
    try json.field("stopSignal", &stopSignal)
    try json.field("terminal", &terminal)
    try json.field("user", &user)
    try json.field("version", &version)
    try json.field("volumes", &volumes)
    try json.field("workdir", &workdir)
  }
}

extension Brand: JSONText {
  public var jsonText: String { text }
  public init(jsonText: String) throws(SyntaxError) { self = try Brand(parsing: jsonText) }
}

extension NetworkChoice: JSONText {
  public var jsonText: String { text }
  public init(jsonText: String) throws(SyntaxError) { self = try NetworkChoice(parsing: jsonText) }
}

extension RestartPolicy: JSONText {
  public var jsonText: String { text }
  public init(jsonText: String) throws(SyntaxError) { self = try RestartPolicy(parsing: jsonText) }
}

extension VolumeMount: JSONObject {
  public static var blank: VolumeMount { VolumeMount(source: .path(""), target: "") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("readOnly", &readOnly)
    try json.field("source", &source)
    try json.field("target", &target)
  }
}

/// One key, the case's name; below it what the case has, as Swift's own coder writes an enum (SE-0295).
extension VolumeMount.Source: JSONObject {
  public static var blank: VolumeMount.Source { .path("") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    var path: Only<String>?
    var tmpfs: TmpfsSize?
    var volume: Only<String>?
    switch self {
    case .path(let text): path = Only(value: text)
    case .volume(let name): volume = Only(value: name)
    case .tmpfs(let size): tmpfs = TmpfsSize(size: size)
    }
    try json.field("path", &path)
    try json.field("tmpfs", &tmpfs)
    try json.field("volume", &volume)
    switch (path, tmpfs, volume) {
    case (let path?, nil, nil): self = .path(path.value)
    case (nil, let tmpfs?, nil): self = .tmpfs(size: tmpfs.size)
    case (nil, nil, let volume?): self = .volume(volume.value)
    default: throw JSONError(why: "expected one of the keys path, tmpfs and volume")
    }
  }
}

private struct Only<Value: JSONValue & Sendable>: JSONValue {
  var value: Value

  func write(to json: inout JSONWriter) throws(JSONError) {
    json.open("{")
    try json.member("_0", value)
    json.close("}")
  }

  init(value: Value) { self.value = value }

  init(json: JSONNode) throws(JSONError) {
    try json.expect(.object)
    guard let node = json["_0"] else { throw JSONError(why: "key '_0' is missing") }
    do throws(JSONError) { value = try Value(json: node) } catch { throw error.below("_0") }
  }
}

private struct TmpfsSize: JSONObject {
  var size: Int64?
  static var blank: TmpfsSize { TmpfsSize() }
  mutating func fields(_ json: inout some JSONFields) throws(JSONError) { try json.field("size", &size) }
}

extension SecretMount: JSONObject {
  public static var blank: SecretMount { SecretMount(name: "", file: "") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("file", &file)
    try json.field("name", &name)
    try json.field("uid", &uid)
  }
}

extension ResourceLimits: JSONObject {
  public static var blank: ResourceLimits { ResourceLimits() }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("cpuShares", &cpuShares)
    try json.field("cpus", &cpus)
    try json.field("cpuset", &cpuset)
    try json.field("memory", &memory)
    try json.field("pids", &pids)
  }
}

extension PublishedPort.Transport: JSONText {}

extension PublishedPort: JSONObject {
  public static var blank: PublishedPort { PublishedPort(hostPort: 0, zonePort: 0) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("hostAddress", &hostAddress)
    try json.field("hostPort", &hostPort)
    try json.field("transport", &transport)
    try json.field("zonePort", &zonePort)
  }
}
