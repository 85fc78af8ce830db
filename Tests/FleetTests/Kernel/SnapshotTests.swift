import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `zonectl snapshot` and `clone`: states of roots, in constant time, and byte for byte.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
struct SnapshotTests {
  /// A place with a zone `a`, which has never run, of an image with a few files; or a sparse one.
  final class Stand {
    let stand: ImageStand
    let isSparse: Bool
    var data: String { "\(stand.place)/data" }

    init(user: String? = nil, sparse: Bool = false) throws {
      isSparse = sparse
      stand = try ImageStand(user: user, layouts: false)
      guard !sparse else {
        try create("a")
        return
      }
      try stand.sh(
        """
        mkdir -p root/bin root/dir/below root/gone root/proc root/sys root/dev root/tmp && cd root
        cp "$(command -v busybox)" bin/busybox && for name in sh sleep cat rm mkdir touch ls chmod ln mkfifo mv; do
          ln -s busybox bin/$name; done
        for n in 1 2 3 4 5 6 7 8; do printf $n >dir/$n; done; printf x >gone/x; printf y >dir/below/y; chmod 751 .
        tar -cf ../root.tar .; cd ..; rm -rf root
        """)
      try stand.ok("image", "import", "\(stand.folder)/root.tar", "localhost/base:v1")
      try create("a")
    }

    deinit {
      let names = (try? stand.zonectl(["list", "-q"]).output.split(separator: "\n").map(String.init)) ?? []
      for name in names { _ = try? stand.zonectl(["delete", "--force", "--yes", name]) }
    }

    func create(_ zone: String) throws {
      let image = isSparse ? [] : ["--image", "oci:localhost/base:v1"]
      let outcome = try stand.zonectl(["create"] + image + ["--network", "none", zone, "--", "sleep", "infinity"])
      try #require(outcome.status == 0, "\(outcome)")
    }

    /// A layer's name in the store.
    static func link(_ number: Int) -> String { String(repeating: "0", count: 6 - "\(number)".count) + "\(number)" }

    func file(_ path: String, ofLayer number: Int) -> String {
      "\(stand.storePath)/layers/\(Self.link(number))/root/\(path)"
    }

    func root(_ zone: String) throws -> RootRecord { try #require(try RootRecord.read(in: "\(data)/\(zone)")) }

    /// All that is seen of a zone's root, with content and attributes: mounted anew, in a namespace of its own.
    func view(_ zone: String, layers: [Int]? = nil) throws -> String {
      guard !isSparse else { return try lookInside(zone) }
      let names = try (layers ?? root(zone).layers).map(Self.link)
      let own = "\(data)/\(zone)/own/root"
      // Of one that was never started there may be none.
      let upper = layers == nil && FileSystem.exists(own) ? "\(own):" : ""
      let lower = upper + names.joined(separator: ":") + ":\(stand.folder)/empty"
      return try stand.sh(
        """
        mkdir -p view empty; exec unshare -m sh -ec "
        cd '\(stand.storePath)/l'; mount -t overlay o -o ro,userxattr,lowerdir=\(lower) '\(stand.folder)/view'
        cd '\(stand.folder)/view'; find . -printf '%P %y %m %U %G %T@ %l' \\( -type d -o -printf ' %s' \\) -printf '\\n' | sort
        find . -type f -exec sha256sum {} + | sort -k 2"
        """)
    }

    /// All that lasts of a sparse zone, as it sees that; what a start writes in /etc, and its time, left out.
    private func lookInside(_ zone: String) throws -> String {
      try stand.ok("start", zone)
      let all = "/home /root /srv /var /usr/local"
      let outcome = try stand.zonectl([
        "exec", zone, "--", "/bin/sh", "-ec",
        """
        find \(all) -printf '%p %y %m %U %G %T@ %l\\n' | sort
        find /etc -mindepth 1 ! -name hosts ! -name hostname ! -name resolv.conf -printf '%p %y %m %U %G %T@ %l\\n' | sort
        find \(all) /etc -type f ! -name hosts ! -name hostname ! -name resolv.conf -exec sha256sum {} + | sort -k 2
        """,
      ])
      try #require(outcome.status == 0, "\(outcome)")
      try stand.ok("halt", zone)
      return outcome.output
    }

    /// Writes in a stopped zone's layer what a zone that ran would have written.
    func write(_ zone: String, _ script: String) throws {
      try stand.ok("start", zone)
      let outcome = try stand.zonectl(["exec", zone, "--", "/bin/sh", "-ec", script])
      try #require(outcome.status == 0, "\(outcome)")
      try stand.ok("halt", zone)
    }
  }

  // MARK: snapshots

  @Test(arguments: [nil, "zonestest"]) func aZoneGoesBackToItsSnapshots(user: String?) throws {
    let zones = try Stand(user: user)
    let stand = zones.stand
    #expect(try stand.ok("snapshot", "list", "-q", "a") == "")
    try zones.write("a", "echo one >/one; rm -r /gone; chmod 700 /dir; mkdir /gone; echo new >/gone/new; chmod 750 /")
    let one = try zones.view("a")
    #expect(try stand.ok("snapshot", "create", "a") == "snap0\n")
    #expect(try zones.view("a") == one)
    try zones.write("a", "rm /one /dir/1; echo 2 >/dir/2; rm -r /gone; mkdir /new; chmod 711 /")
    let two = try zones.view("a")
    #expect(try stand.ok("snapshot", "create", "--label", "why=test", "a", "second") == "second\n")
    try zones.write("a", "echo three >/three; rm -r /dir")
    let three = try zones.view("a")
    #expect(try stand.ok("snapshot", "list", "-q", "a") == "snap0\nsecond\n")
    #expect(try stand.ok("snapshot", "list", "a").contains("why=test"))
    #expect(try stand.ok("snapshot", "list", "-o", "json", "a").contains("second"))
    try stand.ok("snapshot", "rollback", "a", "snap0")
    #expect(try zones.view("a") == one && one != two && two != three)
    try stand.ok("snapshot", "rollback", "a", "second")
    #expect(try zones.view("a") == two)
    // It starts with all of them below, and writes above.
    try zones.write("a", "test ! -e /one; test -d /new; echo 4 >/four")
    #expect(try zones.view("a") != two)
    try stand.ok("snapshot", "delete", "a", "snap0", "second")
    let after = try zones.view("a")
    try stand.ok("image", "prune")
    #expect(try zones.view("a") == after)
    #expect(try stand.ok("snapshot", "list", "-q", "a") == "")
    try stand.ok("delete", "--yes", "a")
    try stand.ok("image", "prune")
    #expect(try FileSystem.list("\(stand.storePath)/layers").count == 1)
  }

  @Test func whatCannotBeIsToldSo() throws {
    let zones = try Stand()
    let stand = zones.stand
    #expect(try stand.refusal("snapshot", "create", "b").contains("no zone"))
    #expect(try stand.refusal("snapshot", "rollback", "a", "x").contains("snapshot create a makes one"))
    try stand.ok("snapshot", "create", "a", "x")
    #expect(try stand.refusal("snapshot", "create", "a", "x").contains("has a snapshot x already"))
    #expect(try stand.refusal("snapshot", "rollback", "a", "y").contains("it has x"))
    #expect(try stand.refusal("snapshot", "delete", "a", "x", "y").contains("no snapshot y"))
    #expect(try stand.ok("snapshot", "list", "-q", "a") == "x\n")
    for (words, part) in [
      (["snapshot", "make", "a"], "not one of"), (["snapshot", "create", "a", "b", "c"], "create ZONE [NAME]"),
      (["snapshot", "create", "a", "B"], "cannot be a snapshot's name"),
      (["snapshot", "rollback", "a"], "rollback ZONE"),
      (["snapshot", "list", "a", "--label", "x=y"], "--label is of snapshot create"),
      (["snapshot", "create", "a", "--label", "x"], "KEY="),
      (["clone", "a", "a"], "a clone of itself"),
    ] {
      let outcome = try stand.zonectl(words)
      #expect(outcome.status == 2 && outcome.errors.contains(part), "\(words): \(outcome)")
    }
    try stand.ok("start", "a")
    #expect(try stand.refusal("snapshot", "rollback", "a", "x").contains("zonectl stop a"))
    try stand.sh("mkdir tree")
    try stand.ok("create", "--image", "dir:\(stand.folder)/tree", "--network", "none", "tree", "--", "/bin/true")
    #expect(try stand.refusal("snapshot", "create", "tree").contains("was not made from an image"))
    #expect(try stand.refusal("clone", "tree", "other").contains("was not made from an image"))
  }

  /// What lasts of a sparse zone is in six places, each mounted by itself from the first snapshot on.
  @Test(arguments: [nil, "zonestest"]) func aSparseZoneGoesBackToItsSnapshots(user: String?) throws {
    let zones = try Stand(user: user, sparse: true)
    let stand = zones.stand
    // A directory of the host's /etc, which is another one from then on.
    let other = "for d in /etc/*/; do test -L ${d%/} || break; done"
    try zones.write(
      "a",
      """
      echo one >/home/one; mkdir -m 700 /srv/own; chmod 750 /home; echo x >/usr/local/bin/x; ln -s x /var/lib/link
      \(other); rm -r $d; mkdir $d; echo only >$d/only; rm /etc/passwd; printf 'root:x:0:0::/root:/bin/sh\\nme:x:7:7::/home:/bin/sh\\n' >/etc/passwd
      """)
    let one = try zones.view("a")
    #expect(try stand.ok("snapshot", "create", "a") == "snap0\n")
    #expect(try zones.view("a") == one)
    try zones.write(
      "a",
      """
      test "$(cat /home/one)" = one; rm /home/one; rmdir /srv/own; echo 2 >/srv/own; chmod 711 /home; rm /var/lib/link
      \(other); rm -r $d; mkdir $d; rm /etc/passwd
      """)
    let two = try zones.view("a")
    try stand.ok("snapshot", "create", "--label", "why=test", "a", "second")
    try zones.write("a", "echo 3 >/root/three; rm -r /usr/local/bin")
    let three = try zones.view("a")
    #expect(one != two && two != three)
    #expect(try stand.ok("snapshot", "list", "a").contains("why=test"))
    try stand.ok("clone", "a@snap0", "b")
    try stand.ok("clone", "a", "c")
    try stand.ok("clone", "--as-template", "a@second", "t")
    #expect(try stand.refusal("start", "t").contains("it is a template"))
    #expect(try zones.view("b") == one && zones.view("c") == three)
    // Users are looked up in what was frozen as well.
    try stand.ok("start", "b")
    #expect(try stand.zonectl(["exec", "--user", "me", "b", "--", "id", "-u"]).output == "7\n")
    #expect(try stand.zonectl(["audit", "b"]).status == 0)
    #expect(try stand.refusal("snapshot", "create", "b").contains("it is sparse, and runs"))
    #expect(try stand.refusal("clone", "b", "d").contains("it is sparse, and runs"))
    #expect(try stand.ok("snapshot", "list", "-q", "b") == "")
    try stand.ok("halt", "b")
    try stand.ok("snapshot", "rollback", "a", "snap0")
    #expect(try zones.view("a") == one)
    try stand.ok("snapshot", "rollback", "a", "second")
    #expect(try zones.view("a") == two)
    try stand.ok("snapshot", "delete", "a", "snap0", "second")
    try stand.ok("image", "prune")
    #expect(try zones.view("a") == two && zones.view("b") == one)
    #expect(try stand.refusal("diff", "a").contains("was not made from an image"))
    for zone in ["a", "b", "c", "t"] { try stand.ok("delete", "--yes", zone) }
    try stand.ok("image", "prune")
    #expect(try FileSystem.list("\(stand.storePath)/layers").isEmpty)
  }

  /// Without a control group nothing can be frozen: a user's zone where none is delegated.
  @Test func aRunningZoneThatCannotBeFrozenIsToBeStopped() throws {
    let zones = try Stand(user: "zonestest")
    let stand = zones.stand
    try stand.ok("start", "a")
    let told = try stand.zonectl(["snapshot", "create", "a"])
    guard told.status != 0 else { return #expect(told.errors.contains("while it was frozen")) }
    for words in [["snapshot", "create", "a"], ["clone", "a", "b"], ["commit", "a", "localhost/x"]] {
      let outcome = try stand.zonectl(words)
      #expect(outcome.status == 1 && outcome.errors.contains("or stop it first"), "\(outcome)")
    }
    try stand.ok("halt", "a")
    try stand.ok("snapshot", "create", "a")
    try stand.ok("clone", "a", "b")
    try stand.ok("commit", "a", "localhost/x")
  }

  /// What it has written until then, in one moment; it goes on.
  @Test func aRunningZonesSnapshotIsOfOneMoment() throws {
    let zones = try Stand()
    let stand = zones.stand
    try stand.ok("start", "a")
    let script = """
      mkdir /n; rm -r /gone; n=0; while :; do n=$((n + 1)); echo $n >/n/first; echo $n >/n/second; done
      """
    try stand.ok("exec", "a", "--", "/bin/sh", "-c", "(\(script)) >/dev/null 2>&1 &")
    try #require(
      eventually(10) {
        (try? stand.zonectl(["exec", "a", "--", "/bin/sh", "-c", "test -s /n/second"]))?.status == 0
      })
    for name in ["one", "two", "three"] {
      let told = try stand.zonectl(["snapshot", "create", "a", name])
      #expect(
        told.status == 0 && told.errors.contains("copied") && told.errors.contains("while it was frozen"), "\(told)")
    }
    #expect(try stand.ok("list").contains("running"))
    let before = try stand.ok("exec", "a", "--", "cat", "/n/first")
    #expect(eventually(10) { (try? stand.ok("exec", "a", "--", "cat", "/n/first")) != before })
    var seen: [Int] = []
    for snapshot in try zones.root("a").snapshots {
      let read = { (name: String) throws -> Int in
        let path = zones.file("n/\(name)", ofLayer: snapshot.layers[0])
        return FileSystem.exists(path) ? Int(try FileSystem.readLine(path)) ?? 0 : 0
      }
      // Between the two writes at the most; a file that is being written is empty.
      let (first, second) = (try read("first"), try read("second"))
      #expect(
        first == second || first == second + 1 || first == 0 || second == 0, "\(snapshot.name): \(first), \(second)")
      seen.append(max(first, second))
    }
    #expect(seen == seen.sorted())
    try stand.ok("halt", "a")
    let now = try zones.view("a")
    try stand.ok("snapshot", "rollback", "a", "two")
    #expect(try zones.view("a") != now)
    try zones.write("a", "test -e /n/first; test ! -e /gone")
    #expect(FileSystem.exists(zones.file("n/second", ofLayer: try zones.root("a").layers[0])))
  }

  @Test func aChainIsGoneBackToByteForByte() throws { try chain(20) }

  /// So many snapshots, and back to each.
  private func chain(_ count: Int) throws {
    let zones = try Stand()
    let stand = zones.stand
    var random = Random(state: 5)
    var views: [String] = []
    var scripts: [String] = []
    for number in 0..<count {
      let names = (0..<4).map { _ in "\(Int.random(in: 0..<9, using: &random))" }
      scripts.append(
        """
        echo \(number) >/dir/\(names[0]); rm -rf /dir/\(names[1]) /d\(names[2]); mkdir -p /d\(names[3])
        echo \(number) >/d\(names[3])/\(names[0]); chmod \(number % 2 == 0 ? 755 : 750) /
        """)
    }
    for (number, script) in scripts.enumerated() {
      // Ten of them by the zone itself, the others as its kernel would write them.
      if number % 10 == 0 {
        try zones.write("a", script)
      } else {
        try mounted(zones, script)
      }
      views.append(try zones.view("a"))
      try stand.ok("snapshot", "create", "a", "s\(number)")
    }
    #expect(Set(views).count > count * 8 / 10)
    try stand.ok("image", "prune")
    for number in (0..<count).shuffled(using: &random) {
      try stand.ok("snapshot", "rollback", "a", "s\(number)")
      #expect(try zones.view("a") == views[number], "s\(number)")
    }
    try zones.write("a", "test -d /dir; echo x >/last")
    try stand.ok("image", "prune")
    #expect(try zones.root("a").snapshots.count == count)
  }

  /// Runs a script in a stopped zone's root, mounted as a start mounts it but without its ids.
  private func mounted(_ zones: Stand, _ script: String) throws {
    let names = try zones.root("a").layers.map(Stand.link)
    let own = "\(zones.data)/a/own"
    try zones.stand.ok("diff", "a")  // makes a layer that nobody has wanted yet
    try zones.stand.sh(
      """
      mkdir -p view '\(own)/work'; exec unshare -m sh -ec "
      cd '\(zones.stand.storePath)/l'
      mount -t overlay o -o userxattr,lowerdir=\(names.joined(separator: ":")),upperdir='\(own)/root',workdir='\(own)/work' '\(zones.stand.folder)/view'
      exec chroot '\(zones.stand.folder)/view' /bin/sh -ec '\(script)'"
      """)
  }

  // MARK: folding

  /// Each with what the ones before it have made: names that come back as something else, folders that hide what was there.
  private static let changes = [
    "mkdir /n; echo 1 >/n/one; echo 1 >/dir/1; rm -r /gone; ln /n/one /n/same; ln -s one /n/link; mkfifo /n/pipe",
    "rm /n/one /dir/2; mkdir /n/deep; echo 2 >/n/deep/x; echo 2 >/gone; chmod 700 /dir/below",
    "rm /gone; mkdir /gone; echo 3 >/gone/z; rm -r /dir/below; mkdir /dir/below; rm /n/deep/x",
    "rm -r /n; mkdir /n; echo 4 >/n/four; rm /gone/z; echo 4 >/dir/below/new; chmod 711 /",
    "rm -r /dir; echo 5 >/dir; mv /n /m; touch /m/x; ln /m/four /m/five",
    "rm /dir; mkdir /dir; echo 6 >/dir/1; rm -r /gone /m/x; ln -s / /gone",
    "rm /dir/1 /gone; mkdir -p /gone/a/b; echo 7 >/gone/a/b/c; echo 7 >>/m/four",
    "rm -r /gone/a; mv /dir /gone/dir; mkdir /dir; echo 8 >/dir/8",
  ]

  @Test(arguments: [nil, "zonestest"]) func betweenSnapshotsLayersAreFolded(user: String?) throws {
    let zones = try Stand(user: user)
    let stand = zones.stand
    var views: [String] = []
    for (number, change) in Self.changes.enumerated() {
      try zones.write("a", change)
      if number == 5, user == nil {
        try stand.sh(
          "cd '\(zones.data)/a/own/root' && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"listens\")'"
        )
      }
      views.append(try zones.view("a"))
      try stand.ok("snapshot", "create", "a", "s\(number)")
    }
    try #require(Set(views).count == views.count)
    let folders = { try FileSystem.list("\(stand.storePath)/layers").count }
    let before = try folders()
    #expect(!(try stand.ok("image", "prune").contains("folded")))
    // A clone has what it has: its layers stay what they are.
    try stand.ok("clone", "a@s1", "b")
    for gone in ["s0", "s2", "s3", "s5", "s6"] { try stand.ok("snapshot", "delete", "a", gone) }
    #expect(try stand.ok("image", "prune", "--dry-run").contains("folded    a: layers"))
    #expect(try folders() == before)
    // Of the uppermost, which is the lower one's file under another name.
    let inode = { () throws -> UInt64 in
      let path = try zones.file("dir/8", ofLayer: zones.root("a").layers[0])
      return try #require(try FileFacts.at(path)).inode
    }
    let file = try inode()
    let told = try stand.ok("image", "prune")
    #expect(try inode() == file)
    #expect(told.split(separator: "\n").filter { $0.hasPrefix("folded    a: layers") }.count == 2, "\(told)")
    #expect(try folders() == before - 4)
    #expect(try zones.view("a") == views[7])
    #expect(!(try stand.ok("image", "prune").contains("folded")))
    // Of its two nobody else has any more, and the lower one is what a folded one lies on.
    try stand.ok("delete", "--yes", "b")
    #expect(try stand.ok("image", "prune").contains("folded"))
    for kept in [1, 7, 4] {
      try stand.ok("snapshot", "rollback", "a", "s\(kept)")
      #expect(try zones.view("a") == views[kept], "s\(kept)")
    }
    try zones.write("a", "echo more >/more")
    try stand.ok("snapshot", "rollback", "a", "s7")
    for gone in ["s1", "s4", "s7"] { try stand.ok("snapshot", "delete", "a", gone) }
    try stand.ok("image", "prune")
    // Its image's, and one.
    #expect(try folders() == 2)
    #expect(try zones.view("a") == views[7])
    try zones.write("a", "test \"$(cat /dir/8)\" = 8")
  }

  /// What was deleted of an image is not there in the next one: a mark of it, folded, would be seen where nothing is hidden.
  @Test func whatARebaseLeftBehindIsNotSeen() throws {
    let zones = try Stand()
    let stand = zones.stand
    try stand.sh(
      """
      mkdir -p root/bin root/proc root/sys root/dev root/tmp && cd root && cp "$(command -v busybox)" bin/busybox
      for name in sh sleep ls rm; do ln -s busybox bin/$name; done; tar -cf ../next.tar .; cd ..; rm -rf root
      """)
    try stand.ok("image", "import", "\(stand.folder)/next.tar", "localhost/next:v1")
    try zones.write("a", "rm /dir/1")
    try stand.ok("snapshot", "create", "a", "s0")
    try zones.write("a", "touch /dir/c")
    try stand.ok("snapshot", "create", "a", "s1")
    try stand.ok("rebase", "--force", "a", "localhost/next:v1")
    for snapshot in try zones.root("a").snapshots { try stand.ok("snapshot", "delete", "a", snapshot.name) }
    #expect(try stand.ok("image", "prune").contains("folded    a: layers"))
    try zones.write("a", "test \"$(ls /dir)\" = c; rm -r /dir")
  }

  /// Those of a zone that lives are mounted, one by one.
  @Test func aLivingZonesLayersAreLeftAlone() throws {
    let zones = try Stand()
    let stand = zones.stand
    for name in ["one", "two"] {
      try zones.write("a", "echo \(name) >/\(name)")
      try stand.ok("snapshot", "create", "a", name)
    }
    try stand.ok("snapshot", "delete", "a", "one")
    try stand.ok("start", "a")
    #expect(!(try stand.ok("image", "prune").contains("folded")))
    try stand.ok("exec", "a", "--", "/bin/sh", "-ec", "cat /one /two; rm /one")
    try stand.ok("halt", "a")
    #expect(try stand.ok("image", "prune").contains("folded"))
    try zones.write("a", "test ! -e /one; test -e /two")
    try stand.ok("snapshot", "rollback", "a", "two")
    try zones.write("a", "test -e /one; test -e /two")
  }

  /// What the root's own directory has lies in the zone's layer, of which each snapshot makes a new one.
  @Test func theTopKeepsItsAttributes() throws {
    let zones = try Stand()
    let stand = zones.stand
    let python = { (script: String) throws -> String in
      try stand.sh("cd '\(zones.data)/a' && python3 -c 'import os; \(script)'")
    }
    try stand.ok("diff", "a")  // makes a layer that nobody has wanted yet
    _ = try python(#"os.setxattr("own/root", "user.x", b"y"); os.setxattr("own/root", "user.overlay.z", b"n")"#)
    try zones.write("a", "chmod 711 /")
    try stand.ok("snapshot", "create", "a", "one")
    try stand.ok("diff", "a")
    #expect(try python(#"print(os.listxattr("own/root"), os.getxattr("own/root", "user.x"))"#) == "['user.x'] b'y'\n")
    try stand.ok("snapshot", "rollback", "a", "one")
    try stand.ok("diff", "a")
    #expect(try python(#"print(os.listxattr("own/root"))"#) == "['user.x']\n")
    try stand.ok("clone", "a@one", "b")
    try stand.ok("diff", "b")
    #expect(try python(#"print(os.listxattr("../b/own/root"))"#) == "['user.x']\n")
    // That alone is something that was written.
    _ = try python(#"os.setxattr("own/root", "user.x", b"z")"#)
    try stand.ok("clone", "a", "c")
    try stand.ok("diff", "c")
    #expect(try python(#"print(os.getxattr("../c/own/root", "user.x"))"#) == "b'z'\n")
  }

  /// What zones have frozen nobody has counted when it was frozen.
  @Test func whatIsFrozenTakesRoom() throws {
    let zones = try Stand()
    let stand = zones.stand
    let row = { (kind: String) throws -> String in
      try stand.ok("df").split(separator: "\n").first { $0.hasPrefix(kind) }.map(String.init) ?? ""
    }
    try zones.write("a", "cat /bin/busybox >/big")
    try stand.ok("snapshot", "create", "a", "one")
    let snapshots = try row("snapshot")
    #expect(snapshots.contains("M"), "\(snapshots)")
    try stand.ok("delete", "--yes", "a")
    #expect(try stand.ok("image", "prune", "--dry-run").contains("M"))
  }

  // MARK: clones

  @Test(arguments: [nil, "zonestest"]) func aCloneIsAsTheOtherWasAndGoesItsOwnWay(user: String?) throws {
    let zones = try Stand(user: user)
    let stand = zones.stand
    // Nothing was written: nothing is frozen.
    #expect(try stand.ok("clone", "a", "b") == "b\n")
    #expect(try zones.root("b").layers == zones.root("a").layers)
    #expect(try zones.view("b") == zones.view("a"))
    try zones.write("a", "echo a >/mine; rm -r /gone; chmod 711 /")
    try stand.ok("snapshot", "create", "a", "x")
    try zones.write("a", "echo later >/later")
    try stand.ok("clone", "a@x", "c")
    try stand.ok("clone", "a", "d", "--as-template")
    #expect(try zones.view("d") == zones.view("a"))
    try zones.write("c", "test ! -e /later; test -e /mine; echo c >/c")
    #expect(try stand.refusal("start", "d").contains("it is a template (zonectl clone d NEW)"))
    try stand.ok("clone", "d", "e")
    try zones.write("e", "test -e /later; rm /mine")
    try zones.write("a", "test -e /mine; test ! -e /c")
    // What one has frozen, others have too; each goes by itself.
    try stand.ok("delete", "--yes", "a")
    try stand.ok("image", "prune")
    try zones.write("e", "test -e /later; test ! -e /mine")
    try zones.write("c", "test -e /c; test -e /mine")
    #expect(try stand.refusal("clone", "c", "e").contains("there is a zone 'e' already"))
    #expect(try stand.refusal("clone", "c@nothing", "f").contains("no snapshot nothing"))
    let listed = try stand.ok("list", "-q").split(separator: "\n")
    #expect(listed == ["b", "c", "d", "e"])
    for name in listed { try stand.ok("delete", "--yes", String(name)) }
    try stand.ok("image", "prune")
    #expect(try FileSystem.list("\(stand.storePath)/layers").count == 1)
  }

  @Test func aCloneOfARunningZoneIsOfOneMoment() throws {
    let zones = try Stand()
    let stand = zones.stand
    try stand.ok("start", "a")
    try stand.ok("exec", "a", "--", "/bin/sh", "-ec", "echo x >/x; rm -r /gone")
    try stand.ok("clone", "a", "b")
    try stand.ok("exec", "a", "--", "/bin/sh", "-ec", "echo y >/y")
    try zones.write("b", "test -e /x; test ! -e /gone; test ! -e /y")
    try stand.ok("pause", "a")
    try stand.ok("clone", "a", "c")
    #expect(try stand.ok("list").contains("frozen"))
    try stand.ok("resume", "a")
    try zones.write("c", "test -e /y")
  }

  // MARK: kills and failures

  /// What is done, at whose Nth call something happens.
  enum Verb: String, CaseIterable, CustomStringConvertible {
    case create, rollback, clone
    /// The first to want the layer, of those that have it made.
    case diff
    /// With layers to fold.
    case prune
    var description: String { rawValue }

    var words: [String] {
      switch self {
      case .create: ["snapshot", "create", "a", "new"]
      case .rollback: ["snapshot", "rollback", "a", "old"]
      case .clone: ["clone", "a", "b"]
      case .diff: ["diff", "a"]
      case .prune: ["image", "prune"]
      }
    }

    /// Which program does it when people type it.
    var program: [String] { self == .clone ? [Command.zonectl] : [Command.orchestrator, "zonectl"] }
  }

  /// A zone `a` as it is before the verb.
  /// - Returns: how it looks at its snapshot `old`, and now.
  private func prepare(_ verb: Verb, _ zones: Stand) throws -> (old: String, before: String) {
    let stand = zones.stand
    try zones.write("a", zones.isSparse ? "echo one >/home/one" : "echo one >/one; rm -r /gone")
    try stand.ok("snapshot", "create", "a", "old")
    let old = try zones.view("a")
    try zones.write(
      "a", zones.isSparse ? "echo two >/srv/two; rm /home/one; chmod 700 /home" : "echo two >/two; rm /one; chmod 700 /"
    )
    if verb == .diff || verb == .prune { try stand.ok("snapshot", "create", "a", "now") }
    if verb == .prune {
      try zones.write("a", "rm /two; mkdir /two /gone; touch /gone/later")
      try stand.ok("snapshot", "create", "a", "last")
    }
    let before = try zones.view("a")
    if verb == .prune { try stand.ok("snapshot", "delete", "a", "now") }
    return (old, before)
  }

  /// The place as it is before the verb, copied back before each try.
  private func walk(_ verb: Verb, _ option: String, count: Int, sparse: Bool = false) throws {
    let zones = try Stand(sparse: sparse)
    let stand = zones.stand
    let (old, before) = try prepare(verb, zones)
    let walk = CallWalk(stand, verb.program + ["--root", stand.place] + verb.words)
    try walk.stop(option, count: count, "\(verb)") { stop in
      let isDone = option == "-e" && stop.outcome.status == 0
      try check(verb, zones, old: old, before: before, isDone: isDone, stop.words)
    }
  }

  /// Nothing that is needed goes, and the zone starts, whatever was done of the verb; what was not is done by the next try.
  private func check(_ verb: Verb, _ zones: Stand, old: String, before: String, isDone: Bool, _ at: String) throws {
    let stand = zones.stand
    try stand.ok("image", "prune")
    try stand.ok("start", "a")
    try stand.ok("halt", "a")
    let now = try zones.view("a")
    let names = try zones.root("a").snapshots.map { $0.name }
    switch verb {
    case .create:
      #expect(now == before, "\(at)")
      #expect(names == ["old"] && !isDone || names == ["old", "new"], "\(at): \(names)")
      if names.count == 1 { try stand.ok("snapshot", "create", "a", "new") }
      try stand.ok("snapshot", "rollback", "a", "new")
      #expect(try zones.view("a") == before, "\(at)")
    case .rollback:
      #expect(now == old || now == before && !isDone, "\(at)")
      try stand.ok("snapshot", "rollback", "a", "old")
      #expect(try zones.view("a") == old, "\(at)")
    case .clone:
      #expect(now == before, "\(at)")
      let listed = try stand.ok("list", "-q").split(separator: "\n")
      if listed.contains("b") { try stand.ok("delete", "--force", "--yes", "b") }
      try stand.ok("clone", "a", "b")
      #expect(try zones.view("b") == before, "\(at)")
    case .diff: #expect(now == before, "\(at)")
    case .prune:
      #expect(now == before && names == ["old", "last"], "\(at)")
      #expect(try FileSystem.list("\(stand.storePath)/layers").count == 3, "\(at)")
      try stand.ok("snapshot", "rollback", "a", "old")
      #expect(try zones.view("a") == old, "\(at)")
    }
    try stand.ok("image", "prune")
    for folder in ["unpack", "new", "trash", "fetch"] {
      #expect(try FileSystem.list("\(stand.storePath)/\(folder)").isEmpty, "\(at): \(folder)")
    }
  }

  @Test(arguments: Verb.allCases) func whatIsKilledIsDoneOrNot(_ verb: Verb) throws {
    try walk(verb, "-k", count: 5)
  }

  @Test(arguments: Verb.allCases) func whatFailsIsDoneOrNot(_ verb: Verb) throws {
    try walk(verb, "-e", count: 4)
  }

  /// With more and more room for what it writes: folders take none on a tmpfs.
  @Test(arguments: Verb.allCases.filter { $0 != .diff }) func aFullDiskLeavesWhatThereWas(_ verb: Verb) throws {
    let zones = try Stand()
    let stand = zones.stand
    let (old, before) = try prepare(verb, zones)
    try stand.sh("mv place saved; mkdir -m 700 place")
    defer { _ = try? Command.run("/bin/umount", [stand.place]) }
    var failures = 0
    for pages in [0, 1, 2, 3, 5, 8, 12, 20, 40] {
      // What is left of it is written in the last pages there are.
      try stand.sh(
        """
        mount -t tmpfs -o size=64m,mode=700 tmpfs place; cp -a saved/. place
        free=$(stat -f -c %f place); dd if=/dev/zero of=place/fill bs=4096 count=$((free - \(pages))) 2>/dev/null
        test "$(stat -f -c %f place)" = \(pages)
        """)
      let outcome = try stand.zonectl(verb.words)
      if outcome.status != 0 {
        failures += 1
        #expect(outcome.status == 1 && outcome.errors.contains("ENOSPC"), "\(verb) \(pages): \(outcome)")
      }
      try stand.sh("rm place/fill")
      try check(verb, zones, old: old, before: before, isDone: outcome.status == 0, "\(verb) \(pages): \(outcome)")
      try stand.sh("umount place")
    }
    // What prune cannot fold it tells, and does the rest.
    #expect(verb == .prune ? failures == 0 : failures > 0 && failures < 9)
  }

  /// The first is another step: its folders are laid out as a layer's.
  @Test(arguments: ["-k", "-e"]) func aSparseZonesFirstSnapshotIsMadeOrNot(_ option: String) throws {
    try walkFirst(option, count: 5)
  }

  private func walkFirst(_ option: String, count: Int) throws {
    let zones = try Stand(sparse: true)
    let stand = zones.stand
    try zones.write("a", "echo one >/home/one; rm /etc/passwd")
    let before = try zones.view("a")
    let create = [Command.orchestrator, "zonectl", "--root", stand.place, "snapshot", "create", "a", "new"]
    try CallWalk(stand, create).stop(option, count: count, "create") { stop in
      try stand.ok("image", "prune")
      #expect(try zones.view("a") == before, "\(stop.words)")
      let names = try stand.ok("snapshot", "list", "-q", "a")
      #expect(
        names == "new\n" || names == "" && (option == "-k" || stop.outcome.status != 0), "\(stop.words): \(names)")
      if names == "" { try stand.ok("snapshot", "create", "a", "new") }
      try zones.write("a", "echo more >/home/more")
      try stand.ok("snapshot", "rollback", "a", "new")
      #expect(try zones.view("a") == before, "\(stop.words)")
    }
  }

  @Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 60))
  struct LongSnapshotFaultTests {
    @Test(arguments: ["-k", "-e"]) func everyCallOfASparseZonesFirst(_ option: String) throws {
      try SnapshotTests().walkFirst(option, count: 100)
    }

    @Test(arguments: [Verb.create, .rollback, .clone], ["-k", "-e"]) func everyCallOfASparseZone(
      _ verb: Verb, _ option: String
    ) throws {
      try SnapshotTests().walk(verb, option, count: 60, sparse: true)
    }

    @Test func aChainOfAHundred() throws { try SnapshotTests().chain(100) }

    /// As many layers as can be mounted, and one more: those that nobody goes back to become one.
    @Test func aChainToItsEndIsFolded() throws {
      let zones = try Stand()
      let stand = zones.stand
      try zones.write("a", "echo one >/one")
      try stand.ok("snapshot", "create", "a", "first")
      while try zones.root("a").layers.count < RootRecord.mostLayers - 1 {
        try stand.ok("snapshot", "create", "a", "next")
        try stand.ok("snapshot", "delete", "a", "next")
      }
      try zones.write("a", "test -e /one; echo two >/two")
      #expect(try stand.refusal("clone", "a", "b").contains("its root has 498 layers"))
      let told = try stand.zonectl(["snapshot", "create", "a", "last"])
      #expect(told.status == 0 && told.errors.contains("folded 498 layers into 3"), "\(told)")
      #expect(try zones.root("a").layers.count == 4)
      try zones.write("a", "test -e /one; test -e /two")
    }

    @Test(arguments: Verb.allCases, ["-k", "-e"]) func everyCall(_ verb: Verb, _ option: String) throws {
      try SnapshotTests().walk(verb, option, count: 400)
    }
  }
}
