import ResourceControl
import Testing
import VirtualNet
import ZoneRuntime

@testable import Orchestrator

@Suite struct ManifestTests {
  @Test func everyFieldOfAServiceIsHonoured() throws {
    let text = """
      apiVersion: zones/v1
      kind: Fleet
      metadata: {name: f, labels: [a=b]}
      spec:
        services:
          a:
            image: dir:/srv/tree
            command: sh -c 'echo "two words"'
            environment: [ONE=1, OUTER, "EMPTY="]
            env_file: ./more.env
            ports: ["127.0.0.1:80:8080", {target: 53, published: 5353, protocol: udp}, "[::1]:90-91:90-91"]
            volumes: ["./rel:/rel:ro", "data:/data", {type: tmpfs, target: /t, tmpfs: {size: 1m}}]
            tmpfs: /cache
            networks: back
            secrets: [key, {source: key, target: other, uid: 7}]
            restart: on-failure:3
            healthcheck: {test: [CMD, "true"], http: 8080/ok, tcp: 90, interval: 1m30s, timeout: 2s, retries: 5, start_period: 3s, start_interval: 500ms}
            depends_on: {b: {condition: service_completed_successfully}}
            deploy: {replicas: 1, resources: {limits: {cpus: '0.5', memory: 64m, pids: 10}}}
            cpu_shares: 512
            cpuset: 0-1,3
            read_only: true
            cap_add: [NET_RAW]
            cap_drop: [ALL]
            user: 1000
            working_dir: /w
            hostname: h
            labels: {x: 1}
            storage_opt: {size: 2g}
            stop_signal: SIGINT
            stop_grace_period: 3s
            init: false
            tty: true
            nesting: true
            autostart: true
          b: {restart: no}
        networks: {back: {name: shared-net}}
        volumes: {data: }
        secrets: {key: {file: k}}
      """
    let manifest = try read(
      text, environment: ["OUTER": "o"],
      files: ["/srv/fleet/more.env": "ONE=no\n# c\nTWO='2 2'\n", "/srv/fleet/k": "hush"])
    #expect(manifest.secrets == ["key": Array("hush".utf8)])
    let placement = Placement(zonesAreReachable: true, secretsDirectory: "/run/s", secretDigests: ["key": "d"])
    let zone = try #require(manifest.fleet.zones(of: "a", on: placement).first)
    var wanted = ZoneSpec(name: "f-a-1")
    wanted.brand = .directory("/srv/tree")
    wanted.command = ["sh", "-c", "echo \"two words\""]
    wanted.environment = ["ONE": "1", "OUTER": "o", "EMPTY": "", "TWO": "2 2"]
    wanted.publish = [
      PublishedPort(hostAddress: "127.0.0.1", hostPort: 80, zonePort: 8080),
      PublishedPort(hostPort: 5353, zonePort: 53, transport: .udp),
      PublishedPort(hostAddress: "::1", hostPort: 90, zonePort: 90),
      PublishedPort(hostAddress: "::1", hostPort: 91, zonePort: 91),
    ]
    wanted.volumes = [
      VolumeMount(source: .path("/srv/fleet/rel"), target: "/rel", readOnly: true),
      VolumeMount(source: .volume("f-data"), target: "/data"), VolumeMount(source: .tmpfs(size: 1 << 20), target: "/t"),
      VolumeMount(source: .tmpfs(size: nil), target: "/cache"),
    ]
    wanted.network = .named("shared-net")
    wanted.aliases = ["a"]
    wanted.secrets = [
      SecretMount(name: "key", file: "/run/s/key"), SecretMount(name: "other", file: "/run/s/key", uid: 7),
    ]
    wanted.restart = .onFailure(limit: 3)
    wanted.limits = ResourceLimits(cpus: 0.5, cpuShares: 512, cpuset: "0-1,3", memory: 64 << 20, pids: 10)
    wanted.quota = 2 << 30
    wanted.readOnly = true
    wanted.capAdd = ["NET_RAW"]
    wanted.capDrop = ["ALL"]
    wanted.user = "1000"
    wanted.workdir = "/w"
    wanted.hostname = "h"
    wanted.labels = ["a": "b", "x": "1", "zones.service": "a", "zones.fleet": "f"]
    wanted.stopSignal = "INT"
    wanted.stopGrace = 3
    wanted.ownInit = true
    wanted.terminal = true
    wanted.nesting = true
    wanted.autostart = true
    wanted.fleet = "f"
    #expect(zone.spec == wanted)
    var check = HealthCheck([.command(["true"]), .http(port: 8080, path: "/ok"), .tcp(port: 90)])
    (check.interval, check.timeout, check.retries, check.startPeriod, check.startInterval) = (90, 2, 5, 3, 0.5)
    #expect(manifest.fleet.services["a"]?.health == check)
    #expect(manifest.fleet.services["a"]?.dependsOn == ["b": .completed])
    #expect(manifest.fleet.services["b"]?.restart == .no)
    #expect(manifest.fleet.servicesInOrder == ["b", "a"])
  }

  @Test func theFleetsOwnNetworkIsCalledAsTheFleet() throws {
    let fleet = try read(
      WrongManifest.header
        + "  services: {a: {}, b: {networks: [back]}, c: {network_mode: host}}\n  networks: {back: }\n"
    ).fleet
    let placement = Placement(zonesAreReachable: true, secretsDirectory: "/s")
    #expect(fleet.zones(of: "a", on: placement)[0].spec.network == .named("f"))
    #expect(fleet.zones(of: "b", on: placement)[0].spec.network == .named("f-back"))
    #expect(fleet.zones(of: "c", on: placement)[0].spec.network == .host)
  }

  @Test func aRangeGivesEachReplicaItsOwnPort() throws {
    let fleet = try read(WrongManifest.header + "  services: {a: {ports: [\"80-82:8000\"], deploy: {replicas: 3}}}\n")
      .fleet
    let zones = fleet.zones(of: "a", on: Placement(zonesAreReachable: true, secretsDirectory: "/s"))
    #expect(zones.map { $0.spec.publish.map(\.hostPort) } == [[80], [81], [82]])
    #expect(fleet.balancer(of: "a") == nil)
  }

  @Test func aSinglePortIsBalancedOverReplicas() throws {
    let fleet = try read(WrongManifest.header + "  services: {a: {ports: [\"80:8000\"], deploy: {replicas: 2}}}\n")
      .fleet
    let reachable = fleet.zones(of: "a", on: Placement(zonesAreReachable: true, secretsDirectory: "/s"))
    #expect(reachable.allSatisfy { $0.spec.publish.isEmpty })
    #expect(fleet.balancer(of: "a")?.listeners == [.init(hostAddress: nil, hostPort: 80, zonePort: 8000)])
    #expect(
      fleet.neededLoopbackPorts() == [
        LoopbackPort(zone: "f-a-1", zonePort: 8000), LoopbackPort(zone: "f-a-2", zonePort: 8000),
      ])
    let ports = [
      LoopbackPort(zone: "f-a-1", zonePort: 8000): UInt16(41000), LoopbackPort(zone: "f-a-2", zonePort: 8000): 41001,
    ]
    let user = fleet.zones(
      of: "a", on: Placement(zonesAreReachable: false, loopbackPorts: ports, secretsDirectory: "/s"))
    #expect(
      user.map(\.spec.publish) == [
        [PublishedPort(hostAddress: "127.0.0.1", hostPort: 41000, zonePort: 8000)],
        [PublishedPort(hostAddress: "127.0.0.1", hostPort: 41001, zonePort: 8000)],
      ])
  }

  @Test func mergeKeysAndAnchorsAreYAML() throws {
    let fleet = try read(
      WrongManifest.header
        + "  services:\n    a: &base {restart: always, environment: {A: 1}}\n    b: {<<: *base, environment: {B: 2}}\n"
    ).fleet
    #expect(fleet.services["b"]?.restart == .always)
    #expect(fleet.services["b"]?.environment == ["B": "2"])
  }

  @Test(arguments: [("1h30m", 5400.0), ("1m30s", 90), ("500ms", 0.5), ("2.5s", 2.5), ("0s", 0)])
  func times(_ text: String, _ seconds: Double) { #expect(Units.seconds(text) == seconds) }

  @Test(arguments: ["", "5", "s", "1x", "-1s", "1s2", "1 s"]) func noTimes(_ text: String) {
    #expect(Units.seconds(text) == nil)
  }

  @Test(arguments: [("300", Int64(300)), ("64k", 65536), ("1.5m", 1_572_864), ("2GB", 2_147_483_648), ("7b", 7)])
  func sizes(_ text: String, _ bytes: Int64) { #expect(Units.bytes(text) == bytes) }

  @Test(arguments: ["", "m", "64x", "-1m", "1e400g"]) func noSizes(_ text: String) { #expect(Units.bytes(text) == nil) }

  @Test(arguments: [
    ("a b", ["a", "b"]), ("a 'b c' \"d\\\"e\" f\\ g", ["a", "b c", "d\"e", "f g"]), ("''", [""]),
    ("a\"b\"'c'", ["abc"]), ("  ", []),
  ])
  func words(_ text: String, _ words: [String]) { #expect(Units.words(text) == words) }

  @Test func everyFieldIsInTheReferenceWithItsMeaning() {
    for (owner, fields) in Manifest.reference {
      #expect(!fields.isEmpty)
      #expect(Set(fields.map(\.field)).count == fields.count, "a field of \(owner) is there twice")
      for field in fields { #expect(!field.takes.isEmpty && !field.means.isEmpty) }
    }
  }
}
