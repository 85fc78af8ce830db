internal import ResourceControl
internal import VirtualNet

/// The two records that a start writes, as JSON without `Codable`.
///
/// The generic coder makes some forty types at run time for them, once a process, and a start is a process: 0.35 ms of
/// it. What is written here is read by the generic coder; a test compares the two for specs with every field set.
struct StartJSON: ~Copyable {
  private(set) var bytes: [UInt8] = []
  /// A value that JSON has no words for: a string with a NUL, or a number that is none.
  private var isRefused = false

  private init() { bytes.reserveCapacity(2048) }

  /// nil for what `JSON.encode` refuses or only it can write; it also tells why.
  static func spec(_ value: ZoneSpec) -> [UInt8]? {
    var json = StartJSON()
    json.write(value)
    return json.isRefused ? nil : json.bytes
  }

  /// As `spec`; nil too for a record that says more than a start's own, which is written after it.
  static func record(_ value: RunRecord) -> [UInt8]? {
    guard value.attachment == nil, value.initProcess == nil, value.startFailure == nil else { return nil }
    var json = StartJSON()
    json.write(value)
    return json.isRefused ? nil : json.bytes
  }

  // MARK: the values, keys in the order of their bytes

  private mutating func write(_ value: ZoneSpec) {
    open("aliases", "{")
    put(value.aliases)
    key("autostart")
    put(value.autostart)
    key("brand")
    put(value.brand.text)
    key("capAdd")
    put(value.capAdd)
    key("capDrop")
    put(value.capDrop)
    key("command")
    put(value.command)
    key("environment")
    put(value.environment)
    key("ephemeral")
    put(value.ephemeral)
    if let fleet = value.fleet {
      key("fleet")
      put(fleet)
    }
    if let hostname = value.hostname {
      key("hostname")
      put(hostname)
    }
    key("labels")
    put(value.labels)
    key("limits")
    put(value.limits)
    key("name")
    put(value.name)
    key("nesting")
    put(value.nesting)
    key("network")
    put(value.network.text)
    key("ownInit")
    put(value.ownInit)
    key("publish")
    byte("[")
    for port in value.publish { put(port) }
    close("]")
    key("readOnly")
    put(value.readOnly)
    key("restart")
    put(value.restart.text)
    key("secrets")
    byte("[")
    for secret in value.secrets { put(secret) }
    close("]")
    key("stopGrace")
    put(value.stopGrace)
    key("stopSignal")
    put(value.stopSignal)
    key("terminal")
    put(value.terminal)
    if let user = value.user {
      key("user")
      put(user)
    }
    key("version")
    put(value.version)
    key("volumes")
    byte("[")
    for volume in value.volumes { put(volume) }
    close("]")
    if let workdir = value.workdir {
      key("workdir")
      put(workdir)
    }
    close("}")
  }

  private mutating func write(_ value: RunRecord) {
    open("bootId", "{")
    put(value.bootId)
    key("capabilities")
    byte("[")
    for number in 0...63 {
      guard let capability = Capability(number: number), value.capabilities.contains(capability) else { continue }
      put(capability.description)
      byte(",")
    }
    close("]")
    if let cgroup = value.cgroup {
      key("cgroup")
      put(cgroup)
    }
    if let template = value.etcTemplate {
      key("etcTemplate")
      put(template)
    }
    key("gids")
    put(value.gids)
    key("namespaces")
    put(Int(value.namespaces))
    if let network = value.network {
      key("network")
      put(network)
    }
    key("restarts")
    put(value.restarts)
    key("tier")
    put(value.tier.rawValue)
    key("uids")
    put(value.uids)
    key("version")
    put(value.version)
    close("}")
  }

  private mutating func put(_ value: ResourceLimits) {
    byte("{")
    if let shares = value.cpuShares {
      name("cpuShares")
      put(shares)
      byte(",")
    }
    if let cpus = value.cpus {
      name("cpus")
      put(cpus)
      byte(",")
    }
    if let cpuset = value.cpuset {
      name("cpuset")
      put(cpuset)
      byte(",")
    }
    if let memory = value.memory {
      name("memory")
      put(Int(memory))
      byte(",")
    }
    if let pids = value.pids {
      name("pids")
      put(Int(pids))
      byte(",")
    }
    close("}")
  }

  private mutating func put(_ value: PublishedPort) {
    byte("{")
    if let address = value.hostAddress {
      name("hostAddress")
      put(address)
      byte(",")
    }
    name("hostPort")
    put(Int(value.hostPort))
    key("transport")
    put(value.transport.rawValue)
    key("zonePort")
    put(Int(value.zonePort))
    close("}")
    byte(",")
  }

  private mutating func put(_ value: SecretMount) {
    open("file", "{")
    put(value.file)
    key("name")
    put(value.name)
    key("uid")
    put(Int(value.uid))
    close("}")
    byte(",")
  }

  /// An enum with associated values as Swift's own coder has it (SE-0295).
  private mutating func put(_ value: VolumeMount) {
    open("readOnly", "{")
    put(value.readOnly)
    key("source")
    switch value.source {
    case .path(let path):
      open("path", "{")
      open("_0", "{")
      put(path)
    case .volume(let volume):
      open("volume", "{")
      open("_0", "{")
      put(volume)
    case .tmpfs(let size):
      open("tmpfs", "{")
      byte("{")
      if let size {
        name("size")
        put(Int(size))
      }
    }
    close("}")
    close("}")
    key("target")
    put(value.target)
    close("}")
    byte(",")
  }

  private mutating func put(_ value: CgroupRecord) {
    byte("{")
    if let unified = value.unified {
      name("unified")
      put(unified)
      byte(",")
    }
    name("v1")
    byte("{")
    for controller in CgroupController.allCases {
      guard let path = value.v1[controller] else { continue }
      name(controller.rawValue)
      put(path)
      byte(",")
    }
    close("}")
    close("}")
  }

  private mutating func put(_ values: [IdMap]) {
    byte("[")
    for map in values {
      open("count", "{")
      put(Int(map.count))
      key("inside")
      put(Int(map.inside))
      key("outside")
      put(Int(map.outside))
      close("}")
      byte(",")
    }
    close("]")
  }

  // MARK: JSON (RFC 8259)

  private mutating func byte(_ value: Unicode.Scalar) { bytes.append(UInt8(ascii: value)) }

  /// Takes back the comma behind the last member.
  private mutating func close(_ mark: Unicode.Scalar) {
    if bytes.last == UInt8(ascii: ",") { bytes.removeLast() }
    byte(mark)
  }

  private mutating func name(_ name: String) {
    put(name)
    byte(":")
  }

  private mutating func key(_ key: String) {
    byte(",")
    name(key)
  }

  private mutating func open(_ first: String, _ mark: Unicode.Scalar) {
    byte(mark)
    name(first)
  }

  private mutating func put(_ value: Bool) { plain(value ? "true" : "false") }
  private mutating func put(_ value: Int) { plain(value.description) }

  private mutating func put(_ value: Double) {
    if !value.isFinite { isRefused = true }
    plain(value.description)
  }

  private mutating func plain(_ text: String) { for byte in text.utf8 { bytes.append(byte) } }

  private mutating func put(_ values: [String]) {
    byte("[")
    for value in values {
      put(value)
      byte(",")
    }
    close("]")
  }

  private mutating func put(_ values: [String: String]) {
    byte("{")
    if !values.isEmpty {
      for (name, value) in values.sorted(by: { $0.key < $1.key }) {
        self.name(name)
        put(value)
        byte(",")
      }
    }
    close("}")
  }

  private mutating func put(_ text: String) {
    byte("\"")
    for byte in text.utf8 {
      switch byte {
      case 0: isRefused = true
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case 1..<32:
        plain("\\u00")
        for digit in [byte >> 4, byte & 15] { bytes.append(digit < 10 ? 48 + digit : 87 + digit) }
      default: bytes.append(byte)
      }
    }
    byte("\"")
  }
}
