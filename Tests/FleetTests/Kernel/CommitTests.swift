import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `zonectl diff` and `zonectl commit`: what a zone has written of its image, told and made an image of.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
struct CommitTests {
  /// A root of busybox's, with something of each kind to be changed.
  private func base(_ stand: ImageStand) throws {
    try stand.sh(
      """
      mkdir -p root/bin root/etc root/dir/below root/closed root/gone root/proc root/sys root/dev root/tmp && cd root
      cp "$(command -v busybox)" bin/busybox && for name in $(bin/busybox --list); do
        [ $name = busybox ] || ln -s busybox bin/$name; done
      printf 'root:x:0:0::/:/bin/sh\\n' >etc/passwd; printf old >kept; printf old >changed; printf x >gone/below
      printf x >dir/below/one; printf y >dir/two; printf z >closed/hidden; ln kept hard; ln -s kept link
      printf x >becomes-folder; mkdir becomes-file; printf x >mode; printf x >owner; printf x >touched; chown 7:8 owner
      touch -d '2020-01-01 UTC' kept changed mode owner touched dir/two; chmod 751 .
      tar -cf ../root.tar . && cd .. && rm -rf root
      """)
    try stand.ok("image", "import", "\(stand.folder)/root.tar", "localhost/base:v1")
  }

  private static let changing = """
    echo new >/changed; rm -r /gone; rm /dir/two; rm -r /closed; mkdir /closed; echo open >/closed/seen
    rm /becomes-folder; mkdir -p /becomes-folder/in; rmdir /becomes-file; echo file >/becomes-file
    chmod 4711 /mode; chown 1234:65535 /owner; touch -d '2021-02-03 04:05:06' /touched; mkdir -p /new/deep; mkfifo /new/pipe
    echo one >/new/a; ln /new/a /new/deep/b; ln -s ../nowhere /new/link; ln -s x "$(printf '/new/odd\\nname')"
    dd if=/dev/zero of=/new/sparse bs=1 count=1 seek=5000000 2>/dev/null; touch /dir; chmod 700 /new; touch -d '2001-01-01' /new
    """

  /// Every file of the zone's root, as it is seen inside.
  private func seen(_ stand: ImageStand, _ zone: String) throws -> [String] {
    let look = """
      cd /; find . -xdev ! -path ./proc ! -path ./sys ! -path ./dev ! -path './etc/resolv.conf' ! -path './etc/hosts' \
        ! -path ./etc/hostname -exec stat -c '%N %f %u %g %h %s %Y' {} + | sed 's/ [0-9]* [0-9]* [0-9]*$/&/'
      find . -xdev -type f ! -path './etc/*' -exec sha256sum {} +
      """
    let outcome = try stand.zonectl(["exec", zone, "--", "/bin/sh", "-c", look])
    try #require(outcome.status == 0, "\(outcome)")
    return outcome.output.split(separator: "\n").map(String.init)
      // A directory's links and size are its file system's.
      .map { line in
        let words = line.split(separator: " ")
        guard words.count > 6, words[words.count - 6].hasPrefix("4") else { return line }
        return (words[..<(words.count - 3)] + [words[words.count - 1]]).joined(separator: " ")
      }.sorted()
  }

  private func start(_ stand: ImageStand, _ zone: String, of image: String) throws {
    try stand.ok("create", "--image", "oci:\(image)", "--network", "none", zone, "--", "/bin/sleep", "infinity")
    try stand.ok("start", zone)
  }

  private func change(_ stand: ImageStand, _ zone: String) throws {
    let outcome = try stand.zonectl(["exec", zone, "--", "/bin/sh", "-ec", Self.changing])
    try #require(outcome.status == 0, "\(outcome)")
  }

  private func withZones(_ user: String? = nil, _ body: (ImageStand) throws -> Void) throws {
    let stand = try ImageStand(user: user, layouts: false)
    try base(stand)
    defer {
      let names = (try? stand.zonectl(["list", "-q"]).output.split(separator: "\n").map(String.init)) ?? []
      for name in names { _ = try? stand.zonectl(["delete", "--force", "--yes", name]) }
    }
    try body(stand)
  }

  @Test(arguments: [nil, "zonestest"]) func aZonesChangesAreTold(user: String?) throws {
    try withZones(user) { stand in
      try start(stand, "a", of: "localhost/base:v1")
      #expect(try stand.ok("diff", "a") == "")
      try change(stand, "a")
      let rows = try stand.ok("diff", "a").split(separator: "\n").dropFirst().map { line in
        line.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
      }
      let expected = [
        "T 1>- becomes-file", "A 5 becomes-file", "M 3>4 changed", "D 1 closed/hidden", "A 5 closed/seen",
        "D 1 dir/two",
        "D - gone", "m 1 mode", "m 1 owner", "t 1 touched", "A - new", "A 4 new/a", "A - new/deep", "A 4 new/deep/b",
        "A - new/link", "A 5000001 new/sparse", "A - new/pipe",
      ]
      for row in expected.dropFirst() where row != "A 5 becomes-file" { #expect(rows.contains(row), "\(row): \(rows)") }
      #expect(rows.contains { $0.hasPrefix("T ") && $0.hasSuffix(" becomes-folder") }, "\(rows)")
      #expect(rows.contains { $0.hasPrefix("T ") && $0.hasSuffix(" becomes-file") }, "\(rows)")
      #expect(!rows.contains { $0.hasSuffix(" kept") || $0.hasSuffix(" hard") || $0.contains(" bin") }, "\(rows)")
      let json = try stand.ok("diff", "a", "-o", "json")
      #expect(json.contains(#""owner" : "1234:65535""#) || json.contains(#""owner": "1234:65535""#), "\(json)")
      #expect(try stand.ok("diff", "a", "-o", "wide").contains("7:8>1234:65535"))
      try stand.ok("create", "--network", "none", "b", "--", "/bin/true")
      #expect(try stand.refusal("diff", "b").contains("was not made from an image"))
      #expect(try stand.refusal("diff", "c").contains("no zone"))
    }
  }

  /// Also what lies in the layers of snapshots; of a snapshot, forwards and back.
  @Test(arguments: [nil, "zonestest"]) func changesAreToldSinceImageAndSnapshot(user: String?) throws {
    try withZones(user) { stand in
      try start(stand, "a", of: "localhost/base:v1")
      let rows = { (zone: String) throws -> [String] in
        try stand.ok("diff", zone).split(separator: "\n").dropFirst().map { line in
          line.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }
      }
      let write = { (script: String, snapshot: String) throws in
        let outcome = try stand.zonectl(["exec", "a", "--", "/bin/sh", "-ec", script])
        try #require(outcome.status == 0, "\(outcome)")
        try stand.ok("halt", "a")
        try stand.ok("snapshot", "create", "a", snapshot)
        try stand.ok("start", "a")
      }
      try change(stand, "a")
      let whole = try rows("a")
      try stand.ok("halt", "a")
      try stand.ok("snapshot", "create", "a", "one")
      #expect(try rows("a") == whole)
      #expect(try rows("a@one") == [])
      try stand.ok("start", "a")
      // Hidden and shown again, made and gone again, a link that becomes a folder.
      try write("rm -r /new /closed; mkdir /closed; rm /link; mkdir /link; echo x >/link/x; echo o >/once", "two")
      try write("rm /once; echo back >/kept; chmod 755 /", "three")
      let since = try rows("a@one")
      for row in ["D - new", "D 5 closed/seen", "A 2 link/x", "M 3>5 kept", "m - ."] {
        #expect(since.contains(row), "\(row): \(since)")
      }
      #expect(since.contains { $0.hasPrefix("T ") && $0.hasSuffix(" link") }, "\(since)")
      #expect(!since.contains { $0.hasSuffix("once") || $0.hasPrefix("D") && $0.contains("new/") }, "\(since)")
      let all = try rows("a")
      for row in ["D 1 closed/hidden", "D - gone", "M 3>5 kept", "M 3>4 changed", "A 2 link/x"] {
        #expect(all.contains(row), "\(row): \(all)")
      }
      #expect(!all.contains { $0.hasSuffix("new") || $0.hasSuffix("seen") || $0.hasSuffix("once") }, "\(all)")
      // Back, and forwards from there.
      try stand.ok("halt", "a")
      try stand.ok("snapshot", "rollback", "a", "one")
      #expect(try rows("a") == whole)
      let later = try rows("a@three")
      for row in ["A - new", "A 5 closed/seen", "D 2 link/x", "M 5>3 kept"] where row != "D 2 link/x" {
        #expect(later.contains(row), "\(row): \(later)")
      }
      #expect(try stand.refusal("diff", "a@none").contains("has no snapshot none"))
    }
  }

  @Test(arguments: [nil, "zonestest"]) func whatIsCommittedIsSeenAgain(user: String?) throws {
    try withZones(user) { stand in
      try start(stand, "a", of: "localhost/base:v1")
      try change(stand, "a")
      let before = try seen(stand, "a")
      // A user's zone may have no control group, and cannot be frozen then.
      if user != nil { try stand.ok("stop", "a") }
      let told = try stand.ok("commit", "a", "localhost/made:v1", "--message", "why", "--author", "me")
      #expect(told.hasPrefix("localhost/made:v1@sha256:"))
      if user == nil {
        #expect(try seen(stand, "a") == before)
        #expect(try stand.ok("list").contains("running"))
        try stand.ok("stop", "a")
      }
      try start(stand, "b", of: "localhost/made:v1")
      #expect(try seen(stand, "b") == before)
      #expect(try stand.ok("diff", "b") == "")
      // Of the same files the same layer, also of a zone that does not run.
      for (how, name) in [("gzip", "v2"), ("zstd", "v3"), ("none", "v4")] {
        try stand.ok("commit", "a", "localhost/made:\(name)", "--compress", how)
        try start(stand, "c\(name)", of: "localhost/made:\(name)")
        #expect(try seen(stand, "c\(name)") == before)
      }
      if user == nil {
        let store = try stand.store()
        let images = try ["v1", "v2", "v3", "v4"].map {
          try #require(try store.resolve(ImageReference(parsing: "localhost/made:\($0)")))
        }
        #expect(Set(images.map { $0.layers[0].diff }).count == 1 && Set(images.map { $0.layers[0].number }).count == 1)
        #expect(images[0].layers[0].blob == images[1].layers[0].blob)
        #expect(Set(images.map { $0.layers[0].mediaType }).count == 3)
        let step = try #require(images[0].history.last)
        #expect(step.command == "zonectl commit a" && step.comment == "why" && step.hasLayer)
      }
      // The second zone's own layer on top of the first's.
      try stand.ok("exec", "b", "--", "/bin/sh", "-ec", "rm -r /new/deep; echo b >/b")
      let second = try seen(stand, "b")
      if user != nil { try stand.ok("stop", "b") }
      try stand.ok("commit", "b", "localhost/made:second")
      try start(stand, "d", of: "localhost/made:second")
      #expect(try seen(stand, "d") == second)
    }
  }

  /// A root in an archive is made an image of first, once.
  @Test func aZoneOfAnArchiveIsOneOfAnImage() throws {
    try withZones { stand in
      try stand.sh("gzip -k root.tar")
      let words = ["create", "--image", "tar:\(stand.folder)/root.tar", "--network", "none"]
      for zone in ["a", "b"] {
        let outcome = try stand.zonectl(words + [zone, "--", "/bin/cat", "/kept"])
        try #require(outcome.status == 0, "\(outcome)")
      }
      let tars = try stand.ok("image", "list", "-q", "localhost/tar").split(separator: "\n")
      #expect(tars.count == 1 && tars[0].hasPrefix("localhost/tar:"))
      #expect(try stand.ok("show", "a").contains("oci:\(tars[0])"))
      #expect(
        try stand.ok(
          "run", "--rm", "--image", "tar:\(stand.folder)/root.tar.gz", "--network", "none", "--", "/bin/cat", "/kept")
          == "old")
      #expect(try stand.refusal("create", "--image", "tar:\(stand.folder)/none", "c").contains("ENOENT"))
      #expect(try stand.refusal("create", "--image", "debootstrap:../x", "c").contains("no suite's name"))
      #expect(
        try stand.refusal("configure", "--image", "tar:\(stand.folder)/root.tar", "c", status: 2).contains(
          "zonectl create and run make an image of it"))
      #expect(!(try stand.ok("list", "-q").contains("c")))
    }
  }

  @Test func whatIsSaidAnewIsTheImages() throws {
    try withZones { stand in
      try start(stand, "a", of: "localhost/base:v1")
      try stand.ok("stop", "a")
      try stand.ok(
        "commit", "a", "localhost/made:v1", "--change", "CMD=[\"/bin/echo\",\"$A\"]", "--change", "ENV A=1 2",
        "--change",
        "ENTRYPOINT=[\"/bin/sh\",\"-c\",\"echo $A $PWD $(id -u) $0 $1\"]", "--change", "WORKDIR=/dir", "--change",
        "USER=5", "--change", "LABEL=x=y", "--change", "EXPOSE=80", "--change", "VOLUME /dir", "--change",
        "STOPSIGNAL=INT")
      let image = try #require(try stand.store().resolve(ImageReference(parsing: "localhost/made:v1")))
      #expect(image.use.labels == ["x": "y"] && image.use.ports == ["80/tcp"] && image.use.volumes == ["/dir"])
      #expect(image.use.stopSignal == SIGINT)
      // Nothing was written: no layer, and a step all the same.
      #expect(image.layers.count == 1 && image.history.last?.hasLayer == false)
      #expect(
        try stand.ok("run", "--rm", "--image", "oci:localhost/made:v1", "--network", "none")
          == "1 2 /dir 5 /bin/echo $A\n")
      for wrong in ["CMD", "ONBUILD=x", "ENV=", "EXPOSE=0", "EXPOSE=80/x", "WORKDIR=dir", "STOPSIGNAL=NO", "CMD=[1]"] {
        let told = try stand.refusal("commit", "a", "localhost/x", "--change", wrong, status: 2)
        #expect(told.contains("change"), "\(wrong): \(told)")
      }
    }
  }

  @Test func whatCannotBeCommittedIsToldSo() throws {
    try withZones { stand in
      #expect(try stand.refusal("commit", "a", "localhost/x").contains("no zone"))
      try stand.ok("create", "--network", "none", "b", "--", "/bin/true")
      #expect(try stand.refusal("commit", "b", "localhost/x").contains("was not made from an image"))
      try start(stand, "a", of: "localhost/base:v1")
      #expect(try stand.refusal("commit", "a", "Localhost/X", status: 2).contains("capital"))
      try stand.ok("exec", "a", "--", "/bin/sh", "-ec", "mkdir /dir/in; echo x >/dir/in/.wh.odd")
      let before = try stand.contents()
      let told = try stand.refusal("commit", "a", "localhost/x")
      #expect(told.contains("entry dir/in/.wh.odd: ") && told.contains("rename it"), "\(told)")
      #expect(try stand.contents() == before)
      #expect(try stand.ok("list").contains("running"))
      // As long as years, and of no size on the disk.
      try stand.ok("exec", "a", "--", "rm", "/dir/in/.wh.odd")
      try stand.sh(
        "truncate -s 8191P '\(stand.place)/data/a/own/root/dir/in/long' || truncate -s 8T '\(stand.place)/data/a/own/root/dir/in/long'"
      )
      let long = try stand.refusal("commit", "a", "localhost/x")
      #expect(long.contains("entry dir/in/long: ") && long.contains("more than \(Int64(64) << 30) bytes"), "\(long)")
      #expect(try stand.contents() == before)
    }
  }

  /// Sockets have no place in an archive.
  @Test func whatIsLeftOutIsTold() throws {
    try withZones { stand in
      try start(stand, "a", of: "localhost/base:v1")
      try stand.ok("exec", "a", "--", "touch", "/dir/x")
      let folder = "\(stand.place)/data/a/own/root/dir"
      try stand.sh(
        "python3 -c \"import socket; s = socket.socket(socket.AF_UNIX); s.bind('\(folder)/listens')\"")
      let outcome = try stand.zonectl(["commit", "a", "localhost/made:v1"])
      #expect(outcome.status == 0 && outcome.errors.contains("left out 1, which an archive cannot have: dir/listens"))
    }
  }

  /// A zone goes on when who froze it is gone.
  @Test func aCommitThatIsKilledLeavesNoZoneFrozen() throws {
    try withZones { stand in
      try start(stand, "a", of: "localhost/base:v1")
      try stand.ok("exec", "a", "--", "/bin/sh", "-ec", "dd if=/dev/urandom of=/big bs=1M count=200 2>/dev/null")
      let before = try stand.contents().filter { !$0.hasPrefix("fetch has") }
      let commit = try SideProcess(
        Command.orchestrator, ["zonectl", "--root", stand.place, "commit", "a", "localhost/made:v1"])
      #expect(eventually(60) { (try? stand.zonectl(["list"]).output.contains("frozen")) == true })
      try commit.kill()
      #expect(eventually(20) { (try? stand.zonectl(["list"]).output.contains("running")) == true })
      try stand.ok("image", "prune")
      #expect(try stand.contents() == before)
      try stand.ok("commit", "a", "localhost/made:v1")
      #expect(try stand.ok("list").contains("running"))
    }
  }
}
