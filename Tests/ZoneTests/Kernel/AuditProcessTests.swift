import Foundation
import Glibc
import Testing

/// `zonectl audit --pid`: which walls stand around a process that somebody else started.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser), .ends(within: 3))
struct AuditProcessTests {
  struct Report: Decodable {
    struct Finding: Decodable { var name: String, seen: String, state: String?, asAsked: Bool }
    var zone: String, pid: Int32?, asAsked: Bool, findings: [Finding]

    subscript(_ name: String) -> String? { findings.first { $0.name == name }?.state }
  }

  private func audit(_ zones: Zonectl, _ pid: pid_t, _ options: [String] = []) throws -> (status: Int32, report: Report)
  {
    let outcome = try zones.command(["audit", "--pid", "\(pid)", "-o", "json"] + options).run()
    #expect(outcome.err.isEmpty, "\(outcome)")
    return (outcome.status, try JSONDecoder().decode(Report.self, from: outcome.output))
  }

  private func beside<Result>(_ argv: [String], _ body: (pid_t) throws -> Result) throws -> Result {
    let running = try Command(argv + ["sh", "-c", "echo on; exec sleep 1000"]).start()
    defer {
      kill(running.pid, SIGKILL)
      _ = try? running.finish(timeout: 5)
    }
    try #require(running.readUntil { $0.contains("on") })
    return try body(running.pid)
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func aProcessOfTheHostsIsOpen(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      try beside(zones.prefix) { pid in
        let (status, report) = try audit(zones, pid)
        #expect(status == 0 && report.asAsked && report.zone.isEmpty && report.pid == pid)
        for wall in ["user", "mount", "pid", "net", "ipc", "uts", "cgroup", "seccomp", "no-new-privs"] {
          #expect(report[wall] == "open", "\(wall): \(report.findings)")
        }
        #expect(report["capabilities"] == (who == .root ? "open" : "stands"))
        #expect(report["landlock"] == "unknown" && report["descriptors"] == "told" && report["mounts"] == "told")
        let wanted = try audit(zones, pid, ["--require", "net,seccomp"])
        #expect(
          wanted.status == 1 && wanted.report.findings.filter { !$0.asAsked }.map { $0.name } == ["net", "seccomp"])
        let table = try zones.run("audit", "\(pid)", "--require", "net")
        #expect(table.status == 1 && table.out.contains("DIFFERS") && table.out.contains("shared"), "\(table)")
      }
    }
  }

  @Test func whatStandsIsSeenToStand() throws {
    try Zonectl.with { zones in
      try beside([
        "unshare", "--net", "--uts", "setpriv", "--no-new-privs", "--bounding-set", "-all", "prlimit",
        "--nproc=5000:5000",
      ]) { pid in
        let (status, report) = try audit(zones, pid, ["--require", "net,uts,no-new-privs,limits"])
        #expect(status == 0, "\(report.findings)")
        #expect(report["net"] == "stands" && report["uts"] == "stands" && report["mount"] == "open")
        #expect(report.findings.first { $0.name == "rlimits" }?.seen.contains("Max processes 5000") == true)
        #expect(try audit(zones, pid, ["--require", "mount"]).status == 1)
      }
    }
  }

  /// What may not be read is not taken for a wall.
  @Test func anothersProcessIsUnknown() throws {
    try Zonectl.with(.ordinaryUser) { zones in
      try beside([]) { pid in
        let (status, report) = try audit(zones, pid)
        #expect(status == 0 && report["net"] == "unknown" && report["descriptors"] == "unknown", "\(report.findings)")
        #expect(try audit(zones, pid, ["--require", "net"]).status == 1)
      }
    }
  }

  @Test(arguments: [Zonectl.Who.root, .ordinaryUser]) func aZonesProcessIsTheZones(who: Zonectl.Who) throws {
    try Zonectl.with(who) { zones in
      try zones.make("web")
      let pid = try #require(try zones.status("web")?.pid)
      let (status, report) = try audit(zones, pid)
      #expect(status == 0 && report.zone == "web", "\(report.findings)")
      #expect(report.findings.contains { $0.name == "keeper" }, "the zone's audit, with all its findings")
      let wanted = try zones.run("audit", "web", "--require", "net,user,seccomp")
      #expect(wanted.status == 0 && wanted.out.contains("required"), "\(wanted)")
      try zones.make("open", "running", ["--network", "host"])
      let host = try zones.run("audit", "open", "--require", "net")
      #expect(host.status == 1 && host.out.contains("net: wanted to stand"), "\(host)")
    }
  }

  @Test func whatIsNoProcessOrNoWallIsSaid() throws {
    try Zonectl.with { (zones) throws in
      #expect(try zones.refused("audit", "--pid", "2147483647").contains("no process"))
      #expect(try zones.refused("audit", "--pid", "1", "--require", "moat", status: 2).contains("landlock"))
      #expect(try zones.refused("audit", status: 2).contains("--pid"))
      #expect(try zones.refused("audit", "web", "--pid", "1", status: 2).contains("exclude"))
    }
  }
}
