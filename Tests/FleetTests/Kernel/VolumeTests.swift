import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `zonectl volume`: directories and disks, what they are told as, and the way out and back, also while zones write.
@Suite(.serialized, .enabled(if: geteuid() == 0, "loop devices and files of others are root's"), .ends(within: 5))
struct VolumeTests {
  /// A place with an image of busybox, and zones of it that have volumes.
  private final class Place {
    let zones: SnapshotTests.Stand
    var stand: ImageStand { zones.stand }

    init(user: String? = nil) throws { zones = try SnapshotTests.Stand(user: user) }

    func create(_ zone: String, _ volumes: [String]) throws {
      let words =
        ["create", "--image", "oci:localhost/base:v1", "--network", "none"] + volumes.flatMap { ["--volume", $0] }
        + [zone, "--", "sleep", "infinity"]
      let outcome = try stand.zonectl(words)
      try #require(outcome.status == 0, "\(outcome)")
    }

    @discardableResult
    func exec(_ zone: String, _ script: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
      let outcome = try stand.zonectl(["exec", zone, "--", "/bin/sh", "-ec", script])
      try #require(outcome.status == 0, "\(outcome)", sourceLocation: sourceLocation)
      return outcome.output
    }

    /// All that a zone sees of a folder.
    func view(_ zone: String, _ folder: String) throws -> String {
      try exec(
        zone,
        """
        cd \(folder); for f in $(/bin/busybox find . | /bin/busybox sort); do
          /bin/busybox stat -c '%n %F %a %u %g %h %Y' $f; [ ! -f $f ] || /bin/busybox sha256sum $f; [ ! -L $f ] || /bin/busybox readlink $f
        done
        """)
    }

    var loops: Set<String> {
      Set(
        ((try? FileManager.default.contentsOfDirectory(atPath: "/sys/block")) ?? []).filter {
          (try? String(contentsOfFile: "/sys/block/\($0)/loop/backing_file", encoding: .utf8))?.hasPrefix(stand.place)
            == true
        })
    }
  }

  private static let fill = """
    cd /vol; mkdir -p d/e; echo one >d/one; ln d/one d/e/two; ln -s ../one d/e/link; chmod 4751 d/one; chown 33:44 d/e
    /bin/busybox mkfifo fifo; /bin/busybox touch -d 2001-02-03 d; chmod 1777 .; : >empty
    /bin/busybox dd if=/dev/urandom of=random bs=4096 count=50 2>/dev/null
    """

  @Test(arguments: [nil, "zonestest"]) func aBackupIsTheVolumeAgain(user: String?) throws {
    let place = try Place(user: user)
    let stand = place.stand
    try place.create("v", ["data:/vol"])
    try stand.ok("start", "v")
    try place.exec("v", Self.fill)
    let before = try place.view("v", "/vol")
    let file = "\(stand.place)/backup.tar"
    // Who has no control group of his own cannot freeze.
    let isHeld = user == nil
    if !isHeld { try stand.ok("stop", "v") }
    for how in ["none", "gzip", "zstd"] {
      try stand.ok("volume", "backup", "data", file, "--compress", how)
      // Into one that is not there yet.
      try stand.ok("volume", "restore", "again-\(how)", file)
    }
    try place.create("w", ["again-none:/vol", "again-gzip:/gz", "again-zstd:/zst:ro"])
    try stand.ok("start", "w")
    for folder in ["/vol", "/gz", "/zst"] { #expect(try place.view("w", folder) == before) }
    // In the place of what is there, while the zone that has it runs and holds a file open.
    if !isHeld { try stand.ok("start", "v") }
    try place.exec("v", "cd /vol; rm -r d; echo other >other; chmod 700 .")
    if !isHeld { try stand.ok("stop", "v") }
    #expect(try stand.refusal("volume", "restore", "data", file).contains("--force"))
    try stand.ok("volume", "restore", "data", file, "--force")
    if !isHeld { try stand.ok("start", "v") }
    #expect(try place.view("v", "/vol") == before)
    try place.exec("v", "echo more >/vol/more")
    try stand.ok("delete", "--force", "--yes", "v", "w")
    for name in ["data", "again-none", "again-gzip", "again-zstd"] { try stand.ok("volume", "delete", name) }
    #expect(try stand.ok("volume", "list", "-q") == "")
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(stand.place)/data/.shared/volumes") == [])
  }

  @Test func aDiskIsAVolumeOfItsOwnSize() throws {
    let place = try Place()
    let stand = place.stand
    try stand.ok("volume", "create", "disk", "--file", "--size", "32M", "--label", "a=b")
    for (name, mount) in [("one", "disk:/vol"), ("two", "disk:/shared"), ("three", "disk:/vol:ro")] {
      try place.create(name, [mount])
      try stand.ok("start", name)
    }
    #expect(place.loops.count == 1)
    try place.exec("one", Self.fill)
    #expect(try place.view("two", "/shared") == place.view("one", "/vol"))
    #expect(try place.view("three", "/vol") == place.view("one", "/vol"))
    let said = try place.exec("one", "/bin/busybox dd if=/dev/zero of=/vol/large bs=65536 2>&1 || true")
    #expect(said.contains("No space left on device"), "\(said)")
    #expect(try stand.zonectl(["exec", "three", "--", "touch", "/vol/x"]).status != 0)
    try place.exec("two", "rm /shared/large")
    #expect(try stand.ok("audit", "one").contains("as planned"))
    // Out, and into a disk in the place of what is there, while three zones have it.
    let before = try place.view("one", "/vol")
    let file = "\(stand.place)/backup.tar.zst"
    try stand.ok("volume", "backup", "disk", file, "--compress", "zstd")
    try place.exec("one", "cd /vol; rm -r d random; echo other >other")
    try stand.ok("volume", "restore", "disk", file, "--force")
    #expect(try place.view("one", "/vol") == before)
    #expect(try place.view("two", "/shared") == before)
    let shown = try stand.ok("volume", "show", "disk", "-o", "json")
    for part in ["\"kind\": \"file\"", "\"size\": 33554432", "\"a\": \"b\"", "\"one\""] {
      #expect(shown.contains(part))
    }
    #expect(try stand.refusal("volume", "delete", "disk").contains("zone one has it"))
    // With the last zone the device goes, and what was written is there in the next.
    try stand.ok("stop", "one", "two", "three")
    try stand.ok("start", "three")
    #expect(try place.view("three", "/vol") == before)
    try stand.ok("delete", "--force", "--yes", "one", "two", "three")
    #expect(eventually(10) { place.loops.isEmpty })
    try stand.ok("volume", "delete", "disk")
    for folder in ["volumes", "volume-records"] {
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(stand.place)/data/.shared/\(folder)") == [])
    }
  }

  /// What is as large as the disk goes back where no zone has it; in a zone's disk there has to be room for both.
  @Test func aFullDiskIsRestored() throws {
    let place = try Place()
    let stand = place.stand
    try stand.ok("volume", "create", "disk", "--file", "--size", "32M")
    try place.create("v", ["disk:/vol"])
    try stand.ok("start", "v")
    // Names of ours are nobody's: what a zone calls so stays.
    try place.exec(
      "v",
      "cd /vol; /bin/busybox dd if=/dev/urandom of=large bs=1048576 count=18 2>/dev/null; echo kept >.zones.probe; ln .zones.probe .zones.new"
    )
    let before = try place.view("v", "/vol")
    let file = "\(stand.place)/backup.tar"
    try stand.ok("volume", "backup", "disk", file)
    #expect(try place.view("v", "/vol") == before)
    try place.exec("v", "echo other >/vol/other")
    #expect(try stand.refusal("volume", "restore", "disk", file, "--force").contains("room for both"))
    #expect(
      try place.exec("v", "cat /vol/other; ls -A /vol") == "other\n.zones.new\n.zones.probe\nlarge\nlost+found\nother\n"
    )
    try stand.ok("stop", "v")
    try stand.ok("volume", "restore", "disk", file, "--force")
    try stand.ok("start", "v")
    #expect(try place.view("v", "/vol") == before)
  }

  /// A zone has what it was started with, whatever its settings say since.
  @Test func aLiveZonesVolumeIsInUse() throws {
    let place = try Place()
    let stand = place.stand
    try place.create("v", ["data:/vol"])
    try stand.ok("start", "v")
    try place.exec("v", "echo kept >/vol/kept")
    try stand.ok("set", "v", "volume=")
    #expect(try stand.refusal("volume", "delete", "data").contains("zone v has it"))
    let outcome = try stand.zonectl(["volume", "backup", "data", "\(stand.place)/b.tar"])
    #expect(outcome.status == 0 && outcome.errors.contains("1 zone was frozen"), "\(outcome)")
    #expect(try place.exec("v", "cat /vol/kept") == "kept\n")
    try stand.ok("stop", "v")
    try stand.ok("volume", "delete", "data")
  }

  /// Whatever the place was called: the kernel tells of a file by a path of its own.
  @Test(arguments: ["link", "place/"]) func aLiveZonesVolumeIsInUseByEachNameOfThePlace(_ name: String) throws {
    let place = try Place()
    let stand = place.stand
    try stand.sh("ln -s place link")
    let ctl = { (words: [String]) throws -> Command in
      try Command.run(Command.zonectl, ["--root", "\(stand.folder)/\(name)"] + words)
    }
    let ok = { (words: [String]) throws in
      let outcome = try ctl(words)
      try #require(outcome.status == 0, "\(words): \(outcome)")
    }
    try ok(["volume", "create", "disk", "--file", "--size", "32M"])
    let volumes = ["--volume", "disk:/vol", "--volume", "data:/data"]
    try ok(
      ["create", "--image", "oci:localhost/base:v1", "--network", "none"] + volumes + ["v", "--", "sleep", "infinity"])
    try ok(["start", "v"])
    defer { _ = try? ctl(["delete", "--force", "--yes", "v"]) }
    #expect(try ctl(["audit", "v"]).output.contains("as planned"))
    try ok(["set", "v", "volume="])
    for volume in ["disk", "data"] {
      let outcome = try ctl(["volume", "backup", volume, "\(stand.folder)/b.tar"])
      #expect(outcome.status == 0 && outcome.errors.contains("1 zone was frozen"), "\(outcome)")
      let refused = try ctl(["volume", "delete", volume])
      #expect(refused.status == 1 && refused.errors.contains("zone v has it"), "\(refused)")
    }
  }

  /// Who backs a volume up is not disturbed by who does so too, nor by who would thaw the zone.
  @Test func backupsDoNotThawEachOthersZones() throws {
    let place = try Place()
    let stand = place.stand
    try place.create("v", ["data:/vol"])
    try stand.ok("start", "v")
    try place.exec(
      "v", "/bin/busybox dd if=/dev/urandom of=/vol/m bs=1048576 count=60 2>/dev/null; echo 0 >/vol/a; echo 0 >/vol/z")
    try place.exec(
      "v",
      "(i=0; while :; do i=$((i+1)); echo $i >/vol/a.new; /bin/busybox mv /vol/a.new /vol/a; echo $i >/vol/z.new; /bin/busybox mv /vol/z.new /vol/z; done) </dev/null >/dev/null 2>&1 &"
    )
    try stand.sh(
      """
      z="'\(Command.zonectl)' --root '\(stand.place)'"
      eval "$z volume backup data one.tar" & one=$!; eval "$z volume backup data two.tar" & two=$!
      for i in 1 2 3 4 5 6 7 8; do eval "$z resume v" 2>/dev/null || true; done
      wait $one; wait $two
      """)
    for file in ["one.tar", "two.tar"] {
      let told = try stand.sh("for n in a z; do tar -xOf \(file) ./$n 2>/dev/null || tar -xOf \(file) $n; done")
      let numbers = told.split(separator: "\n").compactMap { Int($0) }
      #expect(numbers.count == 2 && (numbers[0] == numbers[1] || numbers[0] == numbers[1] + 1), "\(file): \(told)")
    }
  }

  /// Two files of which one was written later than the other are there both, or the later alone is missing.
  @Test func aBackupIsOfOneMoment() throws {
    let place = try Place()
    let stand = place.stand
    try place.create("v", ["data:/vol"])
    try stand.ok("start", "v")
    try place.exec(
      "v", "/bin/busybox dd if=/dev/urandom of=/vol/m bs=1048576 count=40 2>/dev/null; echo 0 >/vol/a; echo 0 >/vol/z")
    let writer =
      "(i=0; while :; do i=$((i+1)); echo $i >/vol/a.new; mv /vol/a.new /vol/a; echo $i >/vol/z.new; mv /vol/z.new /vol/z; done) </dev/null >/dev/null 2>&1 &"
    try place.exec("v", writer.replacingOccurrences(of: "mv ", with: "/bin/busybox mv "))
    for turn in 0..<5 {
      let outcome = try stand.zonectl(["volume", "backup", "data", "\(stand.place)/b.tar"])
      try #require(outcome.status == 0, "\(outcome)")
      #expect(outcome.errors.contains("1 zone was frozen"), "\(outcome)")
      let told = try stand.sh(
        "for n in a z; do tar -xOf '\(stand.place)/b.tar' ./$n 2>/dev/null || tar -xOf '\(stand.place)/b.tar' $n; done")
      let numbers = told.split(separator: "\n").compactMap { Int($0) }
      #expect(numbers.count == 2 && (numbers[0] == numbers[1] || numbers[0] == numbers[1] + 1), "turn \(turn): \(told)")
    }
    // It goes on.
    let first = try place.exec("v", "cat /vol/a")
    let deadline = Date().addingTimeInterval(10)
    while try place.exec("v", "cat /vol/a") == first, Date() < deadline { usleep(20_000) }
    #expect(try place.exec("v", "cat /vol/a") != first)
  }

  /// Two files of two subvolumes have one inode number, and are two.
  @Test(.enabled(if: QuotaTests.Disk.Kind.btrfs.isHere, "btrfs")) func filesOfSubvolumesAreTheirOwn() throws {
    let disk = try QuotaTests.Disk(.btrfs, counts: false)
    let stand = disk.stand
    try stand.ok("volume", "create", "data")
    try stand.sh(
      """
      cd place/data/.shared/volumes/data
      for s in one two; do btrfs subvolume create $s >/dev/null; echo $s >$s/file; ln $s/file $s/again; done
      test "$(stat -c %i one/file)" = "$(stat -c %i two/file)"
      """)
    try stand.ok("volume", "backup", "data", "\(stand.folder)/b.tar")
    try stand.ok("volume", "restore", "again", "\(stand.folder)/b.tar")
    let told = try stand.sh(
      "cd place/data/.shared/volumes/again; cat one/file one/again two/file two/again; stat -c %h one/file two/again")
    #expect(told == "one\none\ntwo\ntwo\n2\n2\n")
  }

  /// A zone's volume in another one of it: the directory that it is on is not taken from under it.
  @Test(arguments: ["", ":ro"]) func whatIsMountedInAVolumeIsNotTornOff(_ how: String) throws {
    let place = try Place()
    let stand = place.stand
    try place.create("v", ["html:/www", "up:/www/a/data"])
    try stand.ok("start", "v")
    try place.exec("v", "echo page >/www/page; echo one >/www/a/data/one")
    try place.create("w", ["html:/www\(how)", "up:/www/a/data"])
    try stand.ok("start", "w")
    try stand.ok("stop", "v")
    let (html, up) = ("\(stand.place)/html.tar", "\(stand.place)/up.tar")
    try stand.ok("volume", "backup", "html", html)
    try stand.ok("volume", "backup", "up", up)
    let why = try stand.refusal("volume", "restore", "html", html, "--force")
    #expect(why.contains("zone w has /www/a/data mounted in it"), "\(why)")
    #expect(try place.exec("w", "cat /www/page /www/a/data/one") == "page\none\n")
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(stand.place)/data/.shared/volumes")
    #expect(left.sorted() == ["html", "up"])
    // The one that is mounted there is nobody's way.
    try place.exec("w", "echo two >/www/a/data/two")
    try stand.ok("volume", "restore", "up", up, "--force")
    #expect(try place.exec("w", "ls /www/a/data") == "one\n")
    try stand.ok("stop", "w")
    try stand.ok("volume", "restore", "html", html, "--force")
    try stand.ok("start", "w")
    #expect(try place.exec("w", "cat /www/page /www/a/data/one") == "page\none\n")
  }

  /// Who reads the archive from a pipe may take his time.
  @Test(arguments: [false, true]) func nobodyIsFrozenForWhoReadsAPipe(isDisk: Bool) throws {
    let place = try Place()
    let stand = place.stand
    if isDisk { try stand.ok("volume", "create", "data", "--file", "--size", "32M") }
    try place.create("v", ["data:/vol"])
    try stand.ok("start", "v")
    try place.exec("v", Self.fill)
    // More than a pipe has room for; the zone writes, and another is started with the volume, before any of it was read.
    try place.create("w", ["data:/vol"])
    let sums = try stand.sh(
      """
      z="'\(Command.zonectl)' --root '\(stand.place)'"
      mkfifo pipe; eval "$z volume backup data pipe" 2>said & one=$!
      exec 3<pipe
      timeout \(30 * patience) sh -c "until grep -q '1 zone was frozen' said; do :; done"
      eval "timeout \(10 * patience) $z exec v -- touch /vol/later"
      \(isDisk ? "eval \"timeout \(10 * patience) $z start w\"" : "")
      cat <&3 >b.tar; wait $one
      tar -tf b.tar >names; grep -q random names; if grep -q later names; then exit 1; fi
      tar -xOf b.tar random | sha256sum
      """)
    #expect(try place.exec("v", "/bin/busybox sha256sum </vol/random") == sums)
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(stand.place)/data/.shared/volumes")
    #expect(left == ["data"])
  }

  /// To end a zone is possible at any time, and takes the moment from who reads what it has: he fails, and keeps nothing.
  @Test func whoIsEndedWhileHeHasToStandStillIsToldOf() throws {
    let place = try Place()
    let stand = place.stand
    try place.create("v", ["data:/vol"])
    let zones = Zones(try Directories.standard(root: stand.place))
    for isPaused in [false, true] {
      try stand.ok("start", "v")
      if isPaused { try stand.ok("pause", "v") }
      try zones.hold("v") { #expect((try? zones.status("v"))?.state == .frozen) }
      #expect(try zones.status("v").state == (isPaused ? .frozen : .running))
      #expect {
        try zones.hold("v") { _ = try? stand.zonectl(["halt", "v"]) }
      } throws: { error in
        "\(error)".contains("was ended while it was to stand still")
      }
      #expect(try zones.status("v").state == .installed)
    }
    // Nobody is frozen who is on his way out: it would be killed before it has saved what it has.
    let words = ["create", "--image", "oci:localhost/base:v1", "--network", "none", "--volume", "data:/vol", "w", "--"]
    let slow = "trap '' TERM; echo >/ready; while :; do sleep 1; done"
    try #require(stand.zonectl(words + ["sh", "-c", slow]).status == 0)
    try stand.ok("start", "w")
    try #require(eventually(10) { (try? stand.zonectl(["exec", "w", "--", "cat", "/ready"]))?.status == 0 })
    let stop = try SideProcess(Command.zonectl, ["--root", stand.place, "stop", "--timeout", "600", "w"])
    defer { withExtendedLifetime(stop) {} }
    try #require(eventually(10) { (try? zones.status("w"))?.state == .shuttingDown })
    for words in [["volume", "backup", "data", "\(stand.place)/b.tar"], ["snapshot", "create", "w"]] {
      let outcome = try stand.zonectl(words)
      #expect(outcome.status == 1 && outcome.errors.contains("zone w is shutting down"), "\(outcome)")
    }
    #expect(try zones.status("w").state == .shuttingDown)
    try stand.ok("halt", "w")
    #expect(!FileSystem.exists("\(stand.place)/b.tar"))
  }

  /// What takes long to read: all of it is a hole. It is ended while it is read: one that is asked to end between the
  /// freezer and the reader's look at it is told of as shutting down.
  @Test(arguments: ["volume backup disk b.tar --compress gzip", "commit v localhost/x", "export v b.tar"])
  func whatIsReadOfAZoneThatWasEndedIsNotKept(_ words: String) throws {
    let place = try Place()
    let stand = place.stand
    try stand.ok("volume", "create", "disk", "--file", "--size", "32M")
    try place.create("v", ["disk:/vol"])
    try stand.ok("start", "v")
    let large = words.hasPrefix("volume") ? "/vol/large" : "/large"
    try place.exec("v", "/bin/busybox truncate -s 1G \(large)")
    let said = try stand.sh(
      """
      z="'\(Command.zonectl)' --root '\(stand.place)'"
      eval "$z \(words)" 2>said & one=$!
      until eval "$z list" | grep -q frozen; do kill -0 $one; done
      until ls -l /proc/[0-9]*/fd 2>&1 | grep -q '/large$'; do kill -0 $one; done
      eval "$z halt v"
      if wait $one; then exit 1; fi; cat said
      """)
    #expect(said.contains("zone v was ended while it was to stand still"), "\(said)")
    #expect(!FileSystem.exists("\(stand.folder)/b.tar"))
    #expect(try !stand.ok("image", "list", "-q").contains("localhost/x"))
    // Once more, of what is at rest.
    try stand.ok("start", "v")
    try place.exec("v", "rm \(large)")
    try stand.ok("halt", "v")
    try stand.sh("'\(Command.zonectl)' --root '\(stand.place)' \(words)")
  }

  /// Killed anywhere on the way, the same restore again ends it; nothing is left beside.
  @Test(arguments: [false, true]) func aRestoreThatWasKilledIsDoneAgain(isDisk: Bool) throws {
    let place = try Place()
    let stand = place.stand
    if isDisk { try stand.ok("volume", "create", "data", "--file", "--size", "48M") }
    try place.create("v", ["data:/vol"])
    try stand.ok("start", "v")
    try place.exec("v", Self.fill)
    let before = try place.view("v", "/vol")
    let file = "\(stand.place)/backup.tar"
    try stand.ok("volume", "backup", "data", file)
    for turn in 1...14 {
      try place.exec("v", "cd /vol; rm -r d; echo other >other-\(turn); chmod 700 .")
      // As long as one takes, and less.
      try stand.sh(
        "timeout -s KILL \(Double(turn) * 0.012) '\(Command.zonectl)' --root '\(stand.place)' volume restore data '\(file)' --force || true"
      )
      // Nobody stays frozen.
      #expect(
        eventually(10) {
          (try? stand.zonectl(["exec", "v", "--", "/bin/sh", "-c", "echo lives"]))?.output == "lives\n"
        })
      try stand.ok("volume", "restore", "data", file, "--force")
      let now = try place.view("v", "/vol")
      #expect(now == before, "turn \(turn): \(now) and not \(before)")
      let left = try FileManager.default.contentsOfDirectory(atPath: "\(stand.place)/data/.shared/volumes")
      #expect(left == ["data"], "turn \(turn): \(left)")
    }
    try stand.ok("delete", "--force", "--yes", "v")
    #expect(eventually(10) { place.loops.isEmpty })
  }

  @Test func whatCannotBeIsRefusedByName() throws {
    let place = try Place()
    let stand = place.stand
    try stand.ok("volume", "create", "data")
    let cases: [([String], Int32, String)] = [
      (["create", "data"], 1, "there is a volume data already"), (["create", "A"], 2, "cannot be a volume's name"),
      (["create", "x", "--file"], 2, "--file wants --size"),
      (["create", "x", "--size", "1G"], 1, "--file makes it a disk"),
      (["create", "x", "--file", "--size", "1M"], 2, "is no size from"),
      (["delete", "no"], 1, "there is no volume no"),
      (["create", "x", "--file", "--size", "400T"], 1, "fallocate"), (["show", "../x"], 1, "there is no volume"),
      (["backup", "data", "\(stand.place)/no/x"], 1, "No such file"),
      (["list", "--file"], 2, "--file is of volume create"),
      (["restore", "data", "\(stand.place)/no"], 1, "no such file"), (["what"], 2, "is not one of"),
    ]
    for (words, status, part) in cases {
      let outcome = try stand.zonectl(["volume"] + words)
      #expect(
        outcome.status == status && outcome.errors.lowercased().contains(part.lowercased()), "\(words): \(outcome)")
    }
    // What is no backup leaves all as it is.
    try stand.sh(
      "echo x >'\(stand.place)/data/.shared/volumes/data/kept'; head -c 3000 /dev/urandom >'\(stand.place)/bad.tar'")
    let hostile = "\(stand.place)/hostile.tar"
    try stand.sh("mkdir t; echo evil >t/x; tar -cPf '\(hostile)' --transform 's,^t/x,../../../../evil,' t/x; rm -r t")
    for file in ["\(stand.place)/bad.tar", hostile] {
      _ = try stand.refusal("volume", "restore", "data", file, "--force")
      #expect(try stand.sh("cd '\(stand.place)/data/.shared/volumes'; ls -A . data") == ".:\ndata\n\ndata:\nkept\n")
      _ = try stand.refusal("volume", "restore", "new", file)
      #expect(try stand.ok("volume", "list", "-q") == "data\n")
    }
  }

  @Test func aUserHasNoDisks() throws {
    let place = try Place(user: "zonestest")
    let why = try place.stand.refusal("volume", "create", "disk", "--file", "--size", "32M")
    #expect(why.contains("only root may mount it"))
    #expect(try place.stand.ok("volume", "list", "-q") == "")
  }
}
