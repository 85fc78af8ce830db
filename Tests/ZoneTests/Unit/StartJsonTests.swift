import ResourceControl
import Testing
import VirtualNet

@testable import ZoneRuntime

@Suite("JSON: what a start writes without Codable")
struct StartJsonTests {
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
      PublishedPort(hostAddress: "::1", hostPort: 65535, zonePort: 1, transport: .udp), PublishedPort(hostPort: 80, zonePort: 8080),
    ]
    spec.volumes = [
      VolumeMount(source: .path("/a\"b"), target: "/x", readOnly: true), VolumeMount(source: .volume("data"), target: "/y"),
      VolumeMount(source: .tmpfs(size: .max), target: "/z"), VolumeMount(source: .tmpfs(size: nil), target: "/w"),
    ]
    spec.secrets = [SecretMount(name: "key", file: "/etc/key", uid: .max), SecretMount(name: "b", file: "/b")]
    spec.limits = ResourceLimits(cpus: 0.1, cpuShares: 1024, cpuset: "0-1,3", memory: .max, pids: 7)
    spec.readOnly = true
    spec.capAdd = ["NET_RAW"]
    spec.capDrop = ["ALL", "KILL"]
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
    return spec
  }

  private static func record() throws -> RunRecord {
    RunRecord(
      bootId: "3c7f4e29", tier: .subordinate, uids: [try IdMap(inside: 0, outside: 4_294_901_760, count: 65535)],
      gids: [try IdMap(inside: 0, outside: 1000, count: 1), try IdMap(inside: 1, outside: 100_000, count: 65536)],
      namespaces: .max, cgroup: CgroupRecord(unified: "/sys/fs/cgroup/zones/a", v1: [.cpu: "/c", .freezer: "/f", .memory: "/m"]),
      network: "default", restarts: 12, etcTemplate: "/t\"", capabilities: CapabilitySet(rawValue: 1 << 40 | 1 << 5 | 1))
  }

  /// The names of optional fields of `value` that are nil.
  private static func missing(_ value: Any) -> [String] {
    Mirror(reflecting: value).children.compactMap { child in
      let mirror = Mirror(reflecting: child.value)
      return mirror.displayStyle == .optional && mirror.children.isEmpty ? child.label : nil
    }
  }

  @Test("the coder reads a spec with every field as it was")
  func spec() throws {
    let spec = Self.fullSpec()
    #expect(Self.missing(spec).isEmpty)
    #expect(Self.missing(spec.limits).isEmpty)
    let bytes = try #require(StartJSON.spec(spec))
    #expect(try JSON.decode(ZoneSpec.self, from: bytes, name: "spec") == spec)
  }

  @Test("and one with nothing but its defaults", arguments: [RestartPolicy.no, .always, .unlessStopped, .onFailure(limit: nil)])
  func defaults(restart: RestartPolicy) throws {
    for brand in [Brand.sparse, .empty] {
      for network in [NetworkChoice.none, .host] {
        var spec = ZoneSpec(name: "z")
        spec.brand = brand
        spec.network = network
        spec.restart = restart
        let bytes = try #require(StartJSON.spec(spec))
        #expect(try JSON.decode(ZoneSpec.self, from: bytes, name: "spec") == spec)
      }
    }
  }

  @Test("the coder reads a run's record as it was")
  func record() throws {
    let record = try Self.record()
    #expect(Self.missing(record) == ["attachment", "initProcess", "startFailure"])
    var bare = record
    bare.cgroup = nil
    bare.network = nil
    bare.etcTemplate = nil
    bare.uids = []
    bare.capabilities = []
    var onlyV1 = record
    onlyV1.cgroup?.unified = nil
    for record in [record, bare, onlyV1] {
      let bytes = try #require(StartJSON.record(record))
      let read = try JSON.decode(RunRecord.self, from: bytes, name: "record")
      #expect(try JSON.encode(read) == JSON.encode(record))
    }
  }

  @Test("what the coder refuses is left to the coder")
  func refusals() throws {
    var spec = ZoneSpec(name: "z")
    spec.command = ["a\0b"]
    #expect(StartJSON.spec(spec) == nil)
    #expect(throws: JSONError.self) { try JSON.encode(spec) }
    spec.command = []
    spec.stopGrace = .nan
    #expect(StartJSON.spec(spec) == nil)
    var record = try Self.record()
    record.attachment = try JSON.decode(
      Attachment.self,
      from: Array(
        #"{"network":"n","interface":"eth0","hostInterface":"d","hostIndex":1,"bridge":"b","address":"10.88.0.2","prefixLength":24,"gateway":"10.88.0.1","nameServer":"10.88.0.1","mac":"02:00:00:00:00:01"}"#
          .utf8), name: "attachment")
    #expect(StartJSON.record(record) == nil)
  }
}
