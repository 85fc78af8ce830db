import Foundation
import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// What the store's records are on disk, and what of them is believed.
@Suite struct StoreRecordTests {
  static let hex = String(repeating: "0123456789abcdef", count: 4)
  static let digest = try! ContentDigest(parsing: "sha256:\(hex)")

  static func digest(_ letter: Character) -> ContentDigest {
    try! ContentDigest(parsing: "sha256:" + String(repeating: letter, count: 64))
  }

  static func image() -> ImageRecord {
    var image = ImageRecord(
      manifest: digest("a"), id: digest("b"), platform: "linux/amd64", documents: 700,
      layers: [
        ImageLayer(
          number: 3, diff: digest("c"), bytes: 10240, blob: digest("d"), size: 900,
          mediaType: "application/vnd.oci.image.layer.v1.tar+gzip"),
        ImageLayer(
          number: 2, diff: digest("e"), bytes: 512, blob: digest("e"), size: 512,
          mediaType: "application/vnd.oci.image.layer.v1.tar"),
      ], use: ImageUse())
    image.joint = 4
    image.stack = [4, 3, 2]
    image.top = 2
    image.created = "2026-01-02T03:04:05Z"
    image.use.command = ["sh"]
    image.use.environment = ["PATH": "/bin"]
    image.use.volumes = ["/data"]
    image.use.ports = ["80/tcp"]
    image.use.stopSignal = 15
    image.use.health = ImageHealth(command: ["true"])
    image.history = [ImageStep(command: "COPY", hasLayer: true)]
    return image
  }

  static func layer() -> LayerRecord {
    var notes = LayerNotes()
    notes.tellsTop = true
    notes.parents = [BytePath("etc"), BytePath([0xff, 0x2f, 0x61]), .root]
    notes.deletingFolders = [BytePath("var/\"x")]
    var layer = LayerRecord(.image, digest: digest("c"), bytes: 10240, names: 7, made: 1, notes: notes)
    layer.omissions = [BytePath("dev/null")]
    layer.omitted = 2
    return layer
  }

  static func root() -> RootRecord {
    var root = RootRecord(
      image: RootImage(name: try! ImageReference(parsing: "box:v1"), manifest: digest("a")), layers: [4, 3, 2])
    root.snapshots = [RootSnapshot(name: "before", made: 5, layers: [3, 2], top: RootTop())]
    (root.snapshots[0].expires, root.snapshots[0].warned) = (8, 7)
    root.isTemplate = true
    root.pending = RootChange(frozen: 5, layers: [5, 4, 3, 2], snapshots: root.snapshots, top: RootTop())
    return root
  }

  private func expectSame<Record: StoredRecord & Equatable>(_ record: Record, _ text: String? = nil) throws {
    #expect(record.unsound == nil)
    let bytes = try JSON.encode(record)
    #expect(try JSON.decode(Record.self, from: bytes, name: "it") == record)
    if let text { #expect(String(decoding: bytes, as: UTF8.self) == text) }
  }

  @Test func recordsAreReadAsTheyWereWritten() throws {
    try expectSame(Self.image())
    try expectSame(Self.root())
    var volume = VolumeRecord(owner: 1, made: 2, size: 3)
    (volume.expires, volume.warned, volume.labels) = (4, 5, ["a": "b"])
    try expectSame(volume)
    try expectSame(StoreRecord(ids: "host"), #"{"ids":"host","version":1}"#)
    var name = ReferenceRecord(manifest: Self.digest, index: Self.digest("a"), origin: "import", owner: 0, made: 9)
    (name.expires, name.warned) = (10, 11)
    try expectSame(
      name,
      #"{"expires":10,"index":"sha256:\#(Self.digest("a").hex)","made":9,"manifest":"sha256:\#(Self.hex)","origin":"import","owner":0,"version":1,"warned":11}"#
    )
    try expectSame(
      Self.layer(),
      #"{"bytes":10240,"digest":"sha256:\#(Self.digest("c").hex)","kind":"image","made":1,"names":7,"notes":{"deletingFolders":["\"var/\\\"x\""],"emptied":[],"hidesAll":false,"parents":[".","etc","\"\\377/a\""],"tellsTop":true},"omissions":["dev/null"],"omitted":2,"version":1}"#
    )
  }

  /// The keys stand in the order of their bytes: what is read by that order would miss others.
  @Test func keysAreInOrder() throws {
    for bytes in [
      try JSON.encode(Self.image()), try JSON.encode(Self.root()), try JSON.encode(Self.layer()),
      try JSON.encode(Self.image().use), try JSON.encode(Self.image().layers[0]),
    ] {
      let node = try JSONNode.parse(bytes)
      let keys = node.members.map { $0.key }
      #expect(keys == keys.sorted())
    }
  }

  @Test(arguments: ["", "..", "a/..", "/a", "a/", "a//b", "./a", "\"a", "\"..\"", "\"a\\000b\"", "\"a\""])
  func whatIsNoPathOfALayerIsRefused(_ words: String) throws {
    let text = Array("[\(String(decoding: try JSON.encode(words), as: UTF8.self))]".utf8)
    #expect(throws: JSONError.self) { try JSON.decode([BytePath].self, from: text, name: "it") }
  }

  @Test func whatNobodyCouldHaveWrittenIsRefused() {
    func expect(_ part: String, _ change: (inout ImageRecord) -> Void, line: Int = #line) {
      var image = Self.image()
      change(&image)
      #expect(image.unsound?.contains(part) == true, "line \(line): \(image.unsound ?? "sound")")
    }
    expect("number 0") { $0.layers[0].number = 0 }
    expect("number 1000000") { $0.layers[0].number = 1_000_000 }
    expect("joint of number 2") { $0.joint = 2 }
    expect("one layer twice") { $0.stack = [4, 3, 3] }
    expect("layer 9 is none of its own") { $0.stack = [4, 9] }
    expect("joint is not on top") { $0.stack = [3, 4] }
    expect("top of number 4") { $0.top = 4 }
    expect("-1 bytes") { $0.layers[1].size = -1 }
    expect("-1 bytes") { $0.documents = -1 }
    expect("platform") { $0.platform = "linux//x" }
    expect("no path") { $0.use.workdir = "/a/../b" }
    expect("no path") { $0.use.volumes = ["data"] }
    expect("no port") { $0.use.ports = ["80"] }
    expect("no port") { $0.use.ports = ["65536/tcp"] }
    expect("stop signal 0") { $0.use.stopSignal = 0 }
    expect("variable") { $0.use.environment = ["": "x"] }
    expect("without a command") { $0.use.health?.command = [] }
    expect("health check of -1") { $0.use.health?.interval = -1 }
    expect("user of 0") { $0.use.user = "" }
    expect("timeout of -1") { $0.use.stopTimeout = -1 }

    var layer = Self.layer()
    layer.digest = nil
    #expect(layer.unsound == "a layer of a image without a digest")
    layer = Self.layer()
    layer.bytes = -1
    #expect(layer.unsound != nil)
    layer = Self.layer()
    layer.omitted = 0
    #expect(layer.unsound != nil)

    var root = Self.root()
    root.layers = [0]
    #expect(root.unsound == "a layer of number 0")
    root.layers = [1, 1]
    #expect(root.unsound == "one layer twice")
    root = Self.root()
    root.snapshots[0].name = "../x"
    #expect(root.unsound?.contains("no snapshot's name") == true)
    root = Self.root()
    root.snapshots.append(root.snapshots[0])
    #expect(root.unsound == "two snapshots of one name")
    #expect(ReferenceRecord(manifest: Self.digest, origin: "x", owner: 0, made: 0).unsound != nil)
  }

  @Test func aLayerThatIsThereTwiceIsMountedOnce() {
    let one = Self.image().layers[0]
    let image = ImageRecord(
      manifest: Self.digest, id: Self.digest, platform: "linux/amd64", documents: 0, layers: [one, one], use: ImageUse()
    )
    #expect(image.stack == [3])
    #expect(image.bytes == 10240)
    #expect(image.unsound == nil)
  }

  // MARK: files

  private struct Odd: Error {}

  @Test func aFileThatIsNoRecordIsRefused() throws {
    try withTemporaryFolder { folder in
      let path = "\(folder)/root.json"
      #expect(try RootRecord.read(in: folder) == nil)
      try Self.root().write(in: folder)
      #expect(try RootRecord.read(in: folder) == Self.root())
      #expect(try FileSystem.list(folder) == ["root.json"])

      func expect(_ part: String, _ make: () throws -> Void, line: Int = #line) throws {
        try FileSystem.removeTree(path)
        try make()
        do {
          _ = try RootRecord.read(in: folder)
          Issue.record("line \(line): taken")
        } catch { #expect("\(error)".contains(part), "line \(line): \(error)") }
      }
      let write = { (text: String) in try FileSystem.replace(path, with: Array(text.utf8)) }
      try expect("key 'layers' is missing") { try write(#"{"version":1}"#) }
      let whole = String(decoding: try JSON.encode(RootRecord(image: nil, layers: [7])), as: UTF8.self)
      try expect("of version 2") {
        try write(whole.replacingOccurrences(of: #""version":1"#, with: #""version":2"#))
      }
      try expect("number 0") { try write(whole.replacingOccurrences(of: "[7]", with: "[0]")) }
      try expect("no regular file") { mkfifo(path, 0o600) }
      try expect("ELOOP") { symlink("/etc/passwd", path) }
      try expect("line 1") { try write("") }
      #expect(throws: ZoneError.self) { try RootRecord(image: nil, layers: [0]).write(in: folder) }
    }
  }

  // MARK: how an image is run

  private func use(_ change: (inout ImageExecution) -> Void) throws -> ImageUse {
    var said = ImageExecution()
    change(&said)
    return try ImageUse(said)
  }

  @Test func whatAnImageSaysIsTakenInTheWordsOfASpec() throws {
    let use = try use {
      $0.user = ""
      $0.workdir = "srv//./app/"
      $0.environment = ["A=1", "B", "A=2=3"]
      $0.volumes = JSONKeySet(["/data/", "/data"])
      $0.exposedPorts = JSONKeySet(["80", "53/UDP", "80/tcp"])
      $0.stopSignal = "SIGRTMIN+3"
      $0.healthcheck = ImageHealthcheck()
      $0.healthcheck?.test = ["CMD-SHELL", "a | b"]
      $0.healthcheck?.interval = 0
      $0.healthcheck?.timeout = 5
      $0.entrypoint = ["/e"]
      $0.command = ["c"]
    }
    #expect(use.user == nil && use.workdir == "/srv/app" && use.volumes == ["/data"])
    #expect(use.environment == ["A": "2=3"] && use.ports == ["80/tcp", "53/udp"] && use.stopSignal == 37)
    #expect(
      use.health?.command == ["/bin/sh", "-c", "a | b"] && use.health?.interval == nil && use.health?.timeout == 5)
    #expect(use.arguments([]) == ["/e", "c"] && use.arguments(["x"]) == ["/e", "x"])
    #expect(use.unsound == nil)
  }

  @Test func whatNobodyCanRunIsRefusedByItsField() {
    func expect(_ part: String, _ change: (inout ImageExecution) -> Void) {
      do {
        _ = try use(change)
        Issue.record("taken, and not refused for \(part)")
      } catch { #expect("\(error)".contains(part)) }
    }
    expect("WorkingDir '/a/../b'") { $0.workdir = "/a/../b" }
    expect("Volumes '..'") { $0.volumes = JSONKeySet([".."]) }
    expect("ExposedPorts have '0'") { $0.exposedPorts = JSONKeySet(["0"]) }
    expect("ExposedPorts have '80/x'") { $0.exposedPorts = JSONKeySet(["80/x"]) }
    expect("StopSignal 'SIGNO'") { $0.stopSignal = "SIGNO" }
    expect("stop timeout of -1") { $0.stopTimeout = -1 }
    for words in [["X"], ["CMD"], ["CMD-SHELL", "a", "b"]] {
      expect("Healthcheck") {
        $0.healthcheck = ImageHealthcheck()
        $0.healthcheck?.test = words
      }
    }
  }
}
