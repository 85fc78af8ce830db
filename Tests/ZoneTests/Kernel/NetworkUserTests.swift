import Foundation
import Glibc
import Testing

/// An ordinary user's network: pasta where it is installed, a clear error where it is not, and never the host's own.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("pasta"), .program("busybox"), .path("/dev/net/tun")))
struct NetworkUserTests {
  private func withTun<Result>(_ body: (Zonectl) throws -> Result) throws -> Result {
    try Zonectl.withTun(body)
  }

  @Test(.ends(within: 2)) func theOutsideIsReached() throws {
    try withTun { zones in
      try Command.text("ip", "netns", "add", "zonestest")
      defer { _ = try? Command.text("ip", "netns", "del", "zonestest") }
      try Command.text(
        "sh", "-ec",
        """
        ip link add zonestest0 type veth peer name eth0 netns zonestest
        ip addr add 198.51.100.1/24 dev zonestest0; ip link set zonestest0 up
        ip -n zonestest addr add 198.51.100.2/24 dev eth0; ip -n zonestest link set eth0 up
        """)
      try "outside".write(toFile: zones.folder + "/index.html", atomically: false, encoding: .utf8)
      let server = try Command(
        "ip", "netns", "exec", "zonestest", "busybox", "httpd", "-f", "-p", "80", "-h", zones.folder
      ).start()
      let outcome = try zones.run(
        "run", "--rm", "--", "curl", "--silent", "--max-time", "5", "http://198.51.100.2/")
      #expect(outcome.text == "outside", "\(outcome)")
      #expect(server.isRunning)
    }
  }

  /// Without --no-map-gw the gateway's address leads to the host's loopback.
  @Test(.ends(within: 2)) func theHostsLoopbackIsNotReached() throws {
    try withTun { zones in
      try "loopback".write(toFile: zones.folder + "/index.html", atomically: false, encoding: .utf8)
      let server = try Command("busybox", "httpd", "-f", "-p", "127.0.0.1:18085", "-h", zones.folder).start()
      let reached = try eventually { try Command("curl", "-s", "http://127.0.0.1:18085/").run().text == "loopback" }
      #expect(reached)
      let outcome = try zones.run(
        "run", "--rm", "--", "sh", "-c",
        """
        for address in 127.0.0.1 '[::1]' $(busybox ip route | grep -o 'via [^ ]*' | cut -d' ' -f2); do
          curl --silent --max-time 3 --globoff http://$address:18085/
        done; echo end
        """)
      #expect(outcome.text == "end", "\(outcome)")
      #expect(server.isRunning)
    }
  }

  @Test(.ends(within: 2)) func aPublishedPortIsReached() throws {
    try withTun { zones in
      let script = "mkdir -p /srv; echo of-user > /srv/index.html; exec busybox httpd -f -p 80 -h /srv"
      try zones.ok("run", "-d", "--name", "web", "-p", "18086:80", "--", "sh", "-c", script)
      let reached = try eventually {
        try Command("curl", "-s", "-m", "2", "http://127.0.0.1:18086/").run().text == "of-user"
      }
      #expect(reached)
      try zones.ok("delete", "--force", "--yes", "web")
      #expect(try eventually { try Command("curl", "-s", "-m", "2", "http://127.0.0.1:18086/").run().status == 7 })
    }
  }

  /// Where /dev/net/tun is for root only, pasta would wait for ever: a network that was asked for is refused, and without
  /// a word there is none, which is said.
  @Test(.ends(within: 2)) func withoutTunItIsSaid() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      zones.privateMounts = Zonectl.tun(mode: 600)
      zones.timeout = 20
      let line = try zones.refused("run", "--rm", "--network", "default", "--", "true", status: 125)
      #expect(line.contains("/dev/net/tun"), "\(line)")
      #expect(try zones.list().isEmpty)
      let outcome = try zones.ok("run", "--rm", "--", "sh", "-c", "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '")
      #expect(outcome.lines == ["lo"] || !outcome.lines.contains { $0.hasPrefix("e") }, "\(outcome)")
      #expect(outcome.err.contains("pasta"), "\(outcome)")
    }
  }
}

extension Zonectl {
  /// As the ordinary user, with /dev/net/tun as distributions have it, 0666; some machines keep it for root.
  static func withTun<Result>(_ body: (Zonectl) throws -> Result) throws -> Result {
    try Zonectl.with(.ordinaryUser) { zones in
      zones.privateMounts = Zonectl.tun(mode: 666)
      return try body(zones)
    }
  }

  /// A zone that answers on port 80 with its own name.
  func serve(_ name: String, _ options: [String] = []) throws {
    let script = "mkdir -p /srv; echo \(name) > /srv/index.html; exec busybox httpd -f -p 80 -h /srv"
    try ok(["run", "-d", "--name", name] + options + ["--", "sh", "-c", script])
  }

  /// What `curl` in a zone gets.
  func fetch(from name: String, _ url: String) throws -> Outcome {
    try run("exec", name, "curl", "--silent", "--max-time", "3", url)
  }
}
