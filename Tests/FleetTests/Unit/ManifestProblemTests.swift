import Testing
import ZoneRuntime

@testable import Orchestrator

/// A manifest with one thing wrong, and the one line that must be said about it.
struct WrongManifest: CustomTestStringConvertible, Sendable {
  let why: String
  let spec: String
  let problem: String
  var testDescription: String { why }

  init(_ why: String, _ spec: String, _ problem: String) {
    self.why = why
    self.spec = spec
    self.problem = problem
  }

  /// `spec:` is line 4, so the text given here begins on line 5 with two spaces before it.
  static let header = "apiVersion: zones/v1\nkind: Fleet\nmetadata: {name: f}\nspec:\n"
}

func read(_ text: String, environment: [String: String] = [:], files: [String: String] = [:]) throws(FleetError)
  -> Manifest
{
  try Manifest.read(text, file: "fleet.yaml", directory: "/srv/fleet", environment: environment) { path in
    guard let text = files[path] else { throw FleetError.notFound("no file \(path)") }
    return Array(text.utf8)
  }
}

func problems(_ text: String) -> [String] {
  do {
    _ = try read(text)
    return []
  } catch { return error.description.split(separator: "\n").map(String.init) }
}

private let wrongs: [WrongManifest] = [
  .init(
    "unknown field of spec", "  servces: {}\n", "fleet.yaml:5:3: spec has no field 'servces'; did you mean 'services'?"),
  .init(
    "unknown field of a service", "  services:\n    a:\n      imge: sparse\n",
    "fleet.yaml:7:7: a service has no field 'imge'; did you mean 'image'?"),
  .init(
    "unknown field deep inside",
    "  services:\n    a:\n      deploy:\n        resources:\n          limits: {memroy: 1m}\n",
    "fleet.yaml:9:20: deploy.resources.limits has no field 'memroy'; did you mean 'memory'?"),
  .init(
    "number where text is wanted", "  services: {a: {command: 5}}\n",
    "fleet.yaml:5:27: spec.services.a.command wants text, not the number 5 (quote it)"),
  .init("list where a map is wanted", "  services: [a]\n", "fleet.yaml:5:13: spec.services wants a map, not a list"),
  .init(
    "text where true or false is wanted", "  services: {a: {read_only: please}}\n",
    "fleet.yaml:5:29: spec.services.a.read_only wants true or false, not the text 'please'"),
  .init(
    "duplicate key", "  services:\n    a: {}\n    b: {}\n    a: {}\n",
    "fleet.yaml:8:5: 'a' is there twice, first on line 6"),
  .init(
    "duplicate key in a flow map", "  services: {a: {}, a: {}}\n",
    "fleet.yaml:5:14: 'a' is there twice, first on line 5"),
  .init("bad name", "  services: {A_b: {}}\n", "fleet.yaml:5:14: 'A_b' is not a name (a-z, 0-9 and -, at most 63)"),
  .init(
    "unknown image", "  services: {a: {image: spars}}\n",
    "fleet.yaml:5:25: spec.services.a.image 'spars': not one of sparse, dir:PATH, oci:NAME[:TAG|@DIGEST], empty"),
  .init(
    "port clash between services", "  services:\n    a: {ports: [\"80:80\"]}\n    b: {ports: [\"1.2.3.4:80:81\"]}\n",
    "fleet.yaml:7:17: host port 80/tcp is published twice, first on line 6"),
  .init(
    "port clash in one service", "  services: {a: {ports: [\"80-82:80-82\", \"82:1\"]}}\n",
    "fleet.yaml:5:41: host port 82/tcp is published twice, first on line 5"),
  .init(
    "port without a host part", "  services: {a: {ports: [80]}}\n",
    "fleet.yaml:5:26: spec.services.a.ports[0] '80' wants HOST:ZONE, 8080:80 say"),
  .init(
    "port out of range", "  services: {a: {ports: [\"80:70000\"]}}\n",
    "fleet.yaml:5:26: spec.services.a.ports[0]: '70000' is not a port from 1 to 65535 or a range of them"),
  .init(
    "udp over replicas", "  services:\n    a:\n      ports: [\"53:53/udp\"]\n      deploy: {replicas: 2}\n",
    "fleet.yaml:7:15: one udp port cannot lead to 2 replicas; give a range of 2 host ports"),
  .init(
    "range too short", "  services:\n    a:\n      ports: [\"80-81:80\"]\n      deploy: {replicas: 3}\n",
    "fleet.yaml:7:15: 3 replicas want 3 host ports, the range has 2"),
  .init(
    "port field", "  services: {a: {ports: [{target: 80, publised: 80}]}}\n",
    "fleet.yaml:5:26: spec.services.a.ports[0] has no published"),
  .init(
    "circle", "  services:\n    a: {depends_on: [b]}\n    b: {depends_on: [c]}\n    c: {depends_on: [a]}\n",
    "fleet.yaml:6:22: the services depend on each other in a circle: a -> b -> c -> a"),
  .init(
    "unknown dependency", "  services:\n    web: {}\n    a: {depends_on: [wep]}\n",
    "fleet.yaml:7:22: there is no service 'wep'; did you mean 'web'?"),
  .init(
    "healthy without a check", "  services:\n    b: {}\n    a: {depends_on: {b: {condition: service_healthy}}}\n",
    "fleet.yaml:7:22: 'b' has no healthcheck, so it never becomes healthy"),
  .init(
    "unknown condition", "  services:\n    b: {}\n    a: {depends_on: {b: {condition: service_healty}}}\n",
    "fleet.yaml:7:37: spec.services.a.depends_on.b.condition 'service_healty' is not one of service_started, service_healthy, service_completed_successfully; did you mean 'service_healthy'?"
  ),
  .init(
    "undeclared volume", "  services: {a: {volumes: [\"dta:/data\"]}}\n  volumes: {data: {}}\n",
    "fleet.yaml:5:28: there is no volume 'dta'; did you mean 'data'?"),
  .init(
    "two volumes on one path", "  services: {a: {volumes: [\"/x:/d\", \"/y:/d\"]}}\n",
    "fleet.yaml:5:37: 2 volumes are mounted on '/d'"),
  .init("undeclared secret", "  services: {a: {secrets: [key]}}\n", "fleet.yaml:5:28: there is no secret 'key'"),
  .init(
    "secret that leads out", "  services: {a: {secrets: [{source: k, target: ../x}]}}\n",
    "fleet.yaml:5:28: spec.services.a.secrets[0]: the target '../x' must be a file name, it lies below /run/secrets"),
  .init(
    "undeclared network", "  services: {a: {networks: [bck]}}\n  networks: {back: {}}\n",
    "fleet.yaml:5:29: there is no network 'bck'; did you mean 'back'?"),
  .init(
    "two networks", "  services: {a: {networks: [x, y]}}\n  networks: {x: , y: }\n",
    "fleet.yaml:5:32: a service is on one network, not on 2"),
  .init(
    "both kinds of network", "  services: {a: {networks: [x], network_mode: host}}\n  networks: {x: }\n",
    "fleet.yaml:5:17: spec.services.a has both networks and network_mode"),
  .init(
    "ports without a network", "  services: {a: {network_mode: none, ports: [\"80:80\"]}}\n",
    "fleet.yaml:5:46: a service without a network publishes nothing"),
  .init(
    "check without a network", "  services: {a: {network_mode: none, healthcheck: {tcp: 1}}}\n",
    "fleet.yaml:5:14: without a network there is no port to check; use test"),
  .init(
    "bad time", "  services: {a: {stop_grace_period: soon}}\n",
    "fleet.yaml:5:37: spec.services.a.stop_grace_period wants a time such as 30s or 1m30s, not the text 'soon'"),
  .init(
    "time that is too long", "  services: {a: {stop_grace_period: 277h46m40s}}\n",
    "fleet.yaml:5:37: spec.services.a.stop_grace_period is 277h46m40s; it must be shorter than 277h46m40s"),
  .init(
    "interval that is too long", "  services: {a: {healthcheck: {tcp: 1, interval: 5200000h}}}\n",
    "fleet.yaml:5:50: spec.services.a.healthcheck.interval is 5200000h; it must be shorter than 277h46m40s"),
  .init(
    "timeout that is too long", "  services: {a: {healthcheck: {tcp: 1, timeout: 600h}}}\n",
    "fleet.yaml:5:49: spec.services.a.healthcheck.timeout is 600h; it must be shorter than 277h46m40s"),
  .init(
    "bad size", "  services: {a: {mem_limit: 64x}}\n",
    "fleet.yaml:5:29: spec.services.a.mem_limit wants a size such as 64m or 1g, not the text '64x'"),
  .init(
    "limits that disagree", "  services: {a: {pids_limit: 5, deploy: {resources: {limits: {pids: 6}}}}}\n",
    "fleet.yaml:5:17: spec.services.a: pids_limit and deploy.resources.limits.pids say different things"),
  .init(
    "restart that disagrees", "  services: {a: {restart: always, deploy: {restart_policy: {condition: none}}}}\n",
    "fleet.yaml:5:17: spec.services.a: restart and deploy.restart_policy say different things"),
  .init(
    "check without a probe", "  services: {a: {healthcheck: {retries: 2}}}\n",
    "fleet.yaml:5:31: spec.services.a.healthcheck has no test, http or tcp"),
  .init(
    "check that begins wrong", "  services: {a: {healthcheck: {test: [true]}}}\n",
    "fleet.yaml:5:39: spec.services.a.healthcheck.test[0] wants text, not true (quote it)"),
  .init(
    "bad signal", "  services: {a: {stop_signal: SIGTREM}}\n",
    "fleet.yaml:5:31: spec.services.a.stop_signal 'SIGTREM': no such signal, see signal(7); did you mean TERM?"),
  .init(
    "open quote", "  services: {a: {command: \"sh -c 'x\"}}\n",
    "fleet.yaml:5:27: spec.services.a.command has a quote that is not closed"),
  .init(
    "unset secret variable", "  secrets: {k: {environment: NOT_SET}}\n",
    "fleet.yaml:5:30: spec.secrets.k.environment: the variable 'NOT_SET' is not set"),
  .init(
    "secret without a source", "  secrets: {k: {}}\n",
    "fleet.yaml:5:13: the secret 'k' wants one of file and environment"),
  .init("not YAML", "  services: {a: [}\n", "fleet.yaml:5:18: not YAML: did not find expected node content"),
  .init(
    "too many replicas", "  services: {a: {deploy: {replicas: 5000}}}\n",
    "fleet.yaml:5:37: spec.services.a.deploy.replicas is 5000, outside of 0 to 1000"),
]

@Suite struct ManifestProblemTests {
  @Test("one thing wrong", arguments: wrongs)
  func one(_ wrong: WrongManifest) {
    #expect(problems(WrongManifest.header + wrong.spec).first == wrong.problem)
  }

  @Test func severalAreToldTogetherInTheFilesOrder() {
    let text = WrongManifest.header + "  services:\n    a: {imge: x, read_only: 5}\n    b: {usr: y}\n"
    #expect(
      problems(text) == [
        "fleet.yaml:6:9: a service has no field 'imge'; did you mean 'image'?",
        "fleet.yaml:6:29: spec.services.a.read_only wants true or false, not the number 5",
        "fleet.yaml:7:9: a service has no field 'usr'; did you mean 'user'?",
      ])
  }

  @Test(arguments: [
    ("kind: Fleet\nmetadata: {name: f}\nspec: {}\n", "the manifest has no apiVersion: zones/v1"),
    ("apiVersion: zones/v1\nmetadata: {name: f}\nspec: {}\n", "the manifest has no kind: Fleet"),
    ("apiVersion: zones/v1\nkind: Fleet\nspec: {}\n", "the manifest has no metadata.name"),
    (
      "apiVersion: zones/v2\nkind: Fleet\nmetadata: {name: f}\nspec: {}\n",
      "apiVersion 'zones/v2' is not one of zones/v1; did you mean 'zones/v1'?"
    ),
    (
      "apiVersion: zones/v1\nkind: Fleet\nmetadata: {name: host}\nspec: {}\n",
      "metadata.name 'host' would take a network's name; choose another"
    ),
    ("", "the manifest is empty"),
  ])
  func header(_ text: String, _ why: String) {
    #expect(problems(text).count == 1)
    #expect(problems(text).first?.hasSuffix(": " + why) == true, "\(problems(text))")
  }

  @Test func namesThatWouldBeTooLong() {
    let long = String(repeating: "a", count: 60)
    #expect(
      problems(WrongManifest.header + "  services: {\(long): {}}\n").first?.contains("would be longer than 63 letters")
        == true)
  }
}
