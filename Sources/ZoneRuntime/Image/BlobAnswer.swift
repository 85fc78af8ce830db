/// What an answer to the request for a blob, or for the rest of one, brings (RFC 9110 section 14, distribution-spec, "Pulling
/// blobs").
public enum BlobAnswer: Equatable, Sendable {
  /// So many bytes from here on; what was had before stays. From 0: all of it, also where only the rest was asked for.
  case bytes(from: Int64, count: Int64)
  /// What was had is no part of it: to be thrown away and asked for anew.
  case again

  /// - Parameters:
  ///   - asked: the first byte that was asked for; 0 without a range.
  ///   - size: the descriptor's: more is never taken.
  ///   - range: the header Content-Range, and Content-Length.
  /// - Throws: for an answer of another length, or of another part than asked for.
  public static func read(
    status: Int, asked: Int64, size: Int64, range: String?, length: String?
  ) throws(ImageError) -> BlobAnswer {
    let count: Int64?
    if let length {
      guard let number = number(length) else { throw ImageError("a length of '\(shortened(length))'") }
      count = number
    } else {
      count = nil
    }
    switch status {
    case 200:
      guard count ?? size == size else { throw ImageError("it has \(count ?? 0) bytes, and \(size) were promised") }
      return .bytes(from: 0, count: size)
    case 206:
      guard let range, let part = part(range), part.first == asked, part.last == size - 1, part.whole ?? size == size,
        count ?? (size - asked) == size - asked
      else {
        throw ImageError("bytes \(asked) to \(size - 1) were asked for, and it sends '\(shortened(range ?? "others"))'")
      }
      return .bytes(from: asked, count: size - asked)
    case 416 where asked > 0: return .again
    default: throw ImageError("the registry answers \(status)")
    }
  }

  /// `bytes 5-9/10`, `bytes 5-9/*`.
  private static func part(_ text: String) -> (first: Int64, last: Int64, whole: Int64?)? {
    let words = text.split(separator: " ")
    guard words.count == 2, words[0].lowerASCII == "bytes" else { return nil }
    let halves = words[1].split(separator: "/", omittingEmptySubsequences: false)
    let ends = halves[0].split(separator: "-", omittingEmptySubsequences: false)
    guard halves.count == 2, ends.count == 2, let first = number(ends[0]), let last = number(ends[1]), first <= last
    else { return nil }
    if halves[1] == "*" { return (first, last, nil) }
    guard let whole = number(halves[1]) else { return nil }
    return (first, last, whole)
  }

  /// Digits alone: a sign or a blank would be read in two ways.
  private static func number(_ text: some StringProtocol) -> Int64? {
    let digits = Array(text.utf8)
    guard (1...18).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return digits.reduce(0) { $0 * 10 + Int64($1 - 48) }
  }
}
