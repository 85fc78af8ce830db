import Foundation
import Glibc
import Testing

/// A host whose mounts are shared, as systemd makes all of them: what a zone mounts appears nowhere on it, and a zone that
/// is root inside puts no program in root's way.
@Suite(.serialized, .machine, .needs(.root, .program("busybox")), .ends(within: 5))
struct AttackSharedRootTests {
  /// Runs a script in a mount namespace whose mounts are all shared; what it printed.
  private func shared(_ command: Command, _ script: String) throws -> Outcome {
    var command = command.through(script)
    command.argv = ["unshare", "--mount", "--propagation", "private"] + command.argv
    command.argv[command.argv.firstIndex(of: script)!] = "mount --make-rshared /\n" + script
    return try command.run()
  }

  private static let mounts = "cut -d' ' -f5 /proc/self/mountinfo | sort"

  @Test func aZonesMountsAreItsOwn() throws {
    try Zonectl.with { zones in
      for folder in ["v", "w", "v/sub"] { mkdir("\(zones.folder)/\(folder)", 0o755) }
      try BusyboxRoot.make(at: zones.folder + "/rootfs")
      let options = [
        ["--", "true"], ["--image", "dir:\(zones.folder)/rootfs", "--", "/bin/true"],
        ["-v", "\(zones.folder)/v:/mnt", "-v", "\(zones.folder)/w:/mnt/sub", "--tmpfs", "/mnt/tmp", "--", "true"],
      ]
      for words in options {
        let outcome = try shared(
          zones.command(["run", "--rm", "--network", "none"] + words),
          "before=$(\(Self.mounts)); \"$@\" || exit 9; test \"$before\" = \"$(\(Self.mounts))\"")
        #expect(outcome.status == 0, "\(words): \(outcome)")
      }
    }
  }

  /// Found in a guest: /usr/local of the host became the zone's own, writable.
  @Test func aZoneShowsTheHostNoProgram() throws {
    try Zonectl.with { zones in
      let plant =
        "echo '#!/bin/sh' > /usr/local/bin/zones-test-planted; chmod 755 /usr/local/bin/zones-test-planted; sleep 1000"
      let outcome = try shared(
        zones.command(["run", "-d", "--name", "a", "--network", "none", "--", "sh", "-c", plant]),
        """
        "$@" || exit 9
        n=0; until "$1" --root \(zones.root) exec a test -x /usr/local/bin/zones-test-planted; do
          n=$((n + 1)); [ $n -lt 500 ] || exit 8; done
        ! test -e /usr/local/bin/zones-test-planted; seen=$?
        "$1" --root \(zones.root) delete --force --yes a || exit 7
        exit $seen
        """)
      #expect(outcome.status == 0, "\(outcome)")
    }
  }

  /// What the host mounts later is not seen in a zone either.
  @Test func aHostsLaterMountIsNotTheZones() throws {
    try Zonectl.with { zones in
      mkdir("\(zones.folder)/v", 0o755)
      mkdir("\(zones.folder)/v/later", 0o755)
      let outcome = try shared(
        zones.command([
          "run", "-d", "--name", "a", "--network", "none", "-v", "\(zones.folder)/v:/mnt", "--", "sleep", "1000",
        ]),
        """
        "$@" || exit 9
        mount -t tmpfs later \(zones.folder)/v/later; touch \(zones.folder)/v/later/seen
        "$1" --root \(zones.root) exec a test -e /mnt/later/seen; seen=$?
        "$1" --root \(zones.root) delete --force --yes a || exit 7
        test $seen = 1
        """)
      #expect(outcome.status == 0, "\(outcome)")
    }
  }

  @Test func aContainersMountsAreItsOwn() throws {
    try OCIBundle.with { (bundle) throws in
      for folder in ["data", "rootfs/mnt", "rootfs/mnt/below"] { mkdir("\(bundle.folder)/\(folder)", 0o755) }
      bundle.add(
        "mounts", ["destination": "/mnt", "type": "bind", "source": bundle.folder + "/data", "options": ["rbind"]])
      bundle.add("mounts", ["destination": "/mnt/below", "type": "tmpfs", "source": "tmpfs"])
      bundle["process.args"] = ["true"]
      for user in [false, true] {
        if user {
          bundle.add("linux.namespaces", ["type": "user"])
          for key in ["uidMappings", "gidMappings"] {
            bundle["linux.\(key)"] = [["containerID": 0, "hostID": 300_000, "size": 65536]]
          }
        }
        let outcome = try shared(
          try bundle.prepared(), "before=$(\(Self.mounts)); \"$@\" || exit 9; test \"$before\" = \"$(\(Self.mounts))\"")
        #expect(outcome.status == 0, "\(outcome)")
      }
    }
  }
}
