import LinuxNS
import ResourceControl
import Testing
import VirtualNet

@testable import ZoneRuntime

@Suite("JSON: what is kept of a zone")
struct StateJsonTests {
  /// Every field set: the first check of each test says so, hence a new field cannot be forgotten here.
  private static func fullSpec() -> ZoneSpec {
    var spec = ZoneSpec(name: "web")
    spec.brand = .directory("/srv/\"root\"\\\u{1}\u{1f}\n\té€𝄞/\u{7f}")
    spec.command = ["/bin/sh", "-c", "", "a\"b\\c\r\u{8}\u{c}"]
    spec.environment = ["PATH": "/bin", "A": "", "b=": "é\n"]
    spec.workdir = "/srv"
    spec.user = "www:www"
    spec.hostname = "host.example"
    spec.network = .named("back")
    spec.aliases = ["db", "db-1"]
    spec.publish = [
      PublishedPort(hostAddress: "::1", hostPort: 65535, zonePort: 1, transport: .udp),
      PublishedPort(hostPort: 80, zonePort: 8080),
    ]
    spec.volumes = [
      VolumeMount(source: .path("/a\"b"), target: "/x", readOnly: true),
      VolumeMount(source: .volume("data"), target: "/y"),
      VolumeMount(source: .tmpfs(size: .max), target: "/z"), VolumeMount(source: .tmpfs(size: nil), target: "/w"),
    ]
    spec.secrets = [SecretMount(name: "key", file: "/etc/key", uid: .max), SecretMount(name: "b", file: "/b")]
    spec.limits = ResourceLimits(cpus: 0.1, cpuShares: 1024, cpuset: "0-1,3", memory: .max, pids: 7)
    spec.readOnly = true
    spec.capAdd = ["NET_RAW"]
    spec.capDrop = ["ALL", "KILL"]
    spec.calls = ["network"]
    spec.restart = .onFailure(limit: 3)
    spec.autostart = true
    spec.terminal = true
    spec.ownInit = true
    spec.nesting = true
    spec.labels = ["team": "a", "": "x"]
    spec.stopSignal = "9"
    spec.stopGrace = 1.0 / 3
    spec.ephemeral = true
    spec.fleet = "shop"
    spec.sandbox = fullSandbox()
    spec.expires = 1_795_402_694
    spec.quota = 20 << 20
    return spec
  }

  private static func fullSandbox() -> SandboxSpec {
    var sandbox = SandboxSpec(
      account: SandboxAccount(uid: .max, gid: 7, name: "a\"b", home: "/home/é", shell: "/bin/sh"))
    sandbox.places = [
      SandboxPlace(
        "/a\nb", .passing, source: "/c", isDirectory: false, placeholder: ".\n", why: "because \"it\" is"),
      SandboxPlace("/d", .pinned, why: ""),
    ]
    sandbox.files = ["/home/é/.gitconfig": "[user]\n\tname = \"A\"\n"]
    sandbox.allowed = ["example.com:443", "*.example.org"]
    sandbox.manyIds = true
    sandbox.landlock = true
    sandbox.bare = BareSandbox(home: "/run/h", scratch: "/run/t", why: "it is \"0\"")
    sandbox.bare?.links = ["/run/h/a": "/home/é/a"]
    sandbox.bare?.uncovered = ["/p/.envrc"]
    sandbox.watch = .denials
    return sandbox
  }

  private static func fullReport() -> SandboxReport {
    var report = SandboxReport(id: "run", command: ["sh", "-c", "x"])
    (report.status, report.code, report.signal) = (137, 1, 9)
    (report.oomKilled, report.timedOut, report.error) = (true, true, "why")
    (report.seconds, report.userSeconds, report.systemSeconds, report.peakMemory) = (1.5, 0.25, 0.125, 1 << 40)
    report.denials = [Denial(kind: .network, name: "evil:1", call: "connect", rule: "no")]
    report.changes = ["A x"]
    return report
  }

  private static func record() throws -> RunRecord {
    RunRecord(
      bootId: "3c7f4e29", tier: .subordinate, uids: [try IdMap(inside: 0, outside: 4_294_901_760, count: 65535)],
      gids: [try IdMap(inside: 0, outside: 1000, count: 1), try IdMap(inside: 1, outside: 100_000, count: 65536)],
      namespaces: .max,
      cgroup: CgroupRecord(unified: "/sys/fs/cgroup/zones/a", v1: [.cpu: "/c", .freezer: "/f", .memory: "/m"]),
      network: "default",
      attachment: Attachment(
        network: "default", interface: "eth0", hostInterface: "zvdefault1", hostIndex: 7, bridge: "zb0",
        address: try #require(IPv4Address("10.88.0.2")), prefixLength: 24,
        gateway: try #require(IPv4Address("10.88.0.1")),
        nameServer: try #require(IPv4Address("10.88.0.1")), mac: try #require(MACAddress("02:00:00:00:00:01"))),
      restarts: 12, initProcess: ProcessIdentity(pid: 77, started: 123_456), startFailure: "no \"room\"",
      etcTemplate: "/t\"", capabilities: CapabilitySet(rawValue: 1 << 40 | 1 << 5 | 1))
  }

  private static func status() -> ZoneStatus {
    ZoneStatus(
      name: "a", state: .shuttingDown, why: "w", pid: 7, keeper: 8, started: 9, restarts: 1,
      exit: { () -> ZoneExit in
        var exit = ZoneExit(code: nil, signal: 9, oomKilled: true, at: 5)
        exit.oomKills = 2
        return exit
      }(), oomKills: 3, addresses: ["10.0.0.1"], startId: "s",
      quota: QuotaUse(bytes: 1, limit: 2),
      use: ZoneUse(bytes: 1, isPartial: true, made: 2, owner: 3, used: 4), spec: fullSpec())
  }

  /// The names of optional fields of `value` that are nil.
  private static func missing(_ value: Any) -> [String] {
    Mirror(reflecting: value).children.compactMap { child in
      let mirror = Mirror(reflecting: child.value)
      return mirror.displayStyle == .optional && mirror.children.isEmpty ? child.label : nil
    }
  }

  @Test("a spec with every field is read as it was")
  func spec() throws {
    let spec = Self.fullSpec()
    #expect(Self.missing(spec).isEmpty)
    #expect(Self.missing(spec.limits).isEmpty)
    #expect(try JSON.decode(ZoneSpec.self, from: JSON.encode(spec), name: "spec") == spec)
  }

  @Test(
    "and one with nothing but its defaults",
    arguments: [RestartPolicy.no, .always, .unlessStopped, .onFailure(limit: nil)])
  func defaults(restart: RestartPolicy) throws {
    for brand in [Brand.sparse, .empty] {
      for network in [NetworkChoice.none, .host] {
        var spec = ZoneSpec(name: "z")
        spec.brand = brand
        spec.network = network
        spec.restart = restart
        #expect(try JSON.decode(ZoneSpec.self, from: JSON.encode(spec), name: "spec") == spec)
      }
    }
  }

  /// A field that `fields` forgets would be lost on the way to disk, and nobody would say so.
  @Test("no field is forgotten")
  func noFieldIsForgotten() throws {
    let record = try Self.record()
    let status = Self.status()
    let keeper = KeeperRecord(
      version: 1, phase: .ended, keeper: 1, init: 2, process: 3, started: 4, ended: 5, code: 6, signal: 7, oom: true,
      asked: false, reboot: true)
    let features = KernelFeatures(
      kernel: "6", machine: "m", uid: 1, features: [.init(name: "n", available: true, detail: "d", without: "w")])
    func check(_ value: some JSONValue) throws {
      let mirror = Mirror(reflecting: value)
      let fields = mirror.children.compactMap { $0.label }.sorted()
      #expect(Self.missing(value).isEmpty, "\(mirror.subjectType): a field is not set")
      let text = String(decoding: try JSON.encode(value, pretty: true), as: UTF8.self)
      let keys = text.split(separator: "\n").filter { $0.hasPrefix("  \"") }.map {
        String($0.dropFirst(3).prefix { $0 != "\"" })
      }
      #expect(keys == fields, "\(mirror.subjectType)")
    }
    try check(Self.fullSpec())
    try check(Self.fullSpec().limits)
    try check(Self.fullSandbox())
    try check(Self.fullSandbox().account)
    try check(try #require(Self.fullSandbox().bare))
    try check(Self.fullSandbox().places[0])
    try check(Self.fullReport())
    try check(record)
    try check(try #require(record.attachment))
    try check(try #require(record.initProcess))
    try check(try #require(record.cgroup))
    try check(keeper)
    try check(status)
    var exit = ZoneExit(code: 1, signal: 2, oomKilled: true, at: 3)
    exit.oomKills = 4
    try check(exit)
    try check(SetOutcome(key: "k", effect: .live, why: "w"))
    try check(features)
    try check(features.features[0])
    try check(VolumeMount(source: .path("/"), target: "/"))
    try check(SecretMount(name: "n", file: "/f"))
    try check(PublishedPort(hostAddress: "::1", hostPort: 1, zonePort: 2))
  }

  @Test("a run's record is read as it was")
  func record() throws {
    let record = try Self.record()
    var bare = record
    bare.cgroup = nil
    bare.network = nil
    bare.attachment = nil
    bare.initProcess = nil
    bare.startFailure = nil
    bare.etcTemplate = nil
    bare.uids = []
    bare.capabilities = []
    var onlyV1 = record
    onlyV1.cgroup?.unified = nil
    for record in [record, bare, onlyV1] {
      let bytes = try JSON.encode(record)
      #expect(try JSON.encode(JSON.decode(RunRecord.self, from: bytes, name: "record")) == bytes)
    }
    let read = try JSON.decode(RunRecord.self, from: JSON.encode(record), name: "record")
    #expect(read.attachment == record.attachment)
    #expect(read.initProcess == record.initProcess)
    #expect(read.cgroup == record.cgroup)
    #expect(read.uids == record.uids)
    #expect(read.capabilities == record.capabilities)
  }

  @Test("what JSON has no words for is refused, not cut")
  func refusals() throws {
    var spec = ZoneSpec(name: "z")
    spec.command = ["a\0b"]
    #expect(throws: JSONError.self) { try JSON.encode(spec) }
    spec.command = []
    spec.stopGrace = .nan
    #expect(throws: JSONError.self) { try JSON.encode(spec) }
  }
}
