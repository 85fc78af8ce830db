import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `--quota`: what a zone may write, on each file system that counts, and what becomes of it.
@Suite(.serialized, .enabled(if: geteuid() == 0, "quotas are root's to give"), .ends(within: 15))
struct QuotaTests {
  /// A file system of a kind, as a file, with the place of zones on it.
  final class Disk {
    enum Kind: String, CustomStringConvertible {
      case ext4, xfs, btrfs

      var make: String {
        switch self {
        case .ext4: "mkfs.ext4 -q -O quota,project -E quotatype=prjquota"
        case .xfs: "mkfs.xfs -q"
        case .btrfs: "mkfs.btrfs -q"
        }
      }
      var description: String { rawValue }
      var quotaOption: String { self == .btrfs ? "" : ",prjquota" }

      /// Whether this kernel can, and mkfs is here: asked by mounting one.
      var isHere: Bool {
        let script = """
          modprobe -q loop; d=$(mktemp -d /var/tmp/zones-quota.XXXXXX); trap 'umount $d/m 2>/dev/null; rm -rf $d' EXIT
          mkdir $d/m; truncate -s 400M $d/f; \(make) $d/f && mount -o loop\(quotaOption) $d/f $d/m
          """
        return (try? Command.run("/bin/bash", ["-c", script], timeout: 60).status) == 0
      }
    }

    let kind: Kind
    let stand: ImageStand

    /// - Parameter counts: whether its quotas are on.
    init(_ kind: Kind, counts: Bool = true) throws {
      self.kind = kind
      stand = try ImageStand(layouts: false)
      try stand.sh("mkdir place; truncate -s 600M disk; \(kind.make) disk")
      try mount(counts: counts)
      try stand.sh(
        """
        mkdir -p root/bin root/proc root/sys root/dev root/tmp && cd root && cp "$(command -v busybox)" bin/busybox
        for name in sh sleep dd rm df chattr sync; do ln -s busybox bin/$name; done; tar -cf ../root.tar .; cd ..; rm -rf root
        """)
      try stand.ok("image", "import", "\(stand.folder)/root.tar", "localhost/base:v1")
    }

    func mount(counts: Bool) throws {
      try stand.sh("mount -o loop\(counts ? kind.quotaOption : "") disk place")
      if kind == .btrfs, counts { try stand.sh("btrfs quota enable place") }
    }

    deinit {
      let names = (try? stand.zonectl(["list", "-q"]).output.split(separator: "\n").map(String.init)) ?? []
      for name in names { _ = try? stand.zonectl(["delete", "--force", "--yes", name]) }
      _ = try? Command.run("/bin/umount", ["\(stand.folder)/place"])
    }

    func words(_ zone: String, quota: String?, _ more: [String] = []) -> [String] {
      ["create", "--image", "oci:localhost/base:v1", "--network", "none"] + (quota.map { ["--quota", $0] } ?? [])
        + more + [zone, "--", "sleep", "infinity"]
    }

    func create(_ zone: String, quota: String?) throws {
      let outcome = try stand.zonectl(words(zone, quota: quota))
      try #require(outcome.status == 0, "\(outcome)")
    }

    func exec(_ zone: String, _ script: String) throws -> Command {
      try stand.zonectl(["exec", zone, "--", "/bin/busybox", "sh", "-c", script])
    }

    /// Writes so many MiB where there are that many; freed ones are free when the file system has said so.
    func write(_ zone: String, _ count: Int, to file: String = "/big") throws -> Command {
      try exec(
        zone,
        "/bin/busybox rm -f \(file); /bin/busybox sync; exec /bin/busybox dd if=/dev/zero of=\(file) bs=1M count=\(count)"
      )
    }

    func isFull(_ outcome: Command) -> Bool {
      let words = kind == .xfs ? "No space left" : "uota exceeded"
      return outcome.status != 0 && outcome.errors.contains(words)
    }

    func used(_ zone: String) throws -> QuotaUse? {
      try stand.sh("sync -f place")
      let text = try stand.ok("list", "-o", "json", zone)
      let found = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
      guard let quota = found.first?["quota"] as? [String: Any] else { return nil }
      var use = QuotaUse(
        bytes: try #require(quota["bytes"] as? Int64), limit: try #require(quota["limit"] as? Int64))
      use.isFull = try #require(quota["full"] as? Bool)
      return use
    }

    /// Limits that stand on it, of whatever.
    func limits() throws -> [String] {
      let script =
        kind == .btrfs
        ? """
        u=$(btrfs filesystem show place | sed -n 's/.*uuid: //p'); cd /sys/fs/btrfs/$u/qgroups
        for g in 0_*; do l=$(cat $g/max_referenced); case $l in 0|18446744073709551615) ;; *) echo $g $l ;; esac; done
        """
        : """
        python3 - <<'END'
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        place = os.open("place", os.O_RDONLY)
        at = 0
        while True:
          block = (ctypes.c_uint64 * 16)()
          if libc.syscall(443, place, ctypes.c_uint32(0x800009 << 8 | 2), ctypes.c_uint32(at), block) != 0: break
          number = (ctypes.c_uint32 * 32).from_buffer(block)[17]
          if block[0]: print(number, block[0])
          at = number + 1
        END
        """
      return try stand.sh(script).split(separator: "\n").map(String.init)
    }
  }

  @Test(.enabled(if: Disk.Kind.ext4.isHere, "ext4 with project quotas")) func ofExt4() throws { try bounds(.ext4) }
  @Test(.enabled(if: Disk.Kind.xfs.isHere, "xfs with project quotas")) func ofXfs() throws { try bounds(.xfs) }
  @Test(.enabled(if: Disk.Kind.btrfs.isHere, "btrfs")) func ofBtrfs() throws { try bounds(.btrfs) }

  private func bounds(_ kind: Disk.Kind) throws {
    let disk = try Disk(kind)
    let stand = disk.stand
    let before = try disk.limits()
    #expect(before == [])
    try disk.create("a", quota: "20M")
    try stand.ok("start", "a")
    #expect(disk.isFull(try disk.write("a", 40)))
    let full = try #require(try disk.used("a"))
    #expect(full.limit == 20 << 20 && full.bytes <= 20 << 20 && full.bytes > 18 << 20 && full.isFull, "\(full)")
    #expect(try stand.ok("show", "a").contains(": full (zonectl set a quota=SIZE)"))
    #expect(try stand.ok("list", "-o", "wide", "a").contains(", full"))
    #expect(try stand.ok("list").contains("running (full)"))
    if kind != .btrfs {
      let seen = try disk.exec("a", "/bin/busybox df -k / | /bin/busybox tail -n 1").output
      #expect(seen.split(separator: " ").contains("20480"), "\(seen)")
    }
    // Who is bounded cannot have his files counted for somebody else.
    _ = try disk.write("a", 10)
    #expect(try disk.exec("a", "/bin/busybox chattr -p 0 /big").status != 0)
    #expect(try disk.exec("a", "/bin/busybox chattr -p 77 /big").status != 0)
    #expect(try #require(try disk.used("a")).bytes >= 10 << 20)
    // More, less than there is, and none, while it runs; also of one that is full.
    #expect(try stand.ok("set", "a", "quota=60M") == "quota: live\n")
    #expect(try disk.write("a", 40).status == 0)
    #expect(try stand.ok("set", "a", "quota=30M") == "quota: live\n")
    #expect(disk.isFull(try disk.write("a", 1, to: "/more")))
    #expect(try stand.ok("set", "a", "quota=") == "quota: live\n")
    #expect(try disk.used("a") == nil && disk.limits() == [])
    #expect(try disk.write("a", 80).status == 0)
    #expect(try stand.ok("set", "a", "quota=20M") == "quota: live\n")
    #expect(disk.isFull(try disk.write("a", 30)))

    // What is frozen is the store's; a clone has a bound of its own.
    try stand.ok("stop", "a")
    try stand.ok("snapshot", "create", "a", "one")
    #expect(try #require(try disk.used("a")).bytes < 1 << 20)
    try stand.ok("clone", "a@one", "b")
    for zone in ["a", "b"] {
      try stand.ok("start", zone)
      #expect(try disk.write(zone, 15, to: "/other").status == 0)
      #expect(disk.isFull(try disk.write(zone, 30, to: "/other")))
      try stand.ok("stop", zone)
    }
    try stand.ok("snapshot", "rollback", "a", "one")
    #expect(try #require(try disk.used("a")).bytes < 1 << 20)
    #expect(try disk.limits().count == 2)
    // Quotas that are off by now, as after a mount without them: nothing is begun, and nobody starts unbounded.
    try disk.stand.sh("umount place")
    try disk.mount(counts: false)
    if kind != .btrfs {
      #expect(try stand.refusal("start", "b").contains("prjquota"))
      #expect(try stand.refusal("snapshot", "create", "b").contains("prjquota"))
    }
    try disk.stand.sh("umount place")
    try disk.mount(counts: true)
    try stand.ok("start", "b")
    try stand.ok("stop", "b")
    #expect(try disk.limits().count == 2)
    try stand.ok("delete", "--yes", "b")
    #expect(try disk.limits().count == 1)

    // Of one that was made without.
    try disk.create("c", quota: nil)
    try stand.ok("start", "c")
    #expect(try disk.write("c", 10).status == 0)
    #expect(try stand.refusal("set", "c", "quota=20M").contains("zonectl stop c"))
    try stand.ok("stop", "c")
    #expect(try stand.refusal("set", "c", "quota=20M").contains("zonectl snapshot create c"))
    #expect(try disk.used("c") == nil)
    try stand.ok("snapshot", "create", "c")
    #expect(try stand.ok("set", "c", "quota=20M") == "quota: live\n")
    #expect(try #require(try disk.used("c")).bytes < 1 << 20)
    // A deleted name made anew, and what is no file, in a layer that is bounded.
    try stand.ok("start", "c")
    let made = try disk.exec(
      "c", "cd /; B=/bin/busybox; $B rm -r /tmp /big; $B mkdir /tmp; $B mkfifo f; $B ln -s f l; $B mv l k; $B mv f g")
    #expect(made.status == 0, "\(made)")
    #expect(disk.isFull(try disk.write("c", 30, to: "/other")))

    // A sparse zone's folders are seen as they are: on btrfs more could be made that are not counted.
    let sparse = ["create", "--quota", "20M", "--network", "none", "s", "--", "sleep", "infinity"]
    if kind == .btrfs {
      let refused = try stand.zonectl(sparse)
      #expect(refused.status == 1 && refused.errors.contains("makes a subvolume"), "\(refused)")
    } else {
      #expect(try stand.zonectl(sparse).status == 0)
      try stand.ok("start", "s")
      let outcome = try stand.zonectl(["exec", "s", "--", "dd", "if=/dev/zero", "of=/var/big", "bs=1M", "count=40"])
      #expect(disk.isFull(outcome), "\(outcome)")
      // What is frozen of it is counted no more, and what it writes from then on by itself.
      try stand.ok("halt", "s")
      let count = try disk.limits().count
      try stand.ok("snapshot", "create", "s", "one")
      #expect(try #require(try disk.used("s")).bytes < 1 << 20)
      try stand.ok("start", "s")
      let more = ["exec", "s", "--", "dd", "if=/dev/zero", "of=/var/more", "bs=1M", "count=40"]
      #expect(disk.isFull(try stand.zonectl(more)))
      try stand.ok("halt", "s")
      try stand.ok("snapshot", "rollback", "s", "one")
      #expect(try #require(try disk.used("s")).bytes < 1 << 20)
      #expect(try disk.limits().count == count)
      try aFreezeThatWasKilledIsDoneByTheNext(disk, "s")
      #expect(try disk.limits().count == count)
      try stand.ok("delete", "--force", "--yes", "s")
      #expect(try stand.zonectl(sparse.filter { $0 != "--quota" && $0 != "20M" }).status == 0)
      #expect(try stand.refusal("set", "s", "quota=20M").contains("create it anew with --quota"))
      try stand.ok("delete", "--yes", "s")
      try volumes(disk)
    }
    for zone in ["a", "c"] { try stand.ok("delete", "--force", "--yes", zone) }
    #expect(try disk.limits() == [])
    try stand.ok("image", "prune", "--all", "--yes")
    #expect(try FileSystem.list("\(stand.storePath)/layers") == [])
  }

  /// With the new layer made, and the zone's record not yet what it is then.
  private func aFreezeThatWasKilledIsDoneByTheNext(_ disk: Disk, _ zone: String) throws {
    let stand = disk.stand
    let walk = CallWalk(
      stand, [Command.orchestrator, "zonectl", "--root", stand.place, "snapshot", "create", zone])
    let data = "\(stand.place)/data/\(zone)"
    let isPending = { try String(contentsOfFile: "\(data)/root.json", encoding: .utf8).contains("\"pending\"") }
    // rename(2), renameat(2), renameat2(2)
    #if arch(arm64)
      let renames: Set<Substring> = ["38", "276"]
    #else
      let renames: Set<Substring> = ["82", "264", "316"]
    #endif
    // Two runs may differ by a call or two, of threads that wait for each other: until it is the right one.
    for _ in 0..<8 {
      #expect(try walk.traced().status == 0)
      let last = try #require(try walk.told().lastIndex { renames.contains(CallWalk.call($0)) })
      _ = try walk.traced("-k", "0:\(last + 1)")
      if try isPending() { break }
    }
    #expect(try isPending())
    #expect(FileSystem.exists("\(data)/own/root"))
    try stand.ok("start", zone)
    #expect(
      disk.isFull(try stand.zonectl(["exec", zone, "--", "dd", "if=/dev/zero", "of=/var/big", "bs=1M", "count=40"])))
    try stand.ok("halt", zone)
  }

  /// A directory's size: full, more of it, restored while a zone has it, and gone.
  private func volumes(_ disk: Disk) throws {
    let stand = disk.stand
    let before = try disk.limits()
    try stand.ok("volume", "create", "--size", "20M", "data")
    #expect(try disk.limits().count == before.count + 1)
    let made = try stand.zonectl(disk.words("v", quota: nil, ["--volume", "data:/vol"]))
    #expect(made.status == 0, "\(made)")
    try stand.ok("start", "v")
    #expect(disk.isFull(try disk.write("v", 40, to: "/vol/big")))
    #expect(try disk.exec("v", "/bin/busybox chattr -p 0 /vol/big").status != 0)
    #expect(try stand.ok("volume", "show", "data").contains(" of 20M"))
    #expect(try disk.write("v", 12, to: "/vol/big").status == 0)
    try stand.ok("volume", "backup", "data", "\(stand.folder)/backup.tar")
    // Until it is done there are both.
    #expect(
      try stand.refusal("volume", "restore", "data", "\(stand.folder)/backup.tar", "--force").contains("size=SIZE"))
    try stand.ok("volume", "set", "data", "size=40M")
    try stand.ok("volume", "restore", "data", "\(stand.folder)/backup.tar", "--force")
    #expect(disk.isFull(try disk.write("v", 40, to: "/vol/more")))
    try stand.ok("delete", "--force", "--yes", "v")
    try stand.ok("volume", "delete", "data")
    #expect(try disk.limits() == before)
    try stand.ok("volume", "create", "free")
    try stand.sh("echo x >place/data/.shared/volumes/free/x")
    #expect(try stand.refusal("volume", "set", "free", "size=20M").contains("was never counted"))
    try stand.ok("volume", "delete", "free")
  }

  @Test(.enabled(if: Disk.Kind.btrfs.isHere, "btrfs")) func whatCountsNothingIsNamed() throws {
    let disk = try Disk(.btrfs, counts: false)
    let outcome = try disk.stand.zonectl(disk.words("a", quota: "20M"))
    #expect(outcome.status == 1 && outcome.errors.contains("btrfs quota enable"), "\(outcome)")
    #expect(try disk.stand.ok("list", "-q") == "")
    #expect(try FileSystem.list("\(disk.stand.place)/data").filter { !$0.hasPrefix(".") } == [])
  }

  @Test(.enabled(if: Disk.Kind.ext4.isHere, "ext4 with project quotas")) func whatIsMountedWithoutIsNamed() throws {
    let disk = try Disk(.ext4, counts: false)
    let outcome = try disk.stand.zonectl(disk.words("a", quota: "20M"))
    #expect(outcome.status == 1 && outcome.errors.contains("mount it with prjquota"), "\(outcome)")
    #expect(try disk.stand.ok("list", "-q") == "")
  }

  /// Here, where the tests' folders are: in memory, or on a disk without quotas.
  @Test(arguments: [nil, "zonestest"]) func whereThereAreNoneThatIsSaid(user: String?) throws {
    let stand = try ImageStand(user: user, layouts: false)
    let refuse = { (words: [String]) throws -> Command in
      let outcome = try stand.zonectl(["create", "--quota", "20M", "--network", "none"] + words)
      #expect(outcome.status != 0 && outcome.output.isEmpty, "\(outcome)")
      return outcome
    }
    let errors = try refuse(["z", "--", "sleep", "1"]).errors
    #expect(errors.contains(user == nil ? "quotas" : "root's to give"), "\(errors)")
    #expect(try stand.ok("list", "-q") == "")
    #expect(try refuse(["--image", "dir:/usr", "z", "--", "true"]).errors.contains("is not the zone's own"))
    #expect(try refuse(["--image", "empty", "z"]).errors.contains("nothing of its own"))
    let passing = try stand.zonectl(["run", "--rm", "--quota", "20M", "--network", "none", "--", "true"])
    #expect(passing.status == 125 && passing.errors.contains("--memory"), "\(passing)")
    #expect(try refuse(["--quota", "1", "z", "--", "true"]).errors.contains("less than a page"))
  }

  /// As they were before zones had quotas: the layer beside the spec.
  @Test func aLayerOfTheOldPlaceIsMoved() throws {
    let zones = try SnapshotTests.Stand()
    try zones.write("a", "echo new >/new")
    let view = try zones.view("a")
    let data = "\(zones.data)/a"
    let move = "mv '\(data)/own/root' '\(data)/upper'; mv '\(data)/own/work' '\(data)/work'; rmdir '\(data)/own'"
    try zones.stand.sh(move)
    try zones.write("a", "test -e /new")
    #expect(try zones.view("a") == view)
    try zones.stand.sh(move)
    try zones.stand.ok("snapshot", "create", "a", "one")
    try zones.write("a", "test -e /new; rm /new")
    try zones.stand.ok("snapshot", "rollback", "a", "one")
    #expect(try zones.view("a") == view)
    #expect(try !FileSystem.list(data).contains { $0 == "upper" || $0 == "work" })
  }
}
