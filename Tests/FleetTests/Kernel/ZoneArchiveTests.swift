import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `zonectl export` and `import`: a zone with all that is its own, to somewhere else and back, and to other engines.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
struct ZoneArchiveTests {
  /// A zone that has written, with snapshots, and a volume.
  static func make(_ zones: SnapshotTests.Stand) throws {
    let stand = zones.stand
    try stand.ok("delete", "--yes", "a")
    try stand.ok(
      "create", "--image", "oci:localhost/base:v1", "--network", "none", "--volume", "data:/vol", "--env", "A=b c",
      "--stop-timeout", "7", "--label", "x=y", "a", "--", "sleep", "infinity")
    try zones.write("a", "echo one >/one; rm -r /gone; chmod 700 /dir; mkdir /gone; echo new >/gone/new; chmod 750 /")
    try stand.ok("snapshot", "create", "a", "first", "--label", "k=v")
    try zones.write("a", "rm /one /dir/1; echo 2 >/dir/2; ln /dir/2 /dir/two; echo kept >/vol/file; chmod 711 /")
    try stand.ok("snapshot", "create", "a", "second")
    try zones.write("a", "rm -r /dir/below; echo last >/last; chmod 4755 /last")
  }

  @Test(arguments: [nil, "zonestest"]) func aZoneIsItselfElsewhere(user: String?) throws {
    let zones = try SnapshotTests.Stand(user: user)
    try Self.make(zones)
    let stand = zones.stand
    let archive = "\(stand.place)/a.tar"
    var views = [try zones.view("a")]
    for name in ["first", "second"] {
      views.append(
        try zones.view("a", layers: try #require(zones.root("a").snapshots.first { $0.name == name }).layers))
    }
    try stand.ok("export", "a", archive)
    // Beside it, without what is in the volume; and where nothing is known of it, from a pipe, with all of it.
    #expect(try stand.refusal("import", archive).contains("there is a zone a already"))
    #expect(try stand.refusal("import", archive, "b").contains("there is a volume data already"))
    #expect(try stand.ok("import", "--no-volumes", archive, "b") == "b\n")
    let other = try SnapshotTests.Stand(user: user)
    try other.stand.ok("delete", "--yes", "a")
    try other.stand.ok("image", "delete", "localhost/base:v1")
    try other.stand.ok("image", "prune", "--all", "--yes", "--blobs")
    try stand.sh(
      "cp a.tar '\(other.stand.folder)/a.tar' 2>/dev/null || cp place/a.tar '\(other.stand.folder)/a.tar'; chmod 644 '\(other.stand.folder)/a.tar'"
    )
    #expect(try other.stand.ok("import", "\(other.stand.folder)/a.tar") == "a\n")
    for (place, name) in [(zones, "b"), (other, "a")] {
      #expect(try place.view(name) == views[0])
      let snapshots = try place.root(name).snapshots
      #expect(snapshots.map { $0.name } == ["first", "second"] && snapshots[0].labels == ["k": "v"])
      for (snapshot, view) in zip(snapshots, views.dropFirst()) {
        #expect(try place.view(name, layers: snapshot.layers) == view)
      }
      #expect(try place.stand.ok("diff", name).contains(" last\n"))
    }
    let shown = try other.stand.ok("show", "a", "-o", "json")
    for part in ["\"A\" : \"b c\"", "\"stopGrace\" : 7", "\"x\" : \"y\""] {
      #expect(
        shown.contains(part) || shown.contains(part.replacingOccurrences(of: " :", with: ":")), "\(part): \(shown)")
    }
    try other.write(
      "a", "test \"$(cat /vol/file)\" = kept; test \"$(cat /last)\" = last; test ! -e /one; test \"$A\" = 'b c'")
    try other.stand.ok("snapshot", "rollback", "a", "first")
    try other.write("a", "test \"$(cat /one)\" = one; test -e /dir/1; test -e /vol/file")
    // It goes on from there: out again, and its image is still known.
    try other.stand.ok("export", "--no-volumes", "a", "\(other.stand.place)/again.tar")
    #expect(try other.root("a").image == zones.root("a").image)
  }

  @Test func aRunningZoneIsOfOneMoment() throws {
    let zones = try SnapshotTests.Stand()
    try Self.make(zones)
    let stand = zones.stand
    try stand.ok("start", "a")
    let writer =
      "(i=0; while :; do i=$((i+1)); echo $i >/n.new; /bin/busybox mv /n.new /n; echo $i >/vol/n.new; /bin/busybox mv /vol/n.new /vol/n; done) </dev/null >/dev/null 2>&1 &"
    try #require(try stand.zonectl(["exec", "a", "--", "/bin/sh", "-c", writer]).status == 0)
    let outcome = try stand.zonectl(["export", "a", "\(stand.place)/a.tar"])
    #expect(outcome.status == 0 && outcome.errors.contains("a: frozen meanwhile"), "\(outcome)")
    try stand.ok("delete", "--force", "--yes", "a")
    try stand.ok("volume", "delete", "data")
    try stand.ok("import", "\(stand.place)/a.tar")
    try zones.write("a", "a=$(cat /n); b=$(cat /vol/n); test $a = $b || test $a = $((b + 1))")
  }

  @Test func aZoneThatNeverRanIsExported() throws {
    let zones = try SnapshotTests.Stand()
    let stand = zones.stand
    try stand.ok(
      "create", "--image", "oci:localhost/base:v1", "--network", "none", "--volume", "never:/vol", "--autostart", "n",
      "--",
      "sleep", "infinity")
    try stand.ok("export", "n", "\(stand.place)/n.tar")
    try stand.ok("delete", "--yes", "n")
    try stand.ok("import", "\(stand.place)/n.tar")
    #expect(try stand.ok("show", "n", "-o", "json").contains("never"))
    #expect(try stand.ok("volume", "list", "-q") == "")
  }

  // MARK: kills, failures, full disks

  /// A place with nothing but an archive of a zone beside it.
  private final class Bare {
    let zones: SnapshotTests.Stand
    let view: String
    var stand: ImageStand { zones.stand }
    var archive: String { "\(stand.folder)/a.tar" }
    var importing: [String] { [Command.orchestrator, "zonectl", "--root", stand.place, "import", archive] }

    init() throws {
      zones = try SnapshotTests.Stand()
      try ZoneArchiveTests.make(zones)
      view = try zones.view("a")
      try stand.ok("export", "a", archive)
      try stand.ok("delete", "--yes", "a")
      try stand.ok("volume", "delete", "data")
      try stand.ok("image", "delete", "localhost/base:v1")
      try stand.ok("prune", "--all", "--yes", "--blobs")
    }

    /// The zone is there, by the next try if it has to be, and is what it was; beside it is nothing.
    func check(mayBeThere: Bool, _ at: String) throws {
      var names = try stand.ok("list", "-q")
      #expect(names == "" || names == "a\n" && mayBeThere, "\(at): \(names)")
      // As of any zone whose making was stopped, that is told, and it is deleted first.
      let state = try stand.ok("list")
      if state.contains("incomplete") || state.contains("configured") {
        try stand.ok("delete", "--yes", "a")
        names = ""
      }
      if names == "" {
        // Of a volume that is there already nobody has to be told.
        let again = try stand.zonectl(["import", archive])
        try #require(again.status == 0 && again.output == "a\n", "\(at): \(again)")
      }
      #expect(try zones.view("a") == view, "\(at)")
      #expect(try zones.root("a").snapshots.map { $0.name } == ["first", "second"], "\(at)")
      try zones.write("a", "test \"$(cat /vol/file)\" = kept")
      try stand.ok("prune")
      for folder in ["unpack", "new", "trash", "fetch"] {
        #expect(try FileSystem.list("\(stand.storePath)/\(folder)").isEmpty, "\(at): \(folder)")
      }
      #expect(try FileSystem.list(Directories.standard(root: stand.place).volumes) == ["data"], "\(at)")
    }
  }

  private func walk(_ option: String, count: Int) throws {
    let bare = try Bare()
    let stand = bare.stand
    try CallWalk(stand, bare.importing).stop(option, count: count, "import") { stop in
      // Who could not say that it was done has done it all the same, and so has who was killed behind it.
      try bare.check(mayBeThere: true, stop.words)
    }
  }

  /// Killed when the volume is there, and the zone is not.
  @Test func aVolumeThatAnImportHasLeftIsItsOwn() throws {
    let bare = try Bare()
    let stand = bare.stand
    try stand.sh("cp -a place saved")
    let walk = CallWalk(stand, bare.importing)
    _ = try walk.traced()
    let calls = try walk.told()
    #if arch(arm64)
      let rename = "276"
    #else
      let rename = "316"
    #endif
    var left = 0
    for (index, call) in calls.enumerated() where CallWalk.call(call) == rename {
      try stand.sh("rm -rf place; cp -a saved place")
      _ = try walk.traced("-k", "0:\(index + 2)")
      guard try stand.ok("volume", "list", "-q") == "data\n", try stand.ok("list", "-q") == "" else { continue }
      left += 1
      try bare.check(mayBeThere: false, "\(index)")
      try stand.ok("delete", "--yes", "a")
      #expect(try stand.refusal("import", bare.archive).contains("there is a volume data already"))
    }
    #expect(left > 0)
  }

  @Test(arguments: ["-k", "-e"]) func anImportThatIsStoppedIsDoneByTheNext(_ option: String) throws {
    try walk(option, count: 6)
  }

  @Test func aFullDiskIsToldAndTheNextImportGoesOn() throws {
    let bare = try Bare()
    let stand = bare.stand
    try stand.sh("mv place saved; mkdir -m 700 place")
    defer { _ = try? Command.run("/bin/umount", [stand.place]) }
    var size = 256
    var failures = 0
    try stand.sh("mount -t tmpfs -o size=\(size)k,mode=700 tmpfs place; cp -a saved/. place")
    while true {
      let outcome = try stand.zonectl(["import", bare.archive])
      if outcome.status == 0 { break }
      failures += 1
      #expect(outcome.status == 1 && outcome.errors.contains("ENOSPC"), "\(size): \(outcome)")
      #expect(try stand.ok("list", "-q") == "")
      try #require(size < 32768)
      size += 192
      try stand.sh("mount -o remount,size=\(size)k place")
    }
    #expect(failures > 4)
    try stand.sh("mount -o remount,size=64m place")
    try bare.check(mayBeThere: true, "\(size)")
  }

  @Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 60))
  struct LongZoneImportFaultTests {
    @Test(arguments: ["-k", "-e"]) func everyCall(_ option: String) throws {
      try ZoneArchiveTests().walk(option, count: 150)
    }
  }

  // MARK: refusals

  @Test func whatIsNoZoneIsRefusedAndLeavesNothing() throws {
    let zones = try SnapshotTests.Stand()
    try Self.make(zones)
    let stand = zones.stand
    try stand.ok("export", "a", "\(stand.place)/a.tar")
    try stand.ok("image", "export", "localhost/base:v1", "\(stand.place)/image.tar")
    #expect(try stand.refusal("import", "\(stand.place)/image.tar", "x").contains("has no zone.json"))
    #expect(try stand.refusal("import", "\(stand.place)/no", "x").contains("ENOENT"))
    // Somewhere else nothing of it is known.
    let elsewhere = try SnapshotTests.Stand()
    let other = elsewhere.stand
    try other.ok("delete", "--yes", "a")
    try other.ok("image", "delete", "localhost/base:v1")
    try other.ok("image", "prune", "--all", "--yes", "--blobs")
    // Each lies about something else.
    let script = """
      import json, sys, tarfile, io
      SANDBOX = {
        'account': {'uid': 0, 'gid': 0, 'name': 'root', 'home': '/', 'shell': '/bin/sh'},
        'bare': {'home': '/var/tmp', 'scratch': '/var/tmp', 'why': 'x'}, 'places': [{'path': '/', 'access': 'writable'}],
      }
      source, target, what = sys.argv[1:4]
      old = tarfile.open(source); new = tarfile.open(target, 'w')
      for entry in old:
        data = old.extractfile(entry).read() if entry.isfile() else None
        if entry.name == 'zone.json':
          zone = json.loads(data)
          if what == 'layers': zone['now']['layers'] = [99]
          if what == 'image': zone['now']['image'] = -1
          if what == 'names': zone['snapshots'][0]['name'] = '../x'
          if what == 'volume': zone['volumes'][0]['name'] = '../../x'
          if what == 'version': zone['version'] = 99
          if what == 'spec': zone['spec']['name'] = '../x'
          if what == 'sandbox': zone['spec']['sandbox'] = SANDBOX
          if what == 'passing': zone['spec']['ephemeral'] = True
          if what == 'taken':
            zone['spec']['volumes'] = [{'source': {'volume': {'_0': 'secret'}}, 'target': '/vol', 'readOnly': False}]
            zone['volumes'] = []
          if what == 'disk': zone['volumes'][0]['disk'] = 5
          if what == 'digest': zone['volumes'][0]['files']['digest'] = 'sha256:' + '0' * 64
          data = json.dumps(zone).encode()
        if what == 'bytes' and entry.name.startswith('blobs/sha256/') and data and data[:2] == b'\\x1f\\x8b':
          data = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        entry.size = len(data) if data is not None else 0
        new.addfile(entry, io.BytesIO(data) if data is not None else None)
      new.close()
      """
    try script.write(toFile: stand.folder + "/lie.py", atomically: true, encoding: .utf8)
    let words = [
      "layers": "does not tell of", "image": "does not tell of", "names": "snapshots", "volume": "volumes",
      "version": "is of version 99", "spec": "cannot be a zone's name", "digest": "it is not in the layout",
      "bytes": "sha256", "passing": "passes", "taken": "there is a volume secret already", "disk": "a disk of 5 bytes",
    ]
    try other.ok("volume", "create", "secret")
    for (what, why) in words.sorted(by: { $0.key < $1.key }) {
      try stand.sh("python3 lie.py place/a.tar lie.tar \(what)")
      let said = try other.refusal("import", "\(stand.folder)/lie.tar")
      #expect(said.contains(why), "\(what): \(said)")
      #expect(try other.ok("list", "-q") == "" && other.ok("volume", "list", "-q") == "secret\n")
    }
    // A sandbox is its caller himself: whatever the archive says of one, there is none of it.
    try stand.sh("python3 lie.py place/a.tar lie.tar sandbox")
    #expect(try other.zonectl(["import", "\(stand.folder)/lie.tar"]).status == 1)
    #expect(try other.ok("list", "-q") == "")
    // What was brought before one of them was refused goes with prune.
    try other.ok("image", "prune", "--all", "--yes", "--blobs")
    #expect(try other.ok("import", "\(stand.place)/a.tar") == "a\n")
    // No name but the archive's own is given to what it brings.
    #expect(try other.ok("image", "list", "-q") == "")
    withExtendedLifetime(elsewhere) {}
  }
}

/// The same archive in the hands of others.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 5))
struct LongZoneArchiveTests {
  @Test func otherEnginesRunIt() throws {
    let zones = try SnapshotTests.Stand()
    try ZoneArchiveTests.make(zones)
    let stand = zones.stand
    try stand.ok(
      "set", "a", "command=/bin/sh -c 'echo $A; cat /last; ls -d /one /dir/below 2>/dev/null; true'", "user=12:34")
    try stand.ok("export", "a", "\(stand.folder)/a.tar")
    try stand.sh("skopeo copy -q oci-archive:a.tar dir:copied && test -s copied/manifest.json")
    let said = try stand.sh(
      """
      p="podman --root $PWD/graph --runroot $PWD/runroot --storage-driver vfs --cgroup-manager cgroupfs"
      $p load -q -i a.tar >/dev/null
      $p image inspect localhost/a:latest --format '{{.Config.User}} {{json .Config.Cmd}} {{json .Config.Env}}'
      c=$($p create localhost/a:latest); $p export "$c" | tar -tf - | grep -c '^last$\\|^dir/below\\|^one$'
      $p rm "$c" >/dev/null; $p unshare true 2>/dev/null || true; rm -rf graph runroot
      """, timeout: 120)
    #expect(said.hasPrefix("12:34 [\"/bin/sh\",\"-c\""), "\(said)")
    #expect(said.contains("A=b c") && said.hasSuffix("\n1\n"), "\(said)")
  }
}
