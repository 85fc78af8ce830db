import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `zonectl rebase` and `image update`: a newer image under what a zone has written.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
struct RebaseTests {
  /// A newer image under the name of the one that `a` was made from: some files are others, some are gone, some are new.
  private func newer(_ stand: ImageStand, _ more: String = ":") throws {
    try stand.sh(
      """
      rm -rf root; mkdir root && cd root && tar -xf ../root.tar
      echo newer >dir/1; echo new >dir/new; chmod 600 dir/3; rm -r gone; \(more)
      tar -cf ../newer.tar .; cd ..; rm -rf root
      """)
    try stand.ok("image", "import", "\(stand.folder)/newer.tar", "localhost/base:v1")
  }

  @Test(arguments: [nil, "zonestest"]) func aZoneComesToLieOnANewerImage(user: String?) throws {
    let zones = try SnapshotTests.Stand(user: user)
    let stand = zones.stand
    try zones.write("a", "echo mine >/mine; rm /dir/2")
    try stand.ok("snapshot", "create", "a", "first")
    try zones.write("a", "mkdir /more; echo mine >/more/x; chmod 711 /")
    let before = try zones.view("a")
    let old = try zones.root("a")
    #expect(try stand.zonectl(["rebase", "a"]).errors.contains("a is on localhost/base:v1@"))
    try newer(stand)
    #expect(try stand.ok("rebase", "--dry-run", "a") == "")
    #expect(try zones.root("a") == old)
    let outcome = try stand.zonectl(["rebase", "a"])
    #expect(
      outcome.status == 0 && outcome.output == "" && outcome.errors.contains("snapshot rollback a before-rebase"),
      "\(outcome)")
    try zones.write(
      "a",
      """
      test "$(cat /dir/1)" = newer; test "$(cat /dir/new)" = new; test ! -e /gone; test ! -e /dir/2
      test "$(cat /mine)" = mine; test "$(cat /more/x)" = mine; echo later >/later
      """)
    let now = try zones.root("a")
    #expect(now.image?.manifest != old.image?.manifest && now.snapshots.map { $0.name } == ["first", "before-rebase"])
    #expect(try stand.ok("diff", "a").contains("later"))
    // And back, with all that belonged to it; a snapshot of before is of the image of then.
    try stand.ok("snapshot", "rollback", "a", "before-rebase")
    #expect(try zones.view("a") == before)
    #expect(try zones.root("a").image == old.image)
    try stand.ok("clone", "a@first", "b")
    #expect(try zones.root("b").image == old.image)
    try zones.write("b", "test -e /mine; test ! -e /more; test -e /gone/x")
    try stand.ok("image", "prune")
    try zones.write("a", "test -e /gone/x; test -e /more/x")
    // The image of then has no name any more, and is there for who may go back to it.
    try stand.ok("rebase", "a")
    try stand.ok("snapshot", "create", "a", "newer")
    let newer = try zones.root("a").image
    try stand.ok("image", "prune")
    try stand.ok("snapshot", "rollback", "a", "before-rebase")
    try stand.ok("commit", "a", "localhost/old:v1")
    try stand.ok("snapshot", "rollback", "a", "newer")
    #expect(try zones.root("a").image == newer)
  }

  @Test func whatNobodyHasWrittenLooksLikeTheNewerImage() throws {
    let zones = try SnapshotTests.Stand()
    let stand = zones.stand
    try newer(stand, "chmod 700 .")
    try stand.ok("rebase", "a")
    try stand.ok("create", "--image", "oci:localhost/base:v1", "--network", "none", "b", "--", "sleep", "infinity")
    #expect(try zones.view("a") == zones.view("b"))
    #expect(try zones.root("a").layers == zones.root("b").layers)
  }

  @Test(arguments: [nil, "zonestest"]) func conflictsAreToldBeforeAnythingIsDone(user: String?) throws {
    let zones = try SnapshotTests.Stand(user: user)
    let stand = zones.stand
    // Changed by both, deleted by one, given another mode by the other; and made what the newer image has.
    try zones.write(
      "a", "echo mine >/dir/1; rm -r /gone; touch /dir/3; echo new >/dir/new; rm -rf /dir/below; echo x >/dir/below")
    try newer(stand, "echo z >dir/below/z")
    let before = (try zones.root("a"), try zones.view("a"))
    let outcome = try stand.zonectl(["rebase", "a"])
    #expect(outcome.status == 1 && outcome.output == "dir/1\ndir/3\ndir/below\n", "\(outcome)")
    #expect(outcome.errors.contains("3 paths were changed by it and by localhost/base:v1@"), "\(outcome)")
    #expect(try zones.root("a") == before.0 && zones.view("a") == before.1)
    #expect(try stand.ok("rebase", "--dry-run", "a") == outcome.output)
    let told = try stand.ok("rebase", "--dry-run", "-o", "json", "a")
    #expect(told.contains("dir/below") && told.contains(#""rebased": false"#), "\(told)")
    try stand.ok("rebase", "--force", "a")
    try zones.write(
      "a", "test \"$(cat /dir/1)\" = mine; test \"$(cat /dir/below)\" = x; test ! -e /gone; ls -l /dir/3")
  }

  @Test func whatCannotBeRebasedIsToldWhy() throws {
    let zones = try SnapshotTests.Stand()
    let stand = zones.stand
    try newer(stand)
    try stand.ok("start", "a")
    #expect(try stand.refusal("rebase", "a").contains("it runs (zonectl stop a)"))
    #expect(try stand.ok("rebase", "--dry-run", "a") == "")
    try stand.ok("halt", "a")
    #expect(try stand.refusal("rebase", "a", "localhost/none:v1").contains("no image localhost/none:v1 is here"))
    #expect(try stand.refusal("rebase", "none").contains("no zone"))
    try stand.ok("create", "--network", "none", "b", "--", "true")
    #expect(try stand.refusal("rebase", "b").contains("not made from an image"))
  }

  @Test func whatRegistriesHaveNowIsBrought() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    let name = "\(registry.authority)/well/box:v1"
    #expect(try stand.ok("image", "update", "--all") == "")
    try stand.ok("image", "pull", name)
    try stand.ok("image", "import", "\(stand.made)/root.tar", "localhost/own:v1")
    try stand.ok("create", "--image", "oci:\(name)", "--network", "none", "a")
    defer { _ = try? stand.zonectl(["delete", "--force", "--yes", "a"]) }
    func states() throws -> [String] {
      try stand.ok("image", "update", "--all", "-q").split(separator: "\n").dropFirst().map { line in
        let words = line.split(separator: " ")
        return "\(words[1]) \(words[4])"
      }
    }
    #expect(try states() == ["current -"])
    try stand.sh("cp -a made/full/. made/box/")
    let before = try stand.contents()
    #expect(try stand.ok("image", "update", "--dry-run", name).contains(" newer "))
    #expect(try stand.contents() == before)
    #expect(try states() == ["updated a"])
    #expect(try states() == ["current a"])
    #expect(try stand.refusal("image", "update", "localhost/own:v1").contains("it came by import"))
    #expect(try stand.refusal("image", "update", status: 2).contains("image update --all"))
    try stand.ok("rebase", "a")
    #expect(try states() == ["current -"])
    // One that cannot be asked is told of, and the others are done.
    try stand.ok("image", "pull", "\(registry.authority)/busy/box:v1")
    try stand.sh("rm -r made/box/blobs")
    let outcome = try stand.zonectl(["image", "update", "--all", "-q"])
    #expect(outcome.status == 1 && outcome.errors.contains("cannot update \(name)"), "\(outcome)")
    #expect(outcome.output.contains(" failed "))
  }

  @Test func whatIsBroughtIsOfThePlatformThatWasPulled() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand, layout: "many")
    let name = "\(registry.authority)/well/box:v1"
    try stand.ok("image", "pull", "--platform", "linux/arm64", name)
    // Another index, of the same images.
    try stand.sh(
      """
      python3 - made/many <<'END'
      import hashlib, json, sys
      blobs, place = sys.argv[1] + "/blobs/sha256/", sys.argv[1] + "/index.json"
      layout = json.load(open(place))
      entry = layout["manifests"][0]
      index = json.load(open(blobs + entry["digest"][7:]))
      index["annotations"] = {"which": "the second"}
      text = json.dumps(index).encode()
      digest = hashlib.sha256(text).hexdigest()
      open(blobs + digest, "wb").write(text)
      entry["digest"], entry["size"] = "sha256:" + digest, len(text)
      json.dump(layout, open(place, "w"))
      END
      """)
    #expect(try stand.ok("image", "update", "--all", "-q").contains(" updated "))
    #expect(try stand.store().resolve(ImageReference(parsing: name))?.platform == "linux/arm64")
  }
}
