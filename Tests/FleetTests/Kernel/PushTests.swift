import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `zonectl image push` and `image export`: what others get is what is here.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
struct PushTests {
  private func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  /// What a registry has under a tag, as a layout.
  private func layout(_ registry: BadRegistry, _ repository: String, _ stand: ImageStand) throws -> String {
    let folder = "\(stand.folder)/got"
    try stand.sh(
      """
      rm -rf got; mkdir -p got/blobs/sha256; cd '\(registry.folder)/pushed/\(repository)'
      for f in blobs/sha256-*; do cp $f ../../../../got/blobs/sha256/${f#blobs/sha256-} 2>/dev/null || cp $f '\(folder)'/blobs/sha256/${f#blobs/sha256-}; done
      m=$(sha256sum manifests/v1 | cut -d ' ' -f 1); cp manifests/v1 '\(folder)'/blobs/sha256/$m
      echo '{"imageLayoutVersion":"1.0.0"}' >'\(folder)'/oci-layout
      printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s}]}' \
        $m $(stat -c %s manifests/v1) >'\(folder)'/index.json
      """)
    return folder
  }

  @Test(arguments: ["well", "token", "halts"])
  func whatIsPushedIsWhatIsHere(mode: String) throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    let before = try stand.contents()
    let logins = "\(stand.folder)/logins"
    let auth = Data("me:se:cret".utf8).base64EncodedString()
    try #"{"auths":{"\#(registry.authority)":{"auth":"\#(auth)"}}}"#.write(
      toFile: logins, atomically: true, encoding: .utf8)
    let name = "\(registry.authority)/\(mode)/box:v1"
    // A token that is good for three requests is asked for anew by the fourth, and not by two at once.
    let push = ["image", "push", "--login", logins, "--jobs", mode == "stale" ? "1" : "4", "localhost/box:v1", name]
    let outcome = try stand.zonectl(push)
    try #require(outcome.status == 0, "\(outcome)")
    #expect(outcome.output == "\(name)@\(try stand.digest())\n")
    #expect(try stand.contents() == before)
    // Once more: no blob is sent.
    registry.forget()
    try #require(try stand.zonectl(push).status == 0)
    #expect(try registry.log().allSatisfy { !$0.hasPrefix("PATCH") && !$0.hasPrefix("POST") })
    let got = try layout(registry, "\(mode)/box", stand)
    let other = try ImageStand()
    try other.ok("image", "import", got, "localhost/box:v1")
    #expect(try other.contents() == before)
  }

  /// What the registry has under another name is not sent again.
  @Test(arguments: [("well", true), ("unmounted", false)])
  func aBlobOfTheSameRegistryIsTakenFromThere(mode: String, isMounted: Bool) throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    try stand.ok("image", "import", "\(stand.made)/box", "\(registry.authority)/\(mode)/first:v1")
    try stand.ok("image", "push", "\(registry.authority)/\(mode)/first:v1")
    registry.forget()
    try stand.ok("image", "push", "\(registry.authority)/\(mode)/first:v1", "\(registry.authority)/\(mode)/second:v1")
    let patches = try registry.log().filter { $0.hasPrefix("PATCH") }.count
    // The configuration is nobody's but the image's own.
    #expect(isMounted ? patches == 1 : patches == 4, "\(patches)")
  }

  @Test(arguments: [
    ("denied", "403: denied"), ("refuses", "400: manifest invalid"), ("liar", "has it as sha256:00000000"),
    ("lost", "does not say where"), ("moves", "answers 307"),
  ])
  func whatIsRefusedIsTold(mode: String, words: String) throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    let name = "\(registry.authority)/\(mode)/box:v1"
    let told = try stand.refusal("image", "push", "localhost/box:v1", name)
    #expect(told.hasPrefix("zonectl: cannot push \(name): ") && told.contains(words), "\(told)")
  }

  /// An answer that was lost is no blob that was lost.
  @Test func whatHasArrivedIsNotSentAgain() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    try stand.ok("image", "push", "localhost/box:v1", "\(registry.authority)/ended/box:v1")
    #expect(try registry.log().filter { $0.hasPrefix("PATCH") }.count == 4)
  }

  /// Who only looks is told of the right to read, and what is written beside it has the same token.
  @Test func oneTokenIsForAllOfAPush() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    try stand.ok("image", "push", "localhost/box:v1", "\(registry.authority)/scoped/box:v1")
    #expect(try registry.log().filter { $0.hasPrefix("GET /scoped") }.count == 1)
  }

  /// Where an upload is sent on, nobody hears who we are (CVE-2020-15157).
  @Test func anUploadElsewhereHasNoPassword() throws {
    let stand = try ImageStand()
    let other = try BadRegistry(stand)
    let registry = try BadRegistry(stand, other: "127.0.0.1:\(other.port)")
    try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    let auth = Data("me:se:cret".utf8).base64EncodedString()
    try #"{"auths":{"\#(registry.authority)":{"auth":"\#(auth)"}}}"#.write(
      toFile: "\(stand.folder)/logins", atomically: true, encoding: .utf8)
    _ = try stand.zonectl([
      "image", "push", "--login", "\(stand.folder)/logins", "localhost/box:v1", "\(registry.authority)/away/box:v1",
    ])
    #expect(try registry.log().contains { $0.contains("POST") && $0.contains("Basic") })
    let log = try other.log()
    #expect(!log.isEmpty && log.allSatisfy { !$0.contains("Basic") && !$0.contains("Bearer") }, "\(log)")
  }

  @Test func namesThatCannotBePushedAreToldSo() throws {
    let stand = try ImageStand()
    #expect(try stand.refusal("image", "push", "localhost/box:v1").contains("no image is named"))
    try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    let id = try stand.ok("image", "list", "-o", "json")
    let digits = try #require(id.firstMatch(of: /"id" ?: ?"(sha256:[0-9a-f]+)"/)?.1)
    #expect(try stand.refusal("image", "push", String(digits), status: 2).contains("an id is no name"))
    #expect(
      try stand.refusal("image", "push", "localhost/box:v1", "a@sha256:" + String(repeating: "0", count: 64), status: 2)
        .contains("which nobody can give"))
    #expect(try stand.refusal("image", "push", "localhost/box:v1", "Box", status: 2).contains("capital"))
    try stand.ok("image", "prune", "--blobs")
    let registry = try BadRegistry(stand)
    #expect(
      try stand.refusal("image", "push", "localhost/box:v1", "\(registry.authority)/well/box:v1").contains(
        "its bytes are not here any more"))
  }

  // MARK: export

  @Test func whatIsExportedIsTheSameImage() throws {
    let stand = try ImageStand()
    for layout in ["box", "saved.tar"] {
      try FileSystem.removeTree(stand.place)
      try stand.ok("image", "import", "\(stand.made)/\(layout)", "localhost/box:v1")
      let before = try stand.contents()
      let image = try #require(try stand.store().resolve(ImageReference(parsing: "localhost/box:v1")))
      try stand.ok("image", "export", "localhost/box:v1", "\(stand.folder)/out.tar")
      #expect(try stand.contents() == before)
      // Each time the same bytes, and by a pipe too.
      let piped = try stand.sh(
        """
        '\(Command.zonectl)' --root '\(stand.place)' image export -q localhost/box:v1 - >piped.tar
        cmp piped.tar out.tar && echo same; ls; tar -tf out.tar >/dev/null && echo fine
        """)
      #expect(piped.hasPrefix("same\n") && piped.hasSuffix("fine\n") && !piped.contains("out.tar."), "\(piped)")
      for form in ["oci", "docker"] {
        try FileSystem.removeTree(stand.place)
        try stand.ok("image", "import", "--from", form, "\(stand.folder)/out.tar")
        if form == "oci" { #expect(try stand.contents() == before) }
        // docker save tells no manifest, but the configuration and the layers are the same.
        let again = try #require(try stand.store().resolve(ImageReference(parsing: "localhost/box:v1")))
        #expect(again.id == image.id && again.layers.map { $0.diff } == image.layers.map { $0.diff }, "\(form)")
        #expect(try stand.ok("image", "list", "-q") == "localhost/box:v1\n")
      }
    }
  }

  @Test func anExportThatFailsLeavesNothing() throws {
    let stand = try ImageStand()
    try stand.ok("image", "import", "\(stand.made)/box", "localhost/box:v1")
    try stand.sh("mkdir small; echo mine >small/out")
    let script = """
      mount -t tmpfs -o size=8k small '\(stand.folder)/small'; cd '\(stand.folder)/small'; echo mine >out
      '\(Command.zonectl)' --root '\(stand.place)' image export localhost/box:v1 out 2>told; echo $?; ls; cat out
      """
    let outcome = try Command.run("/usr/bin/unshare", ["-m", "/bin/sh", "-c", script], timeout: 60)
    #expect(outcome.output == "1\nout\ntold\nmine\n", "\(outcome)")
    // A blob that the disk has changed is no export.
    let image = try #require(try stand.store().resolve(ImageReference(parsing: "localhost/box:v1")))
    let blob = try stand.store().blob(image.layers[0].blob)
    try stand.sh("chmod 600 '\(blob)'; printf x | dd of='\(blob)' bs=1 seek=20 conv=notrunc status=none")
    #expect(
      try stand.refusal("image", "export", "localhost/box:v1", "\(stand.folder)/out.tar").contains(
        "the disk has changed them"))
    #expect(try stand.sh("ls").contains("out.tar") == false)
    #expect(try stand.refusal("image", "export", "localhost/box:v1", "/nowhere/out").contains("ENOENT"))
  }

  /// The other kinds.
  @Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
  struct LongPushTests {
    @Test(arguments: ["basic", "stale", "busy", "forgets", "unmounted"]) func whatIsPushed(mode: String) throws {
      try PushTests().whatIsPushedIsWhatIsHere(mode: mode)
    }
  }
}
