import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// Images that others made, through a zone and back to others: buildah, skopeo, Debian's registry, podman.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 20))
struct LongExchangeTests {
  /// Every file of a folder, a line each; devices are left out here, and `.` by who compares.
  private static let list = """
    import os, sys, hashlib, stat
    os.chdir(sys.argv[1]); first = {}
    for top, folders, files in os.walk(b'.'):
      for name in sorted(folders + files) + ([b'.'] if top == b'.' else []):
        path = os.path.normpath(os.path.join(top, name)); s = os.lstat(path)
        if stat.S_ISCHR(s.st_mode) or stat.S_ISBLK(s.st_mode): continue
        isFile = stat.S_ISREG(s.st_mode)
        link = first.setdefault(s.st_ino, path) if s.st_nlink > 1 and not stat.S_ISDIR(s.st_mode) else b''
        data = hashlib.sha256(open(path, 'rb').read()).hexdigest() if isFile else ''
        text = os.readlink(path) if os.path.islink(path) else b''
        notes = [(n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(os.listxattr(path, follow_symlinks=False))]
        print(path, oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns, s.st_size if isFile else '', link != b'', data, text, notes)
    """

  /// A place with a registry of Debian's, and images of three kinds in it, which skopeo has pushed.
  private final class Place {
    let stand: ImageStand
    let registry: RealRegistry
    let group = "zones-test-exchange-\(getpid())"
    var buildah: String { "buildah --root \(stand.folder)/b --runroot \(stand.folder)/br --storage-driver vfs" }
    var podman: String {
      "podman --root \(stand.folder)/p --runroot \(stand.folder)/pr --storage-driver vfs --events-backend none --cgroup-manager=cgroupfs --runtime \(stand.folder)/zone-oci"
    }

    init() throws {
      stand = try ImageStand(layouts: false)
      registry = try RealRegistry(stand)
      try stand.sh("cp '\(Command.zonectl)' zone-oci")
      try LongExchangeTests.list.write(toFile: "\(stand.folder)/list.py", atomically: true, encoding: .utf8)
    }

    deinit {
      let names = (try? stand.zonectl(["list", "-q"]).output.split(separator: "\n").map(String.init)) ?? []
      for name in names { _ = try? stand.zonectl(["delete", "--force", "--yes", name]) }
      _ = try? stand.sh(
        """
        \(podman) image umount -a >/dev/null 2>&1 || true; \(podman) rm -af >/dev/null 2>&1 || true
        find /sys/fs/cgroup -depth -type d -path '*/\(group)*' -exec rmdir {} + 2>/dev/null || true
        """)
    }

    func name(_ image: String) -> String { "\(registry.authority)/\(image)" }

    func push(_ image: String) throws {
      try stand.sh(
        """
        skopeo copy -q --insecure-policy --dest-tls-verify=false \
          'containers-storage:[vfs@\(stand.folder)/b+\(stand.folder)/br]localhost/\(image)' docker://\(name(image))
        """, timeout: 300)
    }

    /// What podman has of an image, and what a zone of it sees.
    func both(_ image: String, of zone: String) throws -> (podmans: [String], ours: [String]) {
      let root = try #require(try RootRecord.read(in: "\(stand.place)/data/\(zone)"))
      let store = try stand.store()
      let own = "\(stand.place)/data/\(zone)/own/root"
      // Of one that was never started there may be none; an overlay without an upper layer wants two.
      let names = (FileSystem.exists(own) ? [own] : []) + root.layers.map(store.mountLink) + ["\(stand.folder)/empty"]
      let layers = names.joined(separator: ":")
      let text = try stand.sh(
        """
        \(podman) pull -q --tls-verify=false \(name(image)) >/dev/null; mkdir -p view empty
        python3 list.py "$(\(podman) image mount \(name(image)))" | sort >podmans
        unshare -m sh -ec "cd '\(store.mountLinks)'
          mount -t overlay o -o ro,userxattr,lowerdir=\(layers) '\(stand.folder)/view'
          python3 '\(stand.folder)/list.py' '\(stand.folder)/view'" | sort >ours
        cat podmans; echo --; cat ours
        """, timeout: 300)
      let halves = text.components(separatedBy: "--\n").map { half in
        // Of the root itself podman makes what it likes.
        half.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("b'.' ") }
      }
      return (halves[0], halves[1])
    }

    func expectSame(_ image: String, _ zone: String, least: Int) throws {
      let (podmans, ours) = try both(image, of: zone)
      #expect(podmans.count > least)
      let (missing, more) = (Set(podmans).subtracting(ours), Set(ours).subtracting(podmans))
      #expect(missing.isEmpty && more.isEmpty, "podman: \(missing.sorted().prefix(8)), we: \(more.sorted().prefix(8))")
    }
  }

  /// Pulled, run, changed, committed, pushed, and pulled and run by podman: of each file all that an image can say.
  private func goRound(_ place: Place, _ image: String, _ script: String, least: Int, _ tells: (String, String)) throws
  {
    let stand = place.stand
    try place.push(image)
    let name = place.name(image)
    try stand.ok("create", "--image", "oci:\(name)", "--network", "none", "a", "--", "sleep", "infinity")
    try place.expectSame(image, "a", least: least)
    try stand.ok("start", "a")
    let outcome = try stand.zonectl(["exec", "a", "--", "/bin/sh", "-ec", script])
    try #require(outcome.status == 0, "\(outcome)")
    try stand.ok("stop", "a")
    let made = "made/\(image)"
    try stand.ok("commit", "a", place.name(made))
    try stand.ok("image", "push", place.name(made))
    try stand.ok("create", "--image", "oci:\(place.name(made))", "--network", "none", "b", "--", "sleep", "infinity")
    try place.expectSame(made, "b", least: least)
    // The base's own blobs were there, and are what they were.
    let said = try stand.sh(
      """
      \(place.podman) run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 \
        --cgroup-parent /\(place.group) \(place.name(made)) /bin/sh -c '\(tells.0)'
      """)
    #expect(said == tells.1)
    try stand.ok("delete", "--yes", "a", "b")
    try stand.ok("image", "prune", "--all", "--yes")
    #expect(try FileSystem.list("\(stand.storePath)/layers").isEmpty)
  }

  private static let changing = """
    mkdir -p /opt/x; cp /bin/busybox /opt/x/l 2>/dev/null || cp /bin/ls /opt/x/l; ln /opt/x/l /opt/x/m; chmod 6755 /opt/x/l
    ln -s ../nowhere /opt/x/s; mkfifo /opt/x/p; chown 1234:5678 /opt/x/p; touch -d '2021-01-01 00:00:00' /opt/x
    head -c 5000000 /dev/zero >/opt/x/zeros; printf x >>/etc/group; rm -rf /usr/share/man /etc/passwd-; chmod 1777 /srv /opt
    """

  @Test func anImageOfBusybox() throws {
    let place = try Place()
    try place.stand.sh(
      """
      mkdir -p r/bin r/etc r/tmp r/srv r/opt r/usr/share/man/x; cp "$(command -v busybox)" r/bin/busybox
      for name in $(r/bin/busybox --list); do [ $name = busybox ] || ln -s busybox r/bin/$name; done
      echo root:x:0:0::/:/bin/sh >r/etc/passwd; echo root:x:0: >r/etc/group; chmod 1777 r/tmp
      c=$(\(place.buildah) from scratch); \(place.buildah) add -q $c r / >/dev/null
      \(place.buildah) commit -q --format oci $c localhost/busybox:1 >/dev/null
      """, timeout: 300)
    try goRound(
      place, "busybox:1", Self.changing, least: 200, ("ls /opt/x | wc -l; stat -c %a:%u /opt/x/l", "5\n6755:0\n")
    )
  }

  /// Layers that delete, replace and close what is below, with attributes and capabilities, as Docker's second format.
  @Test func anImageOfManyLayers() throws {
    let place = try Place()
    try place.stand.sh(
      """
      mkdir -p r/bin r/etc r/srv r/opt r/usr/share/man r/d/e r/gone r/closed; cp "$(command -v busybox)" r/bin/busybox
      for name in $(r/bin/busybox --list); do [ $name = busybox ] || ln -s busybox r/bin/$name; done
      echo root:x:0:0::/:/bin/sh >r/etc/passwd; echo root:x:0: >r/etc/group
      for f in r/d/e/1 r/d/2 r/gone/x r/closed/y; do echo $f >$f; done; cp r/bin/busybox r/d/capable
      setcap cap_net_raw+ep r/d/capable; python3 -c 'import os; os.setxattr("r/d/2", "user.note", bytes(range(9)))'
      c=$(\(place.buildah) from scratch); \(place.buildah) add -q $c r / >/dev/null; m=$(\(place.buildah) mount $c)
      cp -a r/d/capable $m/d/capable; cp -a --preserve=all r/d/2 $m/d/2
      \(place.buildah) umount $c >/dev/null; \(place.buildah) commit -q --format docker $c localhost/many:0 >/dev/null
      for n in 1 2 3 4 5 6 7 8; do
        c=$(\(place.buildah) from localhost/many:$((n - 1))); m=$(\(place.buildah) mount $c)
        case $n in
          1) rm -r $m/gone; echo 1 >$m/d/new ;;
          2) rm -r $m/closed; mkdir $m/closed; echo 2 >$m/closed/z ;;
          3) mkdir $m/gone; ln $m/d/new $m/gone/hard; chmod 700 $m/d ;;
          4) rm $m/d/2; mkdir $m/d/2; echo 4 >$m/d/2/x ;;
          5) rm -r $m/d/2; ln -s e $m/d/2; touch -h -d 2020-02-02 $m/d/2 ;;
          6) chown -R 70:80 $m/d/e; chmod 2755 $m/d/e ;;
          7) echo 7 >>$m/gone/hard; mkfifo $m/pipe ;;
          8) rm -r $m/d/e; mkdir -p $m/d/e/f; touch -d 2001-01-01 $m/d/e/f $m/d/e ;;
        esac
        \(place.buildah) umount $c >/dev/null; \(place.buildah) commit -q --format docker $c localhost/many:$n >/dev/null
      done
      """, timeout: 300)
    try goRound(
      place, "many:8", Self.changing + "\nrm -r /d/e; mkdir /d/e; echo last >/d/e/last", least: 200,
      ("cat /d/e/last; readlink /d/2; cat /gone/hard", "last\ne\n1\n7\n"))
  }

  @Test(.enabled(if: FileSystem.exists("/etc/apt/sources.list.d/debian.sources"), "its sources are this machine's"))
  func aDebianRootIsMadeForAZone() throws {
    let place = try Place()
    let outcome = try place.stand.zonectl(
      ["run", "--rm", "--image", "debootstrap:bookworm", "--network", "none", "--", "cat", "/etc/debian_version"],
      timeout: 600)
    #expect(outcome.status == 0 && outcome.output.hasPrefix("12."), "\(outcome)")
    // The one of today is taken.
    let again = try place.stand.zonectl(
      ["create", "--image", "debootstrap:bookworm", "--network", "none", "a", "--", "cat", "/etc/debian_version"],
      timeout: 20)
    #expect(again.status == 0, "\(again)")
  }

  @Test(.enabled(if: FileSystem.exists("/etc/apt/sources.list.d/debian.sources"), "its sources are this machine's"))
  func aDebianRoot() throws {
    let place = try Place()
    try place.stand.sh(
      """
      mmdebstrap --quiet --variant=minbase bookworm root.tar /etc/apt/sources.list.d/debian.sources
      c=$(\(place.buildah) from scratch); \(place.buildah) add -q $c root.tar / >/dev/null; rm root.tar
      \(place.buildah) config --cmd /bin/bash $c; \(place.buildah) commit -q --format oci $c localhost/debian:1 >/dev/null
      """, timeout: 600)
    try goRound(
      place, "debian:1", Self.changing + "\nuseradd -m me; dpkg --remove --force-all mount >/dev/null 2>&1",
      least: 5000,
      ("id -un me; dpkg -s mount 2>/dev/null | wc -l; stat -c %a:%h /opt/x/l", "me\n0\n6755:2\n"))
  }
}
