import Foundation
import Glibc
import Testing

/// The host's own upgrades must not break zones that execute its programs.
@Suite(.serialized, .machine, .needs(.root, .program("apt-get")), .ends(within: 15))
struct LongSparseAptTests {
  @Test func twentyZonesSurviveAReinstallOfTheLibrary() throws {
    try Zonectl.with { zones in
      let script = """
        rounds=0
        while [ ! -e /tmp/stop ]; do
          for program in 'env true' 'ls /usr' 'date' 'sort /etc/passwd' 'cat /etc/hosts'; do
            $program > /dev/null || echo "failed: $program"
          done
          rounds=$((rounds + 1))
        done
        echo "rounds $rounds"
        """
      let names = (1...20).map { "apt\($0)" }
      for name in names {
        try zones.ok("run", "-d", "--name", name, "--network", "none", "--", "sh", "-c", script)
      }
      var reinstall = Command(
        "apt-get", "-y", "-o", "DPkg::Lock::Timeout=300", "install", "--reinstall", "libc6", "coreutils")
      reinstall.environment["DEBIAN_FRONTEND"] = "noninteractive"
      reinstall.timeout = 600
      let outcome = try reinstall.run()
      try #require(outcome.status == 0, "\(outcome)")
      for name in names { try zones.ok("exec", name, "touch", "/tmp/stop") }
      for name in names {
        try zones.expect(name, becomes: "installed", timeout: 60)
        let log = try zones.ok("logs", name).lines
        #expect(log.count == 1 && log[0].hasPrefix("rounds ") && log[0] != "rounds 0", "\(name): \(log)")
      }
    }
  }
}
