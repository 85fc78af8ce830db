import Foundation
import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// Zones of images: layers that nobody writes under one of the zone's own.
@Suite(.serialized, .machine, .needs(.root, .program("busybox"), .program("python3")), .ends(within: 5))
struct ImageZoneTests {
  private let run = ["create", "--image", "oci:box:1", "--network", "none"]

  /// `box:1`: a busybox root, and a layer above it that deletes, replaces and closes folders.
  private func makeImage(_ zones: Zonectl, _ use: ImageUse = ImageUse()) throws -> ImageStore {
    let store = try ImageStore.make(Directories.standard(root: zones.root))
    let lower = try layer(store, 1) { root in
      try BusyboxRoot.make(at: root)
      try "root:x:0:0::/root:/bin/sh\napp:x:1234:1235::/home/app:/bin/sh\n".write(
        toFile: root + "/etc/passwd", atomically: true, encoding: .utf8)
      try "app:x:1235:\nmore:x:1300:app\n".write(toFile: root + "/etc/group", atomically: true, encoding: .utf8)
      for name in ["kept", "replaced", "deleted"] {
        try name.write(toFile: root + "/\(name)", atomically: true, encoding: .utf8)
      }
      mkdir(root + "/closed", 0o755)
      try "x".write(toFile: root + "/closed/below", atomically: true, encoding: .utf8)
      chmod(root, 0o751)
    }
    let upper = try layer(store, 2) { root in
      try "another".write(toFile: root + "/replaced", atomically: true, encoding: .utf8)
      try #require(mknod(root + "/deleted", S_IFCHR | 0o600, 0) == 0)
      mkdir(root + "/closed", 0o755)
      let set = "import os, sys; os.setxattr(sys.argv[1], 'user.overlay.opaque', b'y')"
      _ = try Command.text("python3", "-c", set, root + "/closed")
    }
    var image = ImageRecord(
      manifest: StoreRecordTests.digest("a"), id: StoreRecordTests.digest("b"), platform: "linux/amd64", documents: 2,
      layers: [upper, lower], use: use)
    image.top = 1
    try store.write(image)
    try name(store, "box:1", image.manifest)
    return store
  }

  private func name(_ store: ImageStore, _ text: String, _ manifest: ContentDigest) throws {
    try store.write(
      ReferenceRecord(manifest: manifest, origin: "import", owner: 0, made: 1), as: ImageReference(parsing: text))
  }

  private func layer(_ store: ImageStore, _ number: Int, _ fill: (String) throws -> Void) throws -> ImageLayer {
    let root = store.root(ofLayer: number)
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    try fill(root)
    try #require(
      symlink("../layers/\(store.mountLink(number))/root", "\(store.mountLinks)/\(store.mountLink(number))") == 0)
    let digest = StoreRecordTests.digest(number == 1 ? "c" : "d")
    return ImageLayer(number: number, diff: digest, bytes: 1, blob: digest, size: 1, mediaType: "x")
  }

  /// Starts a zone and waits for the end of its command; what that printed.
  private func output(of name: String, _ zones: Zonectl) throws -> String {
    try zones.ok("start", name)
    try zones.ok("wait", name)
    return try zones.ok("logs", name).out
  }

  /// Every file of every layer, with all that could have changed.
  private func all(of store: ImageStore) throws -> [String] {
    try Command.text("find", store.layers, "-printf", "%P %y %m %U:%G %s %l %T@\\n").split(separator: "\n").map(
      String.init
    )
    .sorted()
  }

  @Test func itsLayersAreSeenAndOnlyItsOwnIsWritten() throws {
    try Zonectl.with { zones in
      let store = try makeImage(zones)
      let before = try all(of: store)
      try zones.ok(run + ["a", "--", "sleep", "infinity"])
      try zones.ok("start", "a")
      let look =
        "cat /kept /replaced; ls -d /deleted 2>/dev/null; ls /closed; stat -c '%a %u' /; touch /mine; rm /kept; mkdir /closed/new; ls /closed"
      #expect(try zones.ok("exec", "a", "--", "sh", "-c", look).out == "keptanother751 0\nnew\n")
      try zones.ok("stop", "a")
      try zones.ok("start", "a")
      #expect(
        try zones.ok("exec", "a", "--", "sh", "-c", "ls -d /kept /mine /closed/* 2>/dev/null; true").out
          == "/closed/new\n/mine\n")
      try zones.ok(run + ["b", "--", "cat", "/kept"])
      #expect(try output(of: "b", zones) == "kept")
      #expect(try all(of: store) == before)
      try zones.ok("delete", "--force", "--yes", "a", "b")
      #expect(try all(of: store) == before)
    }
  }

  @Test func whatTheImageSaysIsDone() throws {
    try Zonectl.with { zones in
      var use = ImageUse()
      use.entrypoint = ["/bin/sh", "-c", #"echo "$0 $(id -u):$(id -g) $(id -G) $PWD $A $B""#]
      use.command = ["first"]
      use.environment = ["A": "1", "B": "2", "PATH": "/bin"]
      use.user = "app"
      use.workdir = "/made/here"
      use.stopSignal = 10
      _ = try makeImage(zones, use)
      try zones.ok(run + ["a"])
      #expect(try output(of: "a", zones) == "first 1234:1235 1235 1300 /made/here 1 2\n")
      try zones.ok(run + ["--env", "B=3", "--user", "0", "--workdir", "/tmp", "b", "--", "words"])
      #expect(try output(of: "b", zones) == "words 0:0 0 /tmp 1 3\n")
      #expect(
        try zones.ok("run", "--rm", "--image", "oci:box:1", "--network", "none").out
          == "first 1234:1235 1235 1300 /made/here 1 2\n")
    }
  }

  @Test func aRunLeavesNothing() throws {
    try Zonectl.with { zones in
      let store = try makeImage(zones)
      let before = try all(of: store)
      let run = ["run", "--rm", "--image", "oci:box:1", "--network", "none", "--"]
      #expect(
        try zones.ok(run + ["sh", "-c", "touch /mine; rm -r /kept /closed; mkdir /closed; ls /closed; stat -c %a /"])
          .out == "751\n")
      #expect(try all(of: store) == before)
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: zones.root + "/run").filter { !$0.hasPrefix(".") } == [])
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: zones.root + "/data").filter { !$0.hasPrefix(".") } == [])
    }
  }

  @Test func aNameThatMovesChangesNoZone() throws {
    try Zonectl.with { zones in
      let store = try makeImage(zones)
      try zones.ok(run + ["a", "--", "cat", "/replaced"])
      var other = try #require(try store.image(StoreRecordTests.digest("a")))
      other.manifest = StoreRecordTests.digest("e")
      other.layers.removeFirst()
      other.stack = [1]
      try store.write(other)
      try name(store, "box:1", other.manifest)
      #expect(try output(of: "a", zones) == "another")
      try zones.ok(run + ["b", "--", "cat", "/replaced"])
      #expect(try output(of: "b", zones) == "replaced")
    }
  }

  @Test func whatIsNotHereIsRefusedAndLeavesNothing() throws {
    try Zonectl.with { zones in
      for options in [["create"], ["run", "--rm"], ["run"]] {
        let words =
          options + ["--pull", "never", "--image", "oci:nobody", "--network", "none"]
          + (options == ["create"] ? ["a"] : ["--name", "a"])
        let status: CInt = options == ["create"] ? 1 : 125
        #expect(
          try zones.refused(words + ["--", "true"], status: status).contains("no image nobody:latest is here"))
        #expect(try zones.list().isEmpty)
        #expect(!FileManager.default.fileExists(atPath: zones.root + "/data/a"))
      }
      try zones.refused(["create", "--image", "oci:Bad Name", "a"], status: 2)
    }
  }
}
