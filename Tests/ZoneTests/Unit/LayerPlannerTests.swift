public import LinuxNS
import Testing

@testable import ZoneRuntime

@Suite struct LayerPlannerTests {
  private func plan(_ entries: TarEntry...) throws(LayerError) -> [LayerOp] { try LayerPlanner.plan(entries) }

  private static let file = LayerAttributes(mode: 0o644)
  private static let folder = LayerAttributes(mode: 0o755)
  private static func entry(_ path: String) -> TarEntry { TarEntry(path, .file(size: 1)) }
  private static func directory(_ path: String, mode: UInt32 = 0o755) -> TarEntry {
    TarEntry(path, .directory, mode: mode)
  }

  /// The specification's own example (layer.md, "Whiteouts"), in both orders.
  @Test(arguments: [false, true]) func whereTheOpaqueMarkStandsDoesNotMatter(_ isLast: Bool) throws {
    var entries = ["a/", "a/b/", "a/b/c/"].map { Self.directory($0) } + [Self.entry("a/b/c/foo")]
    entries.insert(TarEntry("a/.wh..wh..opq", .file(size: 0)), at: isLast ? 4 : 1)
    #expect(
      try LayerPlanner.plan(entries) == [
        .directory("a", Self.folder), .directory("a/b", Self.folder), .directory("a/b/c", Self.folder),
        .file("a/b/c/foo", size: 1, Self.file), .opaque("a"), .modified("a", 0), .modified("a/b", 0),
        .modified("a/b/c", 0),
      ])
  }

  @Test func aWhiteoutIsOfTheLayersBelowAlone() throws {
    // The name is here too: a file hides what is below by itself.
    #expect(
      try plan(Self.entry("a"), TarEntry(".wh.a", .file(size: 0)), TarEntry(".wh.b", .file(size: 0))) == [
        .file("a", size: 1, Self.file), .whiteout("b"),
      ])
    // Another name of the same file does not, and neither does a folder: they are made, the folder opaque.
    #expect(
      try plan(TarEntry(".wh.d", .file(size: 0)), Self.entry("d/x")) == [
        .parent("d"), .file("d/x", size: 1, Self.file), .opaque("d"),
      ])
    // In an opaque folder nothing is left to delete.
    #expect(
      try plan(TarEntry("d/.wh.x", .file(size: 0)), TarEntry("d/.wh..wh..opq", .file(size: 0))) == [
        .parent("d"), .opaque("d"),
      ])
    #expect(try plan(TarEntry(".wh..wh..opq", .file(size: 0))) == [.opaque(.root)])
  }

  @Test func foldersThatNobodyToldOfAreNoted() throws {
    #expect(
      try plan(Self.entry("a/b/c"), Self.directory("a/", mode: 0o700)) == [
        .parent("a"), .parent("a/b"), .file("a/b/c", size: 1, Self.file),
        .attributes("a", LayerAttributes(mode: 0o700)), .modified("a", 0),
      ])
    #expect(
      try plan(Self.directory("./", mode: 0o711)) == [
        .attributes(.root, LayerAttributes(mode: 0o711)), .modified(.root, 0),
      ])
  }

  @Test func laterEntriesReplaceEarlierOnes() throws {
    #expect(
      try plan(Self.directory("a/"), Self.entry("a/x"), TarEntry("a", .link(Array("b".utf8)))) == [
        .directory("a", Self.folder), .file("a/x", size: 1, Self.file), .remove("a"),
        .link("a", target: Array("b".utf8), Self.file),
      ])
    // A folder over a folder is the same one with other attributes.
    #expect(
      try plan(Self.directory("a/"), Self.entry("a/x"), Self.directory("a", mode: 0o700)) == [
        .directory("a", Self.folder), .file("a/x", size: 1, Self.file),
        .attributes("a", LayerAttributes(mode: 0o700)), .modified("a", 0),
      ])
    // What was made of a hard link stays where its first name goes.
    #expect(
      try plan(Self.entry("a"), TarEntry("b", .hardLink(Array("./a".utf8))), Self.entry("a")) == [
        .file("a", size: 1, Self.file), .hardLink("b", to: "a"), .remove("a"), .file("a", size: 1, Self.file),
      ])
  }

  @Test func aHardLinkToALinkIsOne() throws {
    let ops = try plan(TarEntry("a", .link(Array("x".utf8))), TarEntry("b", .hardLink(Array("a".utf8))))
    #expect(ops.last == .hardLink("b", to: "a"))
    #expect(throws: LayerError.self) {
      try plan(
        TarEntry("a", .link(Array("x".utf8))), TarEntry("b", .hardLink(Array("a".utf8))), Self.entry("b/c"))
    }
  }

  /// Each step is one that a kernel would take, whatever the entries (`LayerModel`).
  @Test func noOrderOfEntriesMakesAWrongStep() throws {
    var random = SeededNumbers(state: 5)
    let names = [
      "a", "b", "a/b", "a/b/c", "b/a", ".wh.a", "a/.wh.b", "a/.wh..wh..opq", "b/a/.wh.x", ".wh..wh..opq", "./",
    ]
    var taken = 0
    for _ in 0..<4000 {
      var planner = LayerPlanner()
      var model = LayerModel()
      var isWhole = true
      for _ in 0..<Int.random(in: 1...9, using: &random) {
        let name = names.randomElement(using: &random) ?? "a"
        let kinds: [TarEntry.Kind] = [
          .file(size: 1), .directory, .directory, .link(Array("b".utf8)), .hardLink(Array("a".utf8)),
          .hardLink(Array("b/a".utf8)), .device(isBlock: false, major: 1, minor: 3), .fifo,
        ]
        let entry = TarEntry(name, kinds.randomElement(using: &random) ?? .fifo)
        do throws(LayerError) {
          for op in try planner.steps(for: entry) { try carryOut(op, &model) }
        } catch {
          isWhole = false
          break
        }
      }
      guard isWhole else { continue }
      taken += 1
      for op in planner.lastSteps() { try carryOut(op, &model) }
      try model.checkEnd()
    }
    #expect(taken > 500, "hardly any order was taken")
  }

  private func carryOut(_ op: LayerOp, _ model: inout LayerModel) throws(LayerError) {
    do throws(Finding) { try model.carryOut(op) } catch { Issue.record("\(error)") }
  }

  /// What takes a thousand names away costs what one does.
  @Test func aFolderThatComesAndGoesCostsNoMoreThanItsEntries() throws {
    var planner = LayerPlanner()
    var steps = 0
    for round in 0..<200 {
      for index in 0..<50 { steps += try planner.steps(for: Self.entry("a/\(round)/\(index)")).count }
      steps += try planner.steps(for: Self.entry("a")).count
      steps += try planner.steps(for: Self.directory("a")).count
    }
    #expect(steps == 200 * (1 + 50 + 2 + 2) + 1)
  }
}

/// splitmix64: the same numbers in each run.
struct SeededNumbers: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

extension BytePath: ExpressibleByStringLiteral {
  public init(stringLiteral text: String) { self.init(text) }
}
