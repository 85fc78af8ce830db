public import LinuxNS

/// A path below a top, as `words` has it: text where it is plain, otherwise quoted with the escapes of C.
extension BytePath: JSONText {
  public var jsonText: String { words }

  public init(jsonText text: String) throws(SyntaxError) {
    let path = text == "." ? .root : text.utf8.first == UInt8(ascii: "\"") ? BytePath(quoted: text) : BytePath(text)
    // One way to write each, and nothing that leads elsewhere.
    guard let path, path.isBelowTop, path.words.utf8.elementsEqual(text.utf8) else {
      throw SyntaxError(what: "path", value: shortened(text), why: "none below a top, as it is written here")
    }
    self = path
  }

  private var isBelowTop: Bool {
    if isRoot { return true }
    guard bytes.count <= Self.mostBytes, !bytes.contains(0) else { return false }
    return bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
      !part.isEmpty && !part.elementsEqual([46]) && !part.elementsEqual([46, 46])
    }
  }
}

extension LayerNotes: JSONObject {
  public static var blank: LayerNotes { LayerNotes() }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    var (deleting, emptied, parents) = (deletingFolders.sorted(), emptied.sorted(), parents.sorted())
    try json.field("deletingFolders", &deleting)
    try json.field("emptied", &emptied)
    try json.field("hidesAll", &hidesAll)
    try json.field("parents", &parents)
    try json.field("tellsTop", &tellsTop)
    (deletingFolders, self.emptied, self.parents) = (Set(deleting), Set(emptied), Set(parents))
  }
}
