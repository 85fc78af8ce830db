import LinuxNS
import Testing

@testable import ZoneRuntime

/// What an unpacker says of a layer, and what the store keeps of it.
@Suite struct LayerNotesJSONTests {
  @Test func notesComeBackAsTheyWere() throws {
    var notes = LayerNotes()
    #expect(try JSON.decode(LayerNotes.self, from: JSON.encode(notes), name: "notes") == notes)
    notes.parents = [BytePath("a"), BytePath("a/b c"), BytePath([0xff, 0x0a, 0x22]), BytePath(" é ")]
    notes.emptied = [BytePath("a")]
    notes.deletingFolders = [.root, BytePath("\u{202e}x")]
    (notes.hidesAll, notes.tellsTop) = (true, true)
    let text = try JSON.encode(notes)
    #expect(try JSON.decode(LayerNotes.self, from: text, name: "notes") == notes)
    #expect(text.allSatisfy { $0 >= 32 }, "one line")
  }

  /// Who looks for them in other layers goes nowhere else.
  @Test(arguments: [
    "", "/", "/a", "a/", "a//b", "..", "a/..", "../a", "./a", "a/.", "\"a\"", "\"\\000\"", "\"a", "a\\000b\"",
    "\"\\056.\"",
  ])
  func aPathThatIsNoneBelowTheTopIsRefused(_ text: String) {
    #expect(throws: SyntaxError.self) { try BytePath(jsonText: text) }
  }

  @Test func idsThatTheCallerHasNotAreTold() throws {
    var entry = TarEntry("f", .file(size: 0))
    var limits = LayerLimits()
    (limits.ids, limits.fewIds) = (1, "you have few")
    (entry.uid, entry.gid) = (0, 3)
    let few = #expect(throws: LayerError.self) { try LayerPlanner.plan([entry], limits: limits) }
    #expect(few?.why == "it belongs to group 3, and you have few")
    entry.uid = 65536
    let none = #expect(throws: LayerError.self) { try LayerPlanner.plan([entry], limits: limits) }
    #expect(none?.why == "it belongs to user 65536, and a zone has ids below 65536")
  }

  @Test func depthIsBounded() throws {
    let path = { (depth: Int) in String(repeating: "d/", count: depth) + "f" }
    #expect(try LayerPlanner.plan([TarEntry(path(1024), .file(size: 0))]).count == 1025)
    let deep = #expect(throws: LayerError.self) { try LayerPlanner.plan([TarEntry(path(1025), .file(size: 0))]) }
    #expect(deep?.why == "it lies more than 1024 folders deep")
  }
}
