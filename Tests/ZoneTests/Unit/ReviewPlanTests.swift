import LinuxNS
import Testing

@testable import ZoneRuntime

/// From two looks to what is listed and done.
@Suite struct ReviewPlanTests {
  private static let started: Int64 = 1000

  private func pair(
    _ path: String, layer: FileFacts? = nil, real: FileFacts? = nil, same: Bool = false, newestBelow: Int64 = .min,
    _ change: (inout TreePair) -> Void = { _ in }
  ) -> TreePair {
    var pair = TreePair(
      path: BytePath(path), layer: layer.map { LayerEntry(facts: $0, isWhiteout: $0.isWhiteout) },
      real: real.map { RealEntry(facts: $0) }, hasSameContent: same, newestBelow: newestBelow)
    change(&pair)
    return pair
  }

  private func plan(_ pairs: [TreePair], _ choice: ReviewChoice = ReviewChoice()) -> ReviewPlan {
    ReviewPlan(pairs.sorted { $0.path < $1.path }, choice, started: Self.started)
  }

  private let file = FileFacts(kind: .file)
  private let folder = FileFacts(kind: .directory, mode: 0o755)
  private let link = FileFacts(kind: .link, mode: 0o777)
  private let whiteout = FileFacts(kind: .device)

  @Test func eachKindOfChangeHasItsLetter() {
    var other = file
    other.mode = 0o600
    var later = file
    later.modified = 5
    let plan = plan([
      pair("added", layer: file), pair("equal", layer: file, real: file, same: true),
      pair("gone", layer: whiteout, real: file), pair("gone already", layer: whiteout),
      pair("mode", layer: other, real: file, same: true), pair("modified", layer: file, real: file),
      pair("time", layer: later, real: file, same: true), pair("type", layer: link, real: file),
    ])
    #expect(plan.changes.map { $0.kind.letter }.joined() == "ADmMtT")
    #expect(plan.done == [1, 3], "equal, and gone already")
    #expect(plan.refused == [])
  }

  /// Directories before what is in them, deletions when all is there, directories' own attributes last, deepest first.
  @Test func stepsAreInAnOrderThatCanBeCutAnywhere() {
    let plan = plan([
      pair("a", layer: whiteout, real: file), pair("d", layer: folder), pair("d/e", layer: folder),
      pair("d/e/f", layer: file), pair("z", layer: file),
    ])
    #expect(
      plan.steps == [.make(1), .make(2), .place(3), .place(4), .delete(0), .settle(2), .settle(1)])
  }

  @Test func aDirectoryStandsBeforeWhatIsInItAndThatBeforeItsNeighbours() {
    let paths = ["a", "a/b", "a/b/c", "a-b", "a.c", "b"].map { BytePath($0) }
    #expect(paths.reversed().sorted() == paths)
    #expect(BytePath("a").covers(BytePath("a/b")) && !BytePath("a").covers(BytePath("a-b")))
  }

  @Test func aPathTakesTheDirectoriesItNeedsAndNothingElse() {
    let pairs = [
      pair("d", layer: folder), pair("d/one", layer: file), pair("d/two", layer: file),
      pair("e", layer: folder, real: folder),
      pair("e/f", layer: file),
    ]
    let chosen = plan(pairs, ReviewChoice(paths: [BytePath("d/one"), BytePath("e/f")]))
    #expect(chosen.steps == [.make(0), .place(1), .place(4), .settle(0)])
    #expect(chosen.changes.map { $0.path.words } == ["d", "d/one", "e/f"])
  }

  @Test func whatChangedSinceTheStartIsRefusedAndAllBelowWaits() {
    var late = file
    late.changed = Self.started + 1
    var lateFolder = folder
    lateFolder.changed = Self.started + 1
    let pairs = [
      pair("deleted", layer: whiteout, real: folder, newestBelow: Self.started + 1),
      pair("folder", layer: folder, real: lateFolder), pair("modified", layer: file, real: late),
      pair("then", layer: folder, real: late), pair("then/below", layer: file),
      pair("untouched", layer: file, real: file),
    ]
    let refusing = plan(pairs)
    #expect(refusing.refused.map { $0.path.words } == ["deleted", "modified", "then"])
    #expect(refusing.steps == [.place(5), .settle(1)])
    #expect(plan(pairs, ReviewChoice(force: true)).refused == [])
  }

  /// The ctime of a file with other names changes when one of those goes, by our own hand as well.
  @Test func aFileWithOtherNamesIsJudgedByItsContentsTime() {
    var late = file
    late.changed = Self.started + 1
    late.links = 2
    #expect(plan([pair("a", layer: file, real: late)]).refused == [])
    late.modified = Self.started + 1
    #expect(plan([pair("a", layer: file, real: late)]).refused.count == 1)
  }

  @Test func namesOfOneFileAreLinkedAgain() {
    var many = file
    many.links = 3
    many.inode = 7
    #expect(
      plan([pair("a", layer: many), pair("b", layer: many), pair("c", layer: many)]).steps == [
        .place(0), .link(1, to: 0), .link(2, to: 0),
      ])
    // One of them is there already, and what was linked is another file.
    var there = many
    there.inode = 8
    var apart = many
    apart.inode = 9
    let plan = plan([
      pair("a", layer: many), pair("b", layer: many, real: there, same: true),
      pair("c", layer: many, real: apart, same: true),
    ])
    #expect(plan.steps == [.link(0, to: 1), .link(2, to: 1)])
    #expect(plan.changes.map { $0.kind } == [.added, .modified])
  }

  @Test(arguments: [
    (["a"], false, [".git/hooks"]), ([], true, [".git/hooks"]), ([".git"], true, [".git/hooks"]),
    ([".git/hooks"], false, [".git/hooks"]), ([".git/hooks"], true, []), ([".git/hooks/x"], true, []),
  ])
  func aProtectedPathIsTakenWhereItIsNamedAndForced(paths: [String], force: Bool, refused: [String]) {
    let choice = ReviewChoice(
      paths: paths.map { BytePath($0) }, force: force, protected: [BytePath(".git/hooks"), BytePath(".envrc")])
    let plan = plan(
      [
        pair(".git", layer: folder, real: folder), pair(".git/hooks", layer: folder), pair(".git/hooks/x", layer: file),
        pair("a", layer: file),
      ], choice)
    let expected = choice.has(BytePath(".git/hooks/x")) ? refused : []
    #expect(plan.refused.map { $0.path.words } == expected)
  }

  @Test func whatIsAboveAProtectedPathDoesNotGo() {
    let choice = ReviewChoice(protected: [BytePath(".git/hooks")])
    #expect(plan([pair(".git", layer: whiteout, real: folder)], choice).refused.count == 1)
    #expect(plan([pair(".git", layer: link, real: folder)], choice).refused.count == 1)
    #expect(plan([pair(".github", layer: whiteout, real: folder)], choice).refused == [])
  }

  @Test func setIdBitsAndSocketsAreTold() {
    var bits = file
    bits.mode = 0o6755
    var inherited = folder
    inherited.mode = 0o2755
    let plan = plan([
      pair("d", layer: inherited, real: inherited), pair("s", layer: FileFacts(kind: .socket)), pair("x", layer: bits),
    ])
    #expect(plan.notes.map { $0.path.words } == ["s", "x"])
    #expect(plan.done == [1])
  }

  // MARK: overlayfs's notes

  private func entry(_ kind: FileFacts.Kind, _ xattrs: [Xattr], among: Bool = false) throws(SyscallError) -> LayerEntry
  {
    try LayerEntry(FileFacts(kind: kind), onDisk: xattrs, amongXattrWhiteouts: among, BytePath("x"))
  }

  @Test func notesOfOverlayfsAreReadAndNotTakenOver() throws {
    #expect(try entry(.directory, [Xattr("user.overlay.opaque", "y")]).isOpaque)
    let holder = try entry(.directory, [Xattr("user.overlay.opaque", "x"), Xattr("user.overlay.impure", "y")])
    #expect(!holder.isOpaque && holder.holdsXattrWhiteouts && holder.xattrs == [])
    #expect(try entry(.file, [Xattr("user.overlay.whiteout", "")], among: true).isWhiteout)
    #expect(try entry(.file, [Xattr("user.overlay.zonectl-mode", "0")]).facts.mode == 0)
    #expect(try entry(.directory, [Xattr("user.overlay.zonectl-time", "-7")]).facts.modified == -7)
    let own = try entry(.file, [Xattr("user.a", "1"), Xattr("user.overlay.overlay.opaque", "y")])
    #expect(!own.isOpaque && own.xattrs == [Xattr("user.a", "1"), Xattr("user.overlay.opaque", "y")])
  }

  @Test(arguments: ["redirect", "metacopy", "whiteout", "of-tomorrow"]) func aNoteThatIsNotUnderstoodIsAnError(
    word: String
  )
    throws
  {
    let error = #expect(throws: SyscallError.self) { try entry(.file, [Xattr("user.overlay.\(word)", "/x")]) }
    #expect(error?.description.contains(word) == true)
  }

  // MARK: names

  @Test(arguments: [
    ([UInt8]("plain name.c".utf8), "plain name.c"), ([UInt8]("grün".utf8), "grün"), ([97, 10, 98], #""a\nb""#),
    ([27, 91], #""\033[""#), ([255], #""\377""#), ([UInt8](#"a"\"#.utf8), #""a\"\\""#),
    ([UInt8]("\u{202e}x".utf8), #""\342\200\256x""#), ([32, 97], #"" a""#),
  ])
  func namesAreQuotedAndReadBack(bytes: [UInt8], words: String) {
    let path = BytePath(bytes)
    #expect(path.words == words)
    if words.hasPrefix("\"") { #expect(BytePath(quoted: words) == path) }
  }

  @Test func aWordOfTheCommandLineIsAPathBelowTheTree() throws {
    var review = Review.blank
    review.tree = "/home/me/project"
    let inside = "/home/me/project/src"
    for (word, folder, path) in [
      ("a", inside, "src/a"), ("../b/", inside, "b"), ("./x/./y", inside, "src/x/y"), ("c", "/elsewhere", "c"),
      ("/home/me/project/src//d", "/elsewhere", "src/d"), (".", inside, "src"), ("/home/me/project", inside, ""),
      (#""q\377""#, inside, "q\u{0}"),
    ] {
      let found = try review.path(word, from: folder)
      #expect(found == (path == "q\u{0}" ? BytePath([113, 255]) : BytePath(path)), "\(word)")
    }
    for word in ["../..", "/home/me/projects", "/etc", ""] {
      #expect(throws: ZoneError.self, "\(word)") { try review.path(word, from: inside) }
    }
  }
}
