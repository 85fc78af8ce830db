/// Where a name lies in the store: `HOST[:PORT]/PART/…/:TAG`, a folder a part.
///
/// No part of a name begins with a colon, so a tag is never taken for a part; none has a slash, is `.` or `..`, or is longer
/// than a file's name may be, so the path is one below the store whatever was typed.
extension ImageReference {
  /// A name by its digest alone is `:@sha256-…`.
  public var storePath: String { "\(name)/:\(tag ?? "@" + (digest.map { $0.text.utf8Replacing(58, 45) } ?? ""))" }

  /// The name of a file that was found.
  /// - Returns: nil for what is no name of ours.
  public init?(storePath: String) {
    guard let slash = storePath.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
    let last = storePath[storePath.utf8.index(after: slash)...]
    guard last.hasPrefix(":") else { return nil }
    let word = last.dropFirst()
    let text =
      word.hasPrefix("@")
      ? String(storePath[..<slash]) + "@" + String(word.dropFirst()).utf8Replacing(45, 58)
      : String(storePath[..<slash]) + ":" + String(word)
    guard let read = try? ImageReference(parsing: text), read.storePath == storePath else { return nil }
    self = read
  }
}

extension String {
  fileprivate func utf8Replacing(_ old: UInt8, _ new: UInt8) -> String {
    String(decoding: utf8.map { $0 == old ? new : $0 }, as: UTF8.self)
  }
}
