/// How much of an upload a registry has (distribution-spec, "Pushing a blob in chunks").
public enum UploadRange {
  /// - Parameter text: the header Range: `0-4095`, the last byte's number; `0-0` is one byte, or none, and is taken for none.
  /// - Returns: the next byte's number; nil where it says nothing that can be used.
  public static func end(_ text: String?) -> Int64? {
    guard let text else { return nil }
    let prefix = "bytes="
    let range = text.hasPrefix(prefix) ? text.dropFirst(prefix.utf8.count) : Substring(text)
    let ends = range.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, ends[0] == "0", (1...18).contains(ends[1].utf8.count),
      ends[1].utf8.allSatisfy({ (48...57).contains($0) }), let last = Int64(ends[1])
    else { return nil }
    return last == 0 ? 0 : last + 1
  }
}
