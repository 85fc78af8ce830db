import CommandLineTable
import Foundation
import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// The store itself: names, numbers, links, blobs, and what goes.
@Suite struct ImageStoreTests {
  /// A store with its place, which goes with the closure.
  struct Stand {
    let directories: Directories
    let store: ImageStore

    init(_ folder: String) throws {
      directories = try Directories.standard(root: "\(folder)/place")
      store = try ImageStore.make(directories)
    }

    static func with(_ body: (Stand) throws -> Void) throws {
      try withTemporaryFolder { (folder) throws in try body(try Stand(folder)) }
    }

    /// A layer with a file in it, in its place.
    @discardableResult
    func layer(_ digest: ContentDigest?, _ kind: LayerRecord.Kind = .image, bytes: Int64 = 1024) throws -> Int {
      let new = try store.begin()
      try FileSystem.replace("\(new.root)/file", with: Array(repeating: 1, count: 10))
      let record = LayerRecord(kind, digest: digest, bytes: bytes, names: 1, made: 1)
      try store.note(record, of: new)
      try store.place([(new, record)])
      return new.number
    }

    func blob(_ digest: ContentDigest, _ bytes: Int = 100) throws {
      let part = try #require(try store.part(digest))
      try FileSystem.write([UInt8](repeating: 7, count: bytes), to: part.file)
      try store.finish(part, as: digest)
    }

    /// An image of layers that are here, the lowest last, and its blobs.
    func image(_ letter: Character, _ layers: [(diff: Character, number: Int)], id: Character? = nil) throws
      -> ImageRecord
    {
      let manifest = StoreRecordTests.digest(letter)
      let config = StoreRecordTests.digest(id ?? letter)
      var image = ImageRecord(
        manifest: manifest, id: config, platform: "linux/amd64", documents: 200,
        layers: layers.map { layer in
          let diff = StoreRecordTests.digest(layer.diff)
          return ImageLayer(number: layer.number, diff: diff, bytes: 1024, blob: diff, size: 100, mediaType: "")
        }, use: ImageUse())
      image.use.command = ["sh"]
      for digest in [manifest, config] + image.layers.map(\.blob) where try store.size(ofBlob: digest) == nil {
        try blob(digest)
      }
      try store.write(image)
      return image
    }

    func name(_ text: String, _ image: ImageRecord, index: Character? = nil) throws {
      try store.write(
        ReferenceRecord(
          manifest: image.manifest, index: index.map(StoreRecordTests.digest), origin: "import", owner: 0, made: 1),
        as: try ImageReference(parsing: text))
    }

    func zone(_ name: String, of image: ImageRecord, as text: String = "box") throws {
      let folder = directories.data(of: name)
      try FileSystem.makeDirectories(folder)
      try RootRecord(
        image: RootImage(name: try ImageReference(parsing: text), manifest: image.manifest), layers: image.stack
      ).write(in: folder)
    }

    /// Every path of the store, with links' targets.
    func paths() throws -> [String] {
      let files = FileManager.default.enumerator(atPath: store.path)?.compactMap { $0 as? String } ?? []
      // The lock of names is made by who first wants it.
      return files.filter { $0 != "names" }.sorted().map { path in
        let link = try? FileSystem.readLink("\(store.path)/\(path)")
        return link.map { "\(path) -> \($0)" } ?? path
      }
    }
  }

  private func refusal(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return "taken"
  }

  // MARK: opening

  @Test func aStoreIsClosedToOthersAndOfOneOwner() throws {
    try withTemporaryFolder { folder in
      let directories = try Directories.standard(root: "\(folder)/place")
      #expect(try ImageStore.open(directories) == nil)
      let store = try ImageStore.make(directories)
      #expect(try FileSystem.status(store.path).st_mode & 0o7777 == 0o700)
      #expect(try String(decoding: FileSystem.read(store.record), as: UTF8.self) == #"{"ids":"host","version":1}"#)
      _ = try ImageStore.make(directories)
      #expect(try FileSystem.list(store.drafts).isEmpty)

      try FileSystem.replace(store.record, with: Array(#"{"ids":"0 5 1, 0 5 1","version":1}"#.utf8))
      #expect(
        refusal { _ = try ImageStore.open(directories) }.contains("belong to ids '0 5 1, 0 5 1', and yours are 'host'"))
      try FileSystem.replace(store.record, with: Array(#"{"ids":"host","version":2}"#.utf8))
      #expect(refusal { _ = try ImageStore.open(directories) }.contains("of version 2"))
    }
  }

  @Test func pruneWaitsForWhoAdds() throws {
    try Stand.with { stand in
      let shared = try stand.store.lock(.shared)
      let another = try stand.store.lock(.shared) { Issue.record("two who add wait for each other") }
      let file = try OwnedFD.open(stand.store.lockFile, O_RDWR)
      #expect(flock(file.raw, LOCK_EX | LOCK_NB) != 0)
      withExtendedLifetime(another) {}
      withExtendedLifetime(shared) {}
    }
  }

  // MARK: names

  @Test func aNameIsFoundByTagDigestAndId() throws {
    try Stand.with { stand in
      let one = try stand.image("a", [("c", try stand.layer(StoreRecordTests.digest("c")))], id: "1")
      let two = try stand.image("b", [], id: "2")
      try stand.name("box:v1", one, index: "f")
      try stand.name("localhost:5000/deep/er/box", two)
      let store = stand.store
      #expect(try store.resolve(ImageReference(parsing: "box:v1")) == one)
      #expect(try store.resolve(ImageReference(parsing: "box:v2")) == nil)
      #expect(try store.resolve(ImageReference(parsing: "x@\(two.manifest.text)")) == two)
      #expect(try store.resolve(ImageReference(parsing: "box@\(StoreRecordTests.digest("f").text)")) == one)
      // An index under another name is not this one's.
      #expect(try store.resolve(ImageReference(parsing: "other@\(StoreRecordTests.digest("f").text)")) == nil)
      // Whatever the tag says now.
      #expect(try store.resolve(ImageReference(parsing: "box:v1@\(two.manifest.text)")) == two)
      #expect(try store.find("localhost:5000/deep/er/box:latest").record == two)
      #expect(try store.find("1111").record == one)
      #expect(try store.find("sha256:2").record == two)
      #expect(try store.find(two.id.hex).record == two)
      #expect(try store.find(two.manifest.hex).record == two)
      #expect(refusal { _ = try store.find("3") }.contains("no image is named '3'"))
      #expect(refusal { _ = try store.find("Box") }.contains("capital letters"))
      let three = try stand.image("e", [], id: "f")
      _ = try stand.image("f", [], id: "0")
      var other = three
      other.manifest = StoreRecordTests.digest("d")
      other.id = try ContentDigest(parsing: "sha256:fe" + String(repeating: "0", count: 62))
      try store.write(other)
      #expect(refusal { _ = try store.find("f") }.contains("more than one image"))
      #expect(try store.find("fe").record == other)
      #expect(try store.allReferences().map(\.name.familiar) == ["box:v1", "localhost:5000/deep/er/box:latest"])
    }
  }

  /// Whatever is typed, its file lies below `refs`, and is found again.
  @Test(arguments: [
    "a", "a/b", "a.b/c", "[::1]:5/a", "localhost/..a", "a:new.1.2.tmp", "a:_", "con", "a/b/c/d/e/f/g:x",
  ])
  func aNameIsAPathBelowTheStore(_ text: String) throws {
    guard let name = try? ImageReference(parsing: text) else { return }
    try Stand.with { stand in
      let image = try stand.image("a", [])
      try stand.name(text, image)
      #expect(try stand.store.allReferences().map(\.name) == [name])
      #expect(stand.store.file(name).hasPrefix(stand.store.references + "/"))
      try stand.store.remove(name)
      #expect(try FileSystem.list(stand.store.references).isEmpty)
      try stand.store.remove(name)
    }
  }

  @Test func whatIsNoNameStopsWhoLooks() throws {
    try Stand.with { stand in
      let path = stand.store.references + "/docker.io/library/box"
      try FileSystem.makeDirectories(path)
      try FileSystem.replace("\(path)/:..", with: [])
      #expect(refusal { _ = try stand.store.allReferences() }.contains("is no image's name"))
      #expect(refusal { _ = try stand.store.prune(PrunePlan.Wish()) }.contains("is no image's name"))
      unlink("\(path)/:..")
      try FileSystem.replace("\(path)/:v1", with: Array("{}".utf8))
      #expect(refusal { _ = try stand.store.prune(PrunePlan.Wish()) }.contains("key 'made' is missing"))
    }
  }

  @Test func namesAreGivenAndTakenAway() throws {
    try Stand.with { stand in
      let store = stand.store
      let one = try stand.image("a", [], id: "1")
      try stand.name("box:v1", one, index: "f")
      #expect(try store.tag("box:v1", as: "box").familiar == "box:latest")
      #expect(try store.reference(ImageReference(parsing: "box"))?.index == StoreRecordTests.digest("f"))
      #expect(refusal { _ = try store.tag("box", as: "box@\(one.manifest.text)") }.contains("has no digest"))
      #expect(refusal { _ = try store.tag("none", as: "box") }.contains("no image is named"))
      #expect(refusal { _ = try store.delete("11", force: false) }.contains("it has 2 names, box:latest, box:v1"))
      try stand.zone("z", of: one)
      #expect(try store.delete("box:v1", force: false).map(\.familiar) == ["box:v1"])
      #expect(refusal { _ = try store.delete("box", force: false) }.contains("zone z was made from it"))
      #expect(try store.delete("box", force: true).map(\.familiar) == ["box:latest"])
      #expect(refusal { _ = try store.delete("11", force: true) }.contains("has no such name any more"))
    }
  }

  // MARK: layers

  @Test func numbersAreTakenOnce() throws {
    try Stand.with { stand in
      let store = stand.store
      let threads = (0..<8).map { _ in Beside { try (0..<10).map { _ in try store.begin().number } } }
      let numbers = try threads.flatMap { try $0.value() }
      #expect(Set(numbers).count == 80)
      #expect(numbers.sorted() == Array(1...80))
      let next = try stand.store.begin()
      #expect(next.number == 81)
      stand.store.abandon(next)
      #expect(try FileSystem.list(stand.store.trash).isEmpty)
    }
  }

  @Test func aLinkThatOutlivedItsLayerIsNotBelieved() throws {
    try Stand.with { stand in
      let store = stand.store
      let (c, d) = (StoreRecordTests.digest("c"), StoreRecordTests.digest("d"))
      let number = try stand.layer(c)
      #expect(try store.layer(ofDiff: c) == number)
      #expect(try store.layer(ofDiff: d) == nil)
      #expect(try store.joint(ofChain: c) == nil)
      #expect(try FileSystem.readLink("\(store.mountLinks)/000001") == "../layers/000001/root")
      #expect(FileSystem.exists("\(store.mountLinks)/000001/file"))
      #expect(FileSystem.exists("\(store.diffLinks)/\(c.path)/root/file"))
      try FileSystem.removeTree(store.layer(number))
      #expect(try store.layer(ofDiff: c) == nil)
      // The number belongs to another layer by now.
      #expect(try stand.layer(d) == number)
      #expect(try store.layer(ofDiff: c) == nil)
      #expect(try store.layer(ofDiff: d) == number)
      // And a link that leads elsewhere is replaced.
      let again = try stand.layer(c)
      #expect(try store.layer(ofDiff: c) == again)
    }
  }

  @Test func whoeverWantsALayerThatIsUnpackedWaitsAndFindsIt() throws {
    try Stand.with { stand in
      let store = stand.store
      let (c, d) = (StoreRecordTests.digest("c"), StoreRecordTests.digest("d"))
      var first: LayerClaims? = try store.claim([d, c, d])
      #expect(first?.missing == [c, d])
      let told = Happened()
      let other = Beside {
        let claims = try store.claim([c, d]) { told.set() }
        return claims.missing
      }
      #expect(eventually { told.isSet })
      try stand.layer(c)
      first = nil
      _ = first
      #expect(try other.value() == [d])
      // Nothing is left of it.
      #expect(try FileSystem.list(store.unfinished).isEmpty)
    }
  }

  // MARK: blobs

  @Test func aBlobIsThereWholeOrNotAtAll() throws {
    try Stand.with { stand in
      let store = stand.store
      let digest = StoreRecordTests.digest("a")
      // As after a kill: what there is of it stays, and nobody holds it.
      if let part = try store.part(digest) { try FileSystem.write([1, 2, 3], to: part.file) }
      #expect(try store.size(ofBlob: digest) == nil)
      let told = Happened()
      var other: Beside<Bool>?
      if let part = try store.part(digest) {
        #expect(try FileSystem.read(part.file) == [1, 2, 3])
        other = Beside { try store.part(digest) { told.set() } == nil }
        #expect(eventually { told.isSet })
        try store.finish(part, as: digest)
      }
      #expect(try other?.value() == true)
      #expect(try store.size(ofBlob: digest) == 3)
      #expect(try FileSystem.status(store.blob(digest)).st_mode & 0o777 == 0o400)
      #expect(try FileSystem.list(store.parts).isEmpty)
      let unknown = try store.part()
      store.abandon(unknown)
      #expect(try FileSystem.list(store.parts).isEmpty)
    }
  }

  // MARK: prune

  @Test func pruneRemovesWhatNothingLeadsTo() throws {
    try Stand.with { stand in
      let store = stand.store
      let shared = try stand.layer(StoreRecordTests.digest("c"))
      let own = try stand.layer(StoreRecordTests.digest("d"))
      let other = try stand.layer(StoreRecordTests.digest("e"))
      let frozen = try stand.layer(nil, .zone)
      let kept = try stand.image("a", [("d", own), ("c", shared)], id: "1")
      try stand.name("box:v1", kept)
      let before = try stand.paths()
      #expect(try store.prune(PrunePlan.Wish()).layers == [other, frozen])
      try stand.name("box:v1", kept)
      let clean = try stand.paths()
      #expect(before.count > clean.count && !clean.contains { $0.contains("000003") || $0.contains("000004") })

      let gone = try stand.image("b", [("e", try stand.layer(StoreRecordTests.digest("e"))), ("c", shared)], id: "2")
      try stand.name("gone", gone, index: "f")
      try stand.blob(StoreRecordTests.digest("f"), 5)
      #expect(try store.prune(PrunePlan.Wish()).isEmpty)
      _ = try store.delete("gone", force: false)
      // Beside it what kills have left.
      let begun = try store.begin()
      let part = try store.part()
      try FileSystem.write([1, 2], to: part.file)
      try FileSystem.replace("\(store.drafts)/5.5", with: [1])
      try FileSystem.makeDirectories("\(store.trash)/000009.0/root/deep")
      let dry = try store.prune(PrunePlan.Wish(), dry: true)
      #expect(dry.images == [gone.manifest] && dry.layers == [3] && dry.names.isEmpty)
      #expect(
        dry.blobs.map(\.text).sorted() == ["2", "b", "e", "f"].map { StoreRecordTests.digest(Character($0)).text })
      #expect(dry.leftovers.count == 4)
      #expect(dry.bytes == 1024 + 305 + 3)
      #expect(try stand.paths().count > clean.count)
      #expect(try store.prune(PrunePlan.Wish()) == dry)
      #expect(try stand.paths() == clean)
      withExtendedLifetime((begun, part)) {}
    }
  }

  @Test func whatAZoneHasStays() throws {
    try Stand.with { stand in
      let store = stand.store
      let image = try stand.image("a", [("c", try stand.layer(StoreRecordTests.digest("c")))], id: "1")
      let other = try stand.image("b", [("d", try stand.layer(StoreRecordTests.digest("d")))], id: "2")
      try stand.name("box", image)
      try stand.name("other", other)
      try stand.zone("z", of: image)
      let snapshot = try stand.layer(nil, .zone)
      let folder = stand.directories.data(of: "z")
      var root = try #require(try RootRecord.read(in: folder))
      root.snapshots = [RootSnapshot(name: "s", made: 1, layers: [snapshot] + root.layers, top: RootTop())]
      try root.write(in: folder)
      #expect(try store.prune(PrunePlan.Wish()).isEmpty)
      _ = try store.delete("box", force: true)
      #expect(try store.prune(PrunePlan.Wish()).isEmpty)
      let all = try store.prune(PrunePlan.Wish(all: true))
      #expect(all.names.map(\.familiar) == ["other:latest"] && all.images == [other.manifest] && all.layers == [2])
      let blobs = try store.prune(PrunePlan.Wish(blobs: true))
      #expect(blobs.blobs == [StoreRecordTests.digest("c")] && blobs.layers.isEmpty)
      #expect(try store.image(image.manifest) == image)

      // One that lives in its run directory alone.
      try FileSystem.call("rename", folder) { rename(folder, "\(folder)-moved") }
      try FileSystem.makeDirectories(stand.directories.run)
      try FileSystem.call("rename", folder) { rename("\(folder)-moved", stand.directories.run(of: "z")) }
      #expect(try store.prune(PrunePlan.Wish(all: true)).isEmpty)
      // Nothing is guessed of one that cannot be read.
      try FileSystem.replace("\(stand.directories.run(of: "z"))/root.json", with: Array("{}".utf8))
      #expect(refusal { _ = try store.prune(PrunePlan.Wish()) }.contains("root.json"))
      try FileSystem.removeTree(stand.directories.run(of: "z"))
      #expect(try store.prune(PrunePlan.Wish()).layers == [1, 3])
    }
  }

  @Test func sizesAreToldOfWhatIsSharedAndWhatIsNot() throws {
    try Stand.with { stand in
      let shared = try stand.layer(StoreRecordTests.digest("c"), bytes: 1000)
      let own = try stand.layer(StoreRecordTests.digest("d"), bytes: 30)
      let image = try stand.image("a", [("d", own), ("c", shared)], id: "1")
      _ = try stand.image("b", [("c", shared)], id: "2")
      try stand.name("box", image)
      let summaries = ImageSummary.all(try stand.store.look())
      #expect(summaries.map(\.own) == [30, 0] && summaries.map(\.shared) == [1000, 1000])
      #expect(summaries.map { $0.name?.familiar } == ["box:latest", nil])

      let usage = try Zones(stand.directories).usage()
      let rows = Dictionary(uniqueKeysWithValues: usage.rows.map { ($0.kind, $0) })
      #expect(rows["image"]?.bytes == 1030 && rows["image"]?.count == 2 && rows["image"]?.freeable == 0)
      #expect(rows["blob"]?.bytes == 600 && rows["blob"]?.freeable == 400)
      #expect(rows["volume"]?.count == 0 && rows["unfinished"] == nil)
    }
  }

  @Test func aTreeIsCountedThroughNoLink() throws {
    try withTemporaryFolder { folder in
      try FileSystem.makeDirectories("\(folder)/tree/a")
      try FileSystem.replace("\(folder)/large", with: [UInt8](repeating: 1, count: 1 << 20))
      let empty = TreeUsage.of("\(folder)/tree")
      symlink("\(folder)/large", "\(folder)/tree/link")
      #expect(TreeUsage.of("\(folder)/tree").bytes < empty.bytes + 100_000)
      try FileSystem.replace("\(folder)/tree/a/b", with: [UInt8](repeating: 1, count: 1 << 20))
      let one = TreeUsage.of("\(folder)/tree")
      #expect(one.bytes >= empty.bytes + 1 << 20 && !one.isPartial)
      link("\(folder)/tree/a/b", "\(folder)/tree/c")
      #expect(TreeUsage.of("\(folder)/tree").bytes < one.bytes + 100_000)
      #expect(TreeUsage.of("\(folder)/none") == TreeUsage())
    }
  }

  @Test(
    arguments: [
      (0, "0"), (-5, "0"), (1023, "1023"), (1024, "1.0K"), (1536, "1.5K"), (10 * 1024, "10K"), (1_048_575, "1023K"),
      (1 << 20, "1.0M"), (312 << 20, "312M"), (Int64.max, "7.9E"),
    ] as [(Int64, String)])
  func bytesAreTold(_ bytes: Int64, _ text: String) { #expect(Words.bytes(bytes) == text) }
}
