import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `zonectl image` from end to end: archives of every form, hostile ones, names, what is told, what goes.
@Suite(.enabled(if: geteuid() == 0, "files of others are root's to make")) struct ImageTests {
  private func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  // MARK: forms

  @Test func everyFormIsTheSameImage() throws {
    let stand = try ImageStand()
    let digest = try stand.sh(
      "python3 -c 'import json; print(json.load(open(\"made/box/index.json\"))[\"manifests\"][0][\"digest\"])'"
    )
    .trimmingCharacters(in: .whitespacesAndNewlines)
    #expect(try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1") == "localhost/box:v1@\(digest)\n")
    let first = try stand.contents()
    #expect(first.contains { $0.hasPrefix("joint ") })
    for file in ["box.tar", "box.tar.gz"] {
      #expect(
        try stand.ok("image", "import", "\(stand.made)/\(file)", "localhost/box:v1") == "localhost/box:v1@\(digest)\n")
      #expect(try stand.contents() == first, "\(file)")
    }
    // By a pipe.
    let piped = try stand.sh(
      "'\(Command.zonectl)' --root '\(stand.place)' image import - localhost/box:v1 <made/box.tar.gz")
    #expect(piped == "localhost/box:v1@\(digest)\n")
    #expect(try stand.contents() == first)

    let image = try #require(try stand.store().resolve(ImageReference(parsing: "localhost/box:v1")))
    #expect(image.use.arguments([]) == ["/bin/tool", "-v"] && image.use.arguments(["x"]) == ["/bin/tool", "x"])
    #expect(image.use.environment == ["PATH": "/bin", "A": "b=c"] && image.use.user == "5:6")
    #expect(image.use.workdir == "/srv" && image.use.labels == ["org.example": "yes"] && image.use.volumes == ["/data"])
    #expect(
      image.use.ports == ["80/tcp"] && image.use.stopSignal == SIGINT && image.use.health?.interval == 1_000_000_000)
    #expect(image.layers.count == 3 && image.joint != nil && image.stack.count == 4 && image.top != nil)
    // What the joint is for: the directory that the second layer has without telling of it.
    let store = try stand.store()
    let joint = try stand.facts(store.root(ofLayer: try #require(image.joint)) + "/bin")
    #expect(joint == "711 0 0\n")
    let tool = try stand.facts(store.root(ofLayer: image.layers[2].number) + "/bin/tool")
    #expect(tool == "4755 5 6\n")
    #expect(store.mountLinks == "\(stand.storePath)/l")
  }

  @Test func anArchiveOfDockerSaveKeepsItsNames() throws {
    let stand = try ImageStand()
    let told = lines(try stand.ok("image", "import", "\(stand.made)/saved.tar"))
    #expect(
      told.count == 2 && told[0].hasPrefix("box:saved@sha256:") && told[1].hasPrefix("localhost:5000/box:saved@sha256:")
    )
    let first = try stand.contents()
    #expect(lines(try stand.ok("image", "import", "\(stand.made)/saved.tar.gz")) == told)
    #expect(try stand.contents() == first)
    let image = try #require(try stand.store().resolve(ImageReference(parsing: "box:saved")))
    // The lowest layer is there twice, and is mounted once: above.
    #expect(image.layers.map(\.number) == [1, 2, 1] || image.layers.map(\.number) == [2, 1, 2])
    #expect(image.stack.filter { $0 == image.layers[0].number }.count == 1)
    #expect(try stand.refusal("image", "import", "\(stand.made)/unnamed.tar").contains("it has no name of its own"))
    #expect(try stand.ok("image", "import", "\(stand.made)/unnamed.tar", "named").hasPrefix("named:latest@"))
  }

  @Test func aPlainTarIsAnImageOfOneLayer() throws {
    let stand = try ImageStand()
    #expect(try stand.refusal("image", "import", "\(stand.made)/root.tar").contains("it has no name of its own"))
    let plain = try stand.ok("image", "import", "\(stand.made)/root.tar", "localhost/root")
    let first = try stand.contents()
    #expect(try stand.ok("image", "import", "\(stand.made)/root.tar", "localhost/root") == plain)
    #expect(try stand.contents() == first)
    // Compressed it is another image of the same layer.
    #expect(try stand.ok("image", "import", "\(stand.made)/root.tar.gz", "localhost/root:gz") != plain)
    #expect(try FileSystem.list("\(stand.storePath)/layers").count == 1)
    let image = try #require(try stand.store().resolve(ImageReference(parsing: "localhost/root")))
    try stand.sh("mkdir other; tar -xpf made/root.tar -C other")
    #expect(
      try stand.tree(try stand.store().root(ofLayer: image.layers[0].number)) == stand.tree("\(stand.folder)/other"))
    #expect(try stand.refusal("image", "import", "\(stand.made)/box", "x", "--from", "tar").contains("it is a folder"))
    #expect(
      try stand.refusal("image", "import", "\(stand.made)/root.tar", "x", "--from", "oci").contains(
        "no oci-layout in it"))
    #expect(try stand.ok("image", "import", "\(stand.made)/box.tar", "x", "--from", "tar").hasPrefix("x:latest@"))
  }

  @Test func theImageOfThePlatformIsTaken() throws {
    let stand = try ImageStand()
    let ours = try stand.ok("image", "import", "\(stand.made)/many", "--platform", "linux/amd64")
    let other = try stand.ok("image", "import", "\(stand.made)/many", "localhost/many:arm", "--platform", "arm64")
    #expect(ours.hasPrefix("localhost/many:v1@") && other.hasPrefix("localhost/many:arm@"))
    let image = try #require(try stand.store().resolve(ImageReference(parsing: "localhost/many:arm")))
    #expect(image.platform == "linux/arm64")
    // By the digest of the index that both come from.
    let index = try #require(try stand.store().reference(ImageReference(parsing: "localhost/many:v1"))?.index)
    #expect(try stand.store().resolve(ImageReference(parsing: "localhost/many@\(index.text)")) != nil)
    #expect(
      try stand.refusal("image", "import", "\(stand.made)/many", "x", "--platform", "linux/mips").contains(
        "(it has linux/amd64, linux/arm64"))
    #expect(
      try stand.refusal("image", "import", "\(stand.made)/many", "x", "--platform", "a/b/c/d", status: 2).contains(
        "platform"))
  }

  @Test func namesComeFromTheLayoutOrTheCaller() throws {
    let stand = try ImageStand()
    #expect(
      lines(try stand.ok("image", "import", "\(stand.made)/two", "localhost/two")).map { $0.prefix { $0 != "@" } } == [
        "localhost/two:one", "localhost/two:two",
      ])
    #expect(try stand.refusal("image", "import", "\(stand.made)/two", "localhost/two:x").contains("it has 2 images"))
    #expect(try stand.refusal("image", "import", "\(stand.made)/two").contains("it has no name of its own"))
    #expect(try stand.ok("image", "import", "\(stand.made)/full").hasPrefix("localhost/full/name:v2@"))
    for name in [
      "../x", "/etc/passwd", "a/../../b", "X", "a b", "a:b:c", "a@sha256:\(String(repeating: "a", count: 64))",
    ] {
      _ = try stand.refusal("image", "import", "\(stand.made)/box", name)
    }
    #expect(
      try stand.store().allReferences().map(\.name.familiar) == [
        "localhost/full/name:v2", "localhost/two:one", "localhost/two:two",
      ])
  }

  // MARK: hostile ones

  @Test func hostileArchivesAreRefusedAndNothingIsWrittenOutside() throws {
    let stand = try ImageStand()
    try stand.ok("image", "import", "\(stand.made)/full")
    let around = { () throws in
      try stand.sh(
        "find . -path ./place/data/.shared/images -prune -o -printf '%p %y %s %T@\\n' | sort; ls -la /var/tmp/escaped* 2>&1 || true"
      )
    }
    let before = try around()
    let clean = try stand.contents()
    let list = try String(contentsOfFile: "\(stand.made)/hostile.list", encoding: .utf8)
    for line in lines(list) {
      let (name, words) = (
        line.split(separator: "\t")[0], line.split(separator: "\t", omittingEmptySubsequences: false)[1]
      )
      let given = name.contains("name") ? [] : ["localhost/hostile:v1"]
      let outcome = try stand.zonectl(["image", "import", "\(stand.made)/hostile/\(name)"] + given)
      let told = outcome.errors.split(separator: "\n").last ?? ""
      #expect(outcome.status == 1 && outcome.output.isEmpty, "\(name): \(outcome)")
      #expect(
        told.hasPrefix("zonectl: cannot import \(stand.made)/hostile/\(name): ") && told.contains(words),
        "\(name): \(told)")
      #expect(try stand.store().allReferences().count == 1, "\(name)")
    }
    #expect(try around() == before)
    // And what they have left goes.
    try stand.ok("image", "prune")
    #expect(try stand.contents() == clean)
  }

  // MARK: looking and naming

  private func withoutTimes(_ text: String) -> String { text.replacing(#/ +[0-9]+[smhd] +/#) { _ in " AGE " } }

  @Test func whatIsHereIsTold() throws {
    let stand = try ImageStand()
    #expect(try stand.ok("image", "list") == "NAME  TAG  ID  AGE  SIZE  SHARED  ZONES\n")
    #expect(try stand.ok("image", "list", "-o", "json") == "[]\n")
    #expect(try stand.ok("image", "prune") == "freed 0\n")
    #expect(try stand.refusal("image", "show", "box").contains("none is here"))
    try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    try stand.ok("image", "import", "\(stand.made)/full")
    try stand.ok("image", "tag", "localhost/box:v1", "debian")
    #expect(
      withoutTimes(try stand.ok("image", "list")) == """
        NAME                 TAG     ID            AGE  SIZE  SHARED  ZONES
        debian               latest  908c94deac29 AGE 20K   10K     0
        localhost/box        v1      908c94deac29 AGE 20K   10K     0
        localhost/full/name  v2      8202405e1ad6 AGE 0     10K     0

        """)
    #expect(try stand.ok("image", "list", "-q", "localhost") == "localhost/box:v1\nlocalhost/full/name:v2\n")
    let json =
      try JSONSerialization.jsonObject(with: Data(try stand.ok("image", "list", "-o", "json").utf8)) as? [[String: Any]]
    #expect(
      json?.map { $0["name"] as? String } == [
        "docker.io/library/debian:latest", "localhost/box:v1", "localhost/full/name:v2",
      ])
    #expect(json?.first?["shared"] as? Int == 10240 && (json?.first?["zones"] as? [Any])?.isEmpty == true)

    let shown = try stand.ok("image", "show", "debian")
    for line in [
      "name:        debian:latest", "name:        localhost/box:v1", "platform:    linux/amd64",
      "created:     2024-01-02T03:04:05Z", "size:        20K, and 10K shared with other images",
      "entrypoint:  /bin/tool", "command:     -v", "env:         A=b=c", "user:        5:6", "workdir:     /srv",
      "volume:      /data", "port:        80/tcp", "stop-signal: INT", "health:      /bin/sh -c true",
      "label:       org.example=yes", "history:     layer 0",
    ] { #expect(shown.contains(line + "\n"), "\(line) in \(shown)") }
    let details =
      try JSONSerialization.jsonObject(with: Data(try stand.ok("image", "show", "908c94", "-o", "json").utf8))
      as? [String: Any]
    #expect((details?["names"] as? [String])?.count == 2)

    let usage = try stand.ok("df")
    #expect(usage.hasPrefix("KIND      COUNT  SIZE"), "\(usage)")
    #expect(try stand.ok("df", "-o", "json").contains(#""kind": "blob""#))

    #expect(try stand.refusal("image", "delete", "908c94").contains("it has 2 names"))
    try stand.ok("image", "delete", "debian", "localhost/box:v1")
    #expect(try stand.refusal("image", "delete", "debian").contains("no image is named 'debian'"))
    let dry = lines(try stand.ok("image", "prune", "--dry-run"))
    #expect(dry.count { $0.hasPrefix("layer") } == 3 && dry.last?.hasPrefix("would free ") == true)
    let before = try stand.contents()
    #expect(lines(try stand.ok("image", "prune")).dropLast() == dry.dropLast())
    #expect(try stand.contents() != before)
    #expect(try stand.ok("image", "prune", "--all", "--yes", "-o", "json").contains("localhost/full/name:v2"))
    #expect(try FileSystem.list("\(stand.storePath)/layers").isEmpty)
  }

  @Test func aWrongCommandLineIsUsage() throws {
    let stand = try ImageStand()
    for words in [
      ["image"], ["image", "burn"], ["image", "show"], ["image", "tag", "a"], ["image", "delete"],
      ["image", "prune", "x"],
      ["image", "import"], ["image", "import", "a", "b", "c"], ["image", "list", "a", "b"],
      ["image", "import", "x", "--from", "zip"],
    ] {
      let outcome = try stand.zonectl(words)
      #expect(outcome.status == 2 && outcome.errors.split(separator: "\n").count == 1, "\(words): \(outcome)")
    }
    #expect(!FileSystem.exists("\(stand.storePath)/store.json"))
  }

  // MARK: an ordinary user

  @Test(.enabled(if: getpwnam("zonestest") != nil, "there is no user zonestest"))
  func anOrdinaryUserHasAStoreOfHisOwn() throws {
    let stand = try ImageStand(user: "zonestest")
    for file in ["box", "saved.tar.gz"] {
      try stand.ok("image", "import", "\(stand.made)/\(file)", "localhost/\(file.prefix(3)):v1")
    }
    let user = try #require(getpwnam("zonestest")).pointee
    let tree = try stand.sh(
      "find '\(stand.storePath)/layers' -name tool -printf '%U %m\\n' -o -name bin -printf '%U %m\\n' | sort -u")
    let owners = Set(lines(tree).map { $0.split(separator: " ")[0] })
    // Root inside is the user, and 5 is one of his subordinate ids.
    #expect(
      owners.count == 2 && owners.contains("\(user.pw_uid)") && !owners.contains("5") && !owners.contains("0"),
      "\(tree)")
    #expect(tree.contains(" 711\n") && tree.contains(" 4755\n"))
    #expect(lines(try stand.ok("image", "list")).count == 3)
    try stand.ok("image", "delete", "localhost/box:v1", "localhost/sav:v1")
    try stand.ok("image", "prune")
    for folder in ["layers", "trash", "blobs/sha256"] {
      #expect(try FileSystem.list("\(stand.storePath)/\(folder)").isEmpty)
    }
  }

  /// A zone that passes lies in its session's run directory alone, and another session of his has another.
  @Test(.enabled(if: getpwnam("zonestest") != nil, "there is no user zonestest"))
  func whatAnotherSessionRunsIsLeftAlone() throws {
    let zones = try SnapshotTests.Stand(user: "zonestest")
    let stand = zones.stand
    let said = try stand.sh(
      """
      as() { setpriv --reuid zonestest --regid zonestest --init-groups -- env -u XDG_RUNTIME_DIR HOME=$PWD/home "$@"; }
      as mkdir home session
      as ./zonectl image import root.tar localhost/base:v1
      as ./zonectl create --network none stays -- sleep infinity
      as ./zonectl start stays
      as env XDG_RUNTIME_DIR=$PWD/session ./zonectl start stays 2>&1 | grep 'in another session of yours'
      as ./zonectl delete --force --yes stays
      as ./zonectl run -d --rm --name passes --image oci:localhost/base:v1 --network none -- sleep infinity
      trap 'as ./zonectl halt passes' EXIT
      as env XDG_RUNTIME_DIR=$PWD/session ./zonectl image delete --force localhost/base:v1
      as env XDG_RUNTIME_DIR=$PWD/session ./zonectl prune
      as ./zonectl exec passes -- /bin/busybox ls /bin/busybox
      """)
    #expect(said.hasSuffix("/bin/busybox\npasses\n") || said.hasSuffix("/bin/busybox\n"), "\(said)")
    #expect(said.contains("XDG_RUNTIME_DIR=/"), "\(said)")
    #expect(try stand.sh("ls home/.local/share/zones/.shared/images/layers | wc -l") == "1\n")
    try stand.sh(
      """
      setpriv --reuid zonestest --regid zonestest --init-groups -- env -u XDG_RUNTIME_DIR HOME=$PWD/home ./zonectl prune
      test "$(ls home/.local/share/zones/.shared/images/layers | wc -l)" = 0
      """)
  }
}
