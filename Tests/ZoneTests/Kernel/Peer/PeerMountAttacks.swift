import Foundation
import Glibc

/// Attacks by what is mounted, and on it.
extension PeerAttack {
  /// Things that are made at each start of a race: a turn is one of them.
  private static let perStart = 60

  /// A folder `/a` of the root that becomes a link to the victim's folder and back.
  private static func swapped(_ bundle: OCIBundle, _ body: () throws -> Found) throws -> Found {
    _ = try bundle.victim()
    let ends = (folder: bundle.rootfs + "/a", link: bundle.rootfs + "/b")
    try FileManager.default.createDirectory(atPath: ends.folder, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: ends.link, withDestinationPath: bundle.folder + "/victim")
    return try racing(ends.folder, ends.link, helpers: bundle.folder + "/helpers", body)
  }

  static let mounts: [PeerAttack] = [
    PeerAttack(
      rule: "mount target swapped for a link; host files created",
      attack:
        "folders for mounts are made, and mounted on, below one that is swapped for a link (CVE-2021-30465, CVE-2024-45310)",
      ours: .refused("3,000 turns; made and mounted by descriptor below the root's"),
      runc: .succeeds("folders are made in the host's (fixed in 1.1.14)"),
      perform: { bundle, _ in
        let plain = bundle["mounts"]
        return try swapped(bundle) {
          var turn = 0
          return try bundle.starts(50) { (_, outcome) throws -> Found in
            // Names that are nowhere yet: what is there already needs not be made.
            turn += 1
            bundle["mounts"] = plain
            for i in 0..<perStart {
              bundle.add(
                "mounts",
                ["destination": "/a/m\(turn)-\(i)", "type": "tmpfs", "source": "tmpfs", "options": ["size=4k"]])
            }
            bundle.shell("echo mounted $(grep -c '/m[0-9]*-[0-9]* ' /proc/self/mountinfo)")
            let made = try bundle.planted()
            let missing = outcome.status == 0 && turn > 2 && outcome.text != "mounted \(perStart)"
            return Found(!made.isEmpty || missing, "turn \(turn): \(made) \(outcome)")
          }
        }
      }),
    PeerAttack(
      rule: "path work below the root before the pivot",
      attack: "device nodes are made below a folder that is swapped for a link",
      ours: .refused("3,000 turns; made by descriptor below the root's"),
      runc: .succeeds("nodes are made in the host's folder"),
      perform: { bundle, _ in
        bundle["linux.devices"] = (0..<perStart).map { i in
          ["path": "/a/n\(i)", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666] as [String: Any]
        }
        bundle["process.args"] = ["true"]
        return try swapped(bundle) {
          try bundle.starts(50) { (turn, outcome) throws -> Found in
            Found(try !bundle.planted().isEmpty, "turn \(turn): \(outcome)")
          }
        }
      }),
    PeerAttack(
      rule: "the zone's root clears a read-only flag or unmounts a cover",
      attack: "CAP_SYS_ADMIN in a user namespace: a read-only bind is made writable, and written",
      ours: .refused("locked: mounted in a namespace of the host's, and copied"),
      runc: .succeeds("it mounts in the container's own namespaces"),
      perform: { bundle, _ in
        let shared = bundle.folder + "/shared"
        mkdir(shared, 0o777)
        chmod(shared, 0o777)
        bundle.giveUserNamespace()
        bundle.give("CAP_SYS_ADMIN")
        mkdir(bundle.rootfs + "/shared", 0o755)
        bundle.bind(shared, "/shared", "ro")
        bundle.shell("mount -o remount,bind,rw /shared; echo x > /shared/written")
        let outcome = try bundle.start()
        return Found(FileManager.default.fileExists(atPath: shared + "/written"), outcome)
      }),
    PeerAttack(
      rule: "the zone's root clears a read-only flag or unmounts a cover",
      attack: "CAP_SYS_ADMIN in a user namespace: the cover over a masked file is unmounted, and the file read",
      ours: .refused("locked, as above"),
      runc: .succeeds("as above"),
      perform: { bundle, _ in
        try "secret".write(toFile: bundle.rootfs + "/etc/secret", atomically: false, encoding: .utf8)
        bundle.giveUserNamespace()
        bundle.give("CAP_SYS_ADMIN")
        bundle["linux.maskedPaths"] = ["/etc/secret"]
        bundle.shell("umount /etc/secret; cat /etc/secret; echo end")
        let outcome = try bundle.start()
        return Found(outcome.out.contains("secret"), outcome)
      }),
    PeerAttack(
      rule: "the zone's root clears a read-only flag or unmounts a cover",
      attack: "CAP_SYS_ADMIN in a user namespace: a read-only root is made writable, and written",
      ours: .refused("locked, as above"),
      runc: .succeeds("as above"),
      perform: { bundle, _ in
        bundle["root.readonly"] = true
        chmod(bundle.rootfs + "/root", 0o777)
        bundle.giveUserNamespace()
        bundle.give("CAP_SYS_ADMIN")
        bundle.shell("mount -o remount,bind,rw /; echo x > /root/written")
        let outcome = try bundle.start()
        return Found(FileManager.default.fileExists(atPath: bundle.rootfs + "/root/written"), outcome)
      }),
    PeerAttack(
      rule: "attacker-chosen bind source",
      attack:
        "a bind's source is a link that another mount of the bundle brought, to a folder of the host's (CVE-2024-42472)",
      ours: .refused("sources are opened before anything is mounted"),
      runc: .succeeds("sources are looked up one after the other, as mounts appear"),
      perform: { bundle, _ in
        let victim = try bundle.victim()
        let volume = bundle.folder + "/volume"
        mkdir(volume, 0o755)
        try FileManager.default.createSymbolicLink(atPath: volume + "/way", withDestinationPath: victim)
        for name in ["/a", "/mnt"] { mkdir(bundle.rootfs + name, 0o755) }
        bundle.bind(volume, "/a")
        bundle.bind(bundle.rootfs + "/a/way", "/mnt")
        bundle.shell("cat /mnt/file; echo hacked > /mnt/new")
        let outcome = try bundle.start()
        let planted = try bundle.planted()
        return Found(outcome.out.contains("untouched") || !planted.isEmpty, outcome)
      }),
    PeerAttack(
      rule: "masked path bound from the zone's own /dev/null",
      attack: "/dev/null is a link to a file of procfs, which is then mounted on what is masked (CVE-2025-31133)",
      ours: .refused("the cover is a device that was looked at"),
      runc: .succeeds("the container's root writes the file through the mask (fixed in 1.2.8)"),
      perform: { bundle, _ in
        try "secret".write(toFile: bundle.rootfs + "/etc/secret", atomically: false, encoding: .utf8)
        try bundle.showKernel(at: "/kernel")
        _ = try bundle.plantDev(["null": "/kernel/sys/kernel/hostname"])
        bundle["linux.maskedPaths"] = ["/etc/secret"]
        bundle.shell("echo pwned > /etc/secret; hostname")
        let outcome = try bundle.start()
        return Found(outcome.text == "pwned", outcome)
      }),
    PeerAttack(
      rule: "failed hardened path falls back to a weaker one",
      attack: "/dev/null is swapped for a link to nowhere while covers are mounted from it (CVE-2025-31133)",
      ours: .refused("3,000 turns; no path of the container's is a cover's source"),
      runc: .succeeds("a cover that cannot be mounted is left out without a word (fixed in 1.2.8)"),
      perform: { bundle, _ in
        let masked = (0..<perStart).map { "/etc/secret\($0)" }
        for path in masked { try "secret".write(toFile: bundle.rootfs + path, atomically: false, encoding: .utf8) }
        let dev = try bundle.plantDev(["nowhere": "/no/where"])
        try Command.text("mknod", "-m", "666", dev + "/null", "c", "1", "3")
        bundle["linux.maskedPaths"] = masked
        bundle.shell("cat /etc/secret*; echo end")
        return try racing(dev + "/null", dev + "/nowhere", helpers: bundle.folder + "/helpers") {
          try bundle.starts(50) { (turn, outcome) throws -> Found in
            Found(outcome.out.contains("secret"), "turn \(turn): \(outcome)")
          }
        }
      }),
    PeerAttack(
      rule: "console symlink as a mount source",
      attack:
        "the terminal's name in /dev/pts is swapped for a link to a file of procfs, which is then mounted on /dev/console (CVE-2025-52565)",
      ours: .refused("the terminal is opened by TIOCGPTPEER, not by its name"),
      runc: .succeeds("the container's root writes the file as /dev/console (fixed in 1.2.8)"),
      perform: { bundle, _ in
        try bundle.showKernel(at: "/kernel")
        let dev = try bundle.plantDev(["ptmx": "real/ptmx"])
        for name in ["/real", "/pts"] { mkdir(dev + name, 0o755) }
        try "".write(toFile: dev + "/console", atomically: false, encoding: .utf8)
        try Command.text("mknod", "-m", "666", dev + "/null", "c", "1", "3")
        bundle.add(
          "mounts",
          [
            "destination": "/dev/real", "type": "devpts", "source": "devpts",
            "options": ["newinstance", "ptmxmode=0666", "mode=0620"],
          ])
        for (name, target) in [("0", "../real/0"), ("other", "/kernel/sys/kernel/hostname")] {
          try FileManager.default.createSymbolicLink(atPath: "\(dev)/pts/\(name)", withDestinationPath: target)
        }
        bundle["process.terminal"] = true
        bundle.shell("echo pwned > /dev/console; hostname > /tmp/name")
        return try racing(dev + "/pts/0", dev + "/pts/other", helpers: bundle.folder + "/helpers") {
          var last = Found(false, "no turn")
          for turn in 0..<100 where !last.succeeded {
            let terminal = try Terminal(try bundle.prepared())
            let status = terminal.wait()
            let name = contents(bundle.rootfs + "/tmp/name") ?? ""
            last = Found(name.hasPrefix("pwned"), "turn \(turn): \(status ?? -1) \(name) \(terminal.screen)")
          }
          return last
        }
      }),
  ]
}
