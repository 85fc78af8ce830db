import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `zonectl image pull` from registries that are as they should be, and from such as are not.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
struct PullTests {
  // MARK: as it should be

  @Test(arguments: ["well", "token", "cut", "minus"])
  func whatIsPulledIsWhatIsThere(mode: String) throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    let name = "\(registry.authority)/\(mode)/box:v1"
    let expected = try stand.imported(as: name)
    let logins = "\(stand.folder)/logins"
    let auth = Data("me:se:cret".utf8).base64EncodedString()
    try #"{"auths":{"\#(registry.authority)":{"auth":"\#(auth)"}}}"#.write(
      toFile: logins, atomically: true, encoding: .utf8)
    #expect(try stand.ok("image", "pull", "--login", logins, name) == "\(name)@\(stand.digest())\n")
    #expect(try stand.contents() == expected)
    // Once more: nothing but the name is asked for.
    registry.forget()
    try stand.ok("image", "pull", "--login", logins, name)
    #expect(try registry.log().allSatisfy { !$0.contains("/blobs/") })
    #expect(try stand.contents() == expected)
    try stand.ok("image", "prune")
    #expect(try stand.contents() == expected)
  }

  @Test func anIndexBringsTheImageOfThePlatform() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand, layout: "many")
    let name = "\(registry.authority)/well/box"
    #expect(
      try stand.ok("image", "pull", "--platform", "linux/arm64", "\(name):v1")
        == "\(name):v1@\(stand.digest(of: "many"))\n")
    #expect(try stand.store().resolve(ImageReference(parsing: "\(name):v1"))?.platform == "linux/arm64")
    // By the digest of the index it is another name, and zones are made by it.
    let pinned = "\(name)@\(try stand.digest(of: "many"))"
    #expect(try stand.ok("image", "pull", "--platform", "linux/amd64", pinned) == "\(pinned)\n")
    #expect(try stand.store().resolve(ImageReference(parsing: pinned)) != nil)
    #expect(try stand.ok("image", "list", "-q").split(separator: "\n").contains(Substring(pinned)))
    try stand.ok("create", "--image", "oci:\(pinned)", "--network", "none", "a", "--", "/bin/tool")
    try stand.ok("delete", "--yes", "a")
    #expect(
      try stand.refusal("image", "pull", "--platform", "linux/mips", "\(name):v1").contains(
        "it has linux/amd64, linux/arm64"))
    try stand.ok("image", "delete", pinned)
    try stand.ok("image", "delete", "\(name):v1")
    try stand.ok("image", "prune")
    #expect(try FileSystem.list("\(stand.storePath)/layers").isEmpty)
  }

  /// No index says which platform an image of its own is for.
  @Test func anImageOfAnotherPlatformIsNotWhatWasAskedFor() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    let name = "\(registry.authority)/well/box:v1"
    let words = "it is for linux/amd64, and linux/arm64 is wanted"
    #expect(try stand.refusal("image", "pull", "--platform", "linux/arm64", name).contains(words))
    for form in ["box", "saved.tar"] {
      let path = "\(stand.made)/\(form)"
      #expect(try stand.refusal("image", "import", "--platform", "linux/arm64", path, "localhost/x").contains(words))
    }
    #expect(try stand.ok("image", "list", "-q").isEmpty)
    try stand.ok("image", "prune")
    #expect(try stand.contents() == ["layers 0 0"])
    // Of an index that is here already, the other one is brought.
    let many = try BadRegistry(stand, layout: "many")
    let list = "\(many.authority)/well/box:v1"
    try stand.ok("image", "pull", "--platform", "linux/amd64", list)
    try stand.ok("image", "update", "--platform", "linux/arm64", list)
    #expect(try stand.store().resolve(ImageReference(parsing: list))?.platform == "linux/arm64")
  }

  @Test func theEnvironmentNamesProxyAndLogins() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    // A name that nobody has: the proxy is who finds it.
    let script =
      "'\(Command.zonectl)' --root '\(stand.place)' image pull --plain-http registry.invalid/basic/box:v1 2>&1"
    let auth = #"{"auths":{"registry.invalid/basic":{"auth":"\#(Data("me:se:cret".utf8).base64EncodedString())"}}}"#
    try auth.write(toFile: "\(stand.folder)/logins", atomically: true, encoding: .utf8)
    let told = try stand.sh(
      "http_proxy=http://127.0.0.1:\(registry.port) REGISTRY_AUTH_FILE=\(stand.folder)/logins \(script)")
    #expect(told.contains("registry.invalid/basic/box:v1@"))
    #expect(try registry.log().contains { $0.hasPrefix("CONNECT registry.invalid:80") })
    let without = try stand.sh(
      "http_proxy=http://127.0.0.1:\(registry.port) no_proxy=.invalid \(script) | sed 's/basic/well/' || true")
    // Where nobody answers for names either, it is the time that runs out.
    #expect(
      without.contains("no machine is called registry.invalid")
        || without.contains("registry.invalid: no connection within 10 s"))
  }

  // MARK: what breaks

  @Test func whatWasFetchedIsNotFetchedAgain() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    let name = "\(registry.authority)/stall/box:v1"
    let expected = try stand.imported(as: name)
    let pull = try SideProcess(Command.zonectl, ["--root", stand.place, "image", "pull", name])
    let parts = "\(stand.storePath)/fetch"
    let isHalf = try eventually(30) {
      guard FileSystem.exists(parts) else { return false }
      return try FileSystem.list(parts).contains { try FileSystem.read("\(parts)/\($0)").count > 100 }
    }
    #expect(isHalf)
    // orchestrator, which zonectl has become.
    try pull.kill()
    registry.forget()
    try "".write(toFile: "\(registry.folder)/go", atomically: true, encoding: .utf8)
    try stand.ok("image", "pull", name)
    #expect(try registry.log().contains { $0.contains("/blobs/") && $0.contains("bytes=") })
    #expect(try stand.contents() == expected)
  }

  @Test func aPartOfAnothersMakingIsFetchedWhole() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    let name = "\(registry.authority)/well/box:v1"
    let expected = try stand.imported(as: name)
    // Parts that are wrong, whole, or longer than they may be.
    try stand.ok("image", "pull", name)
    let blobs = "\(stand.storePath)/blobs/sha256"
    let names = try FileSystem.list(blobs)
    try FileSystem.removeTree(stand.place)
    try stand.ok("image", "list")
    try stand.ok("image", "import", "\(stand.made)/root.tar", "localhost/other")
    for (number, blob) in names.enumerated() {
      try String(repeating: "x", count: [10, 400, 1 << 20][number % 3]).write(
        toFile: "\(stand.storePath)/fetch/sha256-\(blob)", atomically: false, encoding: .utf8)
    }
    try stand.ok("image", "pull", name)
    try stand.ok("image", "delete", "localhost/other")
    try stand.ok("image", "prune")
    #expect(try stand.contents() == expected)
  }

  /// Who was killed between an image's two records has left one of them.
  @Test func halfOfAnImageIsNone() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    let name = "\(registry.authority)/well/box"
    let digest = try stand.digest()
    let hex = digest.dropFirst("sha256:".utf8.count)
    let expected = try stand.imported(as: "\(name):v1")
    try stand.ok("image", "pull", "\(name):v1")
    unlink("\(stand.storePath)/starts/sha256/\(hex)")
    try stand.ok("image", "pull", "\(name):v1")
    #expect(try stand.contents() == expected)
    // With nothing to say what it is of, what a zone would begin with goes.
    unlink("\(stand.storePath)/images/sha256/\(hex)")
    try stand.ok("image", "delete", "--force", "\(name):v1")
    try stand.ok("image", "prune")
    #expect(try stand.contents() == ["layers 0 0"])
    #expect(
      try stand.refusal("create", "--pull", "never", "--image", "oci:\(name)@\(digest)", "a").contains("no image"))
  }

  /// Read-only counts for who is not root.
  @Test(.enabled(if: getpwnam("zonestest") != nil, "the user zonestest is made by scripts/test"))
  func whatAUserWasSavingWhenHeWasKilledIsGoneOnWith() throws {
    let stand = try ImageStand(user: "zonestest")
    let registry = try BadRegistry(stand)
    let name = "\(registry.authority)/well/box:v1"
    try stand.ok("image", "pull", name)
    try stand.ok("image", "delete", name)
    try stand.ok("image", "prune")
    try stand.sh(
      """
      for blob in made/box/blobs/sha256/*; do
        part='\(stand.storePath)'/fetch/sha256-${blob##*/}
        cp $blob $part; chown zonestest: $part; chmod 400 $part
      done
      """)
    try stand.ok("image", "pull", name)
    #expect(try FileSystem.list("\(stand.storePath)/fetch").isEmpty)
  }

  @Test func twoWhoPullTheSameFetchItOnce() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    let name = "\(registry.authority)/well/box:v1"
    let expected = try stand.imported(as: name)
    let pull = "'\(Command.zonectl)' --root '\(stand.place)' image pull -q \(name)"
    try stand.sh("for n in 1 2 3 4; do \(pull) & pids=\"$pids $!\"; done; for p in $pids; do wait $p; done")
    #expect(try stand.contents() == expected)
    let fetched = try registry.log().filter { $0.contains("/blobs/") }
    #expect(Set(fetched).count == fetched.count, "\(fetched)")
  }

  @Test func aFullDiskLeavesNoName() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    let script = """
      cd \(stand.folder)
      for size in 16 24 32 40 48 56 64 80; do
        mkdir small$size; mount -t tmpfs -o size=${size}k none small$size
        "\(Command.zonectl)" --root \(stand.folder)/small$size image pull -q \(registry.authority)/well/box:v1 2>&1 && continue
        find small$size -type f -path "*/refs/*" | sed "s/^/left: /"
      done
      """
    let told = try stand.sh("unshare --mount --propagation private sh -c '\(script)'")
    #expect(told.contains("ENOSPC") && !told.contains("left: "), "\(told)")
  }

  // MARK: hostile

  @Test(arguments: [
    ("missing", "404: manifest unknown"), ("both", "a manifest and an index at once"),
    ("climbing", "digits of 0-9 and a-f"),
    ("wrong", "its bytes are"), ("long", "no more are promised"), ("realm", "no plain URL of http or https"),
  ]) func whatARegistryDoesIsToldAndLeavesNothing(mode: String, words: String) throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    let told = try stand.refusal("image", "pull", "\(registry.authority)/\(mode)/box:v1")
    #expect(
      told.hasPrefix("zonectl: cannot pull \(registry.authority)/\(mode)/box:v1: ") && told.contains(words), "\(told)")
    #expect(try stand.ok("image", "list", "-q").isEmpty)
    try stand.ok("image", "prune")
    #expect(try stand.contents() == ["layers 0 0"])
  }
  @Test func nobodyButTheRegistryHearsWhoWeAre() throws {
    let stand = try ImageStand()
    let other = try BadRegistry(stand)
    let registry = try BadRegistry(stand, other: "127.0.0.1:\(other.port)")
    let auth = Data("me:se:cret".utf8).base64EncodedString()
    try #"{"auths":{"\#(registry.authority)":{"auth":"\#(auth)"}}}"#.write(
      toFile: "\(stand.folder)/logins", atomically: true, encoding: .utf8)
    try stand.ok(
      "image", "pull", "--login", "\(stand.folder)/logins", "\(registry.authority)/offsite/box:v1")
    #expect(try registry.log().contains { $0.contains("/blobs/") && $0.contains("Basic") })
    let asked = try other.log().filter { $0.contains("/blobs/") }
    #expect(!asked.isEmpty && asked.allSatisfy { $0.hasSuffix(" -") }, "\(asked)")
  }

  @Test func anIdentityIsGivenForATokenAlone() throws {
    let stand = try ImageStand()
    let registry = try BadRegistry(stand)
    try #"{"auths":{"\#(registry.authority)":{"auth":"","identitytoken":"an.identity"}}}"#.write(
      toFile: "\(stand.folder)/logins", atomically: true, encoding: .utf8)
    try stand.ok("image", "pull", "--login", "\(stand.folder)/logins", "\(registry.authority)/token/box:v1")
    let told = try stand.refusal(
      "image", "pull", "--login", "\(stand.folder)/logins", "\(registry.authority)/basic/box:v1")
    #expect(told.contains("wants a login"))
    try #"{"credHelpers":{"\#(registry.authority)":"pass"}}"#.write(
      toFile: "\(stand.folder)/logins", atomically: true, encoding: .utf8)
    #expect(
      try stand.refusal("image", "pull", "--login", "\(stand.folder)/logins", "\(registry.authority)/basic/box:v1")
        .contains("docker-credential-pass"))
    #expect(
      try stand.refusal("image", "pull", "--login", "\(stand.folder)/none", "\(registry.authority)/basic/box:v1")
        .contains(
          "cannot read the logins in \(stand.folder)/none"))
  }

  @Test func optionsOfOtherWordsAreRefused() throws {
    let stand = try ImageStand()
    #expect(try stand.refusal("image", "list", "--ca", "/x", status: 2).contains("--ca is of image pull"))
    #expect(try stand.refusal("image", "pull", "--blobs", "x", status: 2).contains("--blobs is of image prune"))
    #expect(try stand.refusal("image", "pull", "--jobs", "0", "x", status: 2).contains("from 1 to 64"))
    #expect(try stand.refusal("image", "pull", "Bad", status: 2).contains("capital letters"))
    #expect(
      try stand.refusal("image", "pull", "--ca", "/none", "localhost:1/x").contains("cannot read the certificates"))
    #expect(try stand.refusal("image", "pull", "localhost:1/x").contains("ECONNREFUSED"))
  }

  /// The other kinds.
  @Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
  struct LongPullTests {
    @Test(arguments: ["basic", "public", "stale", "busy", "whole"]) func whatIsPulled(mode: String) throws {
      try PullTests().whatIsPulledIsWhatIsThere(mode: mode)
    }

    @Test(arguments: [
      ("never", "503: busy"), ("endless", "answers with more than"),
      ("html", "cannot read its manifest as json"),
      ("first", "Docker's first format"), ("digest", "is promised"),
      ("loop", "more than 5 times"), ("file", "no plain URL of http or https"), ("nowhere", "does not say where"),
      ("refused", "known are basic and bearer"), ("basic", "wants a login"),
      ("token", "wants a login"), ("short", "bytes, and"),
      ("dropped", "closed the connection in the middle"), ("lying", "and it sends"),
    ]) func whatIsTold(mode: String, words: String) throws {
      try PullTests().whatARegistryDoesIsToldAndLeavesNothing(mode: mode, words: words)
    }
  }
}
