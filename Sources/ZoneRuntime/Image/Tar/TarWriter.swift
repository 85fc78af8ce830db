internal import LinuxNS

/// Headers of an archive, the same bytes for the same entry: equal layers have equal digests.
///
/// ustar where the entry fits, with an extended header in front where it does not (POSIX.1-2017 pax(1)). Every reader takes
/// that; sparse files are written whole, as image-spec advises (layer.md, "File Attributes").
public enum TarWriter {
  /// What stands before the entry's content.
  /// - Throws: for what the format has no room for.
  public static func header(of entry: TarEntry) throws(TarError) -> [UInt8] {
    do throws(TarFault) { return try make(entry) } catch {
      throw TarError(offset: 0, path: entry.path, why: error.why)
    }
  }

  /// How many zeros follow a content of that size.
  public static func padding(after size: Int64) -> Int { Int((512 - size % 512) % 512) }

  /// The end of an archive.
  public static let end = [UInt8](repeating: 0, count: 2 * TarHeader.blockSize)

  // MARK: what does not fit

  private static func make(_ entry: TarEntry) throws(TarFault) -> [UInt8] {
    var path = entry.path
    if case .directory = entry.kind, path.last != UInt8(ascii: "/") { path.append(UInt8(ascii: "/")) }
    if case .file = entry.kind, path.last == UInt8(ascii: "/") { throw TarFault("a file's name ends with a slash") }
    guard !path.isEmpty, !path.contains(0) else { throw TarFault("an entry without a name") }
    var block = Block()
    var records: [(key: [UInt8], value: [UInt8])] = []
    func add(_ key: String, _ value: [UInt8]) { records.append((Array(key.utf8), value)) }

    if !block.put(path: path) { add("path", path) }
    switch entry.kind {
    case .link(let target), .hardLink(let target):
      guard !target.isEmpty, !target.contains(0) else { throw TarFault("a link to nothing") }
      if target.count > 100 { add("linkpath", target) }
      block.put(157, target.prefix(100))
    case .device(_, let major, let minor):
      guard block.put(329, 8, UInt64(major)), block.put(337, 8, UInt64(minor)) else {
        throw TarFault("a device \(major):\(minor)")
      }
    case .file(let size):
      guard size >= 0 else { throw TarFault("a size of \(size)") }
      if !block.put(124, 12, UInt64(size)) { add("size", Array("\(size)".utf8)) }
    case .directory, .fifo: break
    }
    _ = block.put(100, 8, UInt64(entry.mode & 0o7777))
    if !block.put(108, 8, UInt64(entry.uid)) { add("uid", Array("\(entry.uid)".utf8)) }
    if !block.put(116, 8, UInt64(entry.gid)) { add("gid", Array("\(entry.gid)".utf8)) }
    let (seconds, rest) = entry.modified.quotientAndRemainder(dividingBy: 1_000_000_000)
    let isWhole = rest == 0 && seconds >= 0 && block.put(136, 12, UInt64(seconds))
    if !isWhole { add("mtime", Array(text(ofTime: entry.modified).utf8)) }
    guard entry.xattrs.count <= PaxRecords.mostXattrs else {
      throw TarFault("more than \(PaxRecords.mostXattrs) extended attributes (setfattr -x takes some away)")
    }
    for attribute in entry.xattrs {
      guard !attribute.name.contains(UInt8(ascii: "=")), !attribute.name.contains(0) else {
        throw TarFault("an extended attribute with '=' in its name")
      }
      records.append((Array("SCHILY.xattr.".utf8) + attribute.name, attribute.value))
    }
    let header = block.finished(type(of: entry.kind))
    if records.isEmpty { return header }

    records.sort { $0.key.lexicographicallyPrecedes($1.key) }
    let body = records.flatMap { record($0.key, $0.value) }
    // Nobody who bounds what he reads would take it, and we do.
    let most = TarLimits().extensionBytes
    guard body.count <= most else {
      throw TarFault("extended attributes of \(body.count) bytes; \(most) are taken (setfattr -x takes some away)")
    }
    var before = Block()
    _ = before.put(path: Array("././@PaxHeader".utf8))
    _ = before.put(100, 8, 0o644)
    _ = before.put(124, 12, UInt64(body.count))
    let padding = [UInt8](repeating: 0, count: padding(after: Int64(body.count)))
    return before.finished(UInt8(ascii: "x")) + body + padding + header
  }

  private static func type(of kind: TarEntry.Kind) -> UInt8 {
    switch kind {
    case .file: UInt8(ascii: "0")
    case .hardLink: UInt8(ascii: "1")
    case .link: UInt8(ascii: "2")
    case .device(let isBlock, _, _): isBlock ? UInt8(ascii: "4") : UInt8(ascii: "3")
    case .directory: UInt8(ascii: "5")
    case .fifo: UInt8(ascii: "6")
    }
  }

  /// `-1.5`: seconds with as many digits as there are.
  private static func text(ofTime time: Int64) -> String {
    let magnitude = time.magnitude
    var text = "\(time < 0 ? "-" : "")\(magnitude / 1_000_000_000)"
    var fraction = magnitude % 1_000_000_000
    guard fraction > 0 else { return text }
    var digits = 9
    while fraction % 10 == 0 {
      fraction /= 10
      digits -= 1
    }
    let tail = "\(fraction)"
    text += "." + String(repeating: "0", count: digits - tail.utf8.count) + tail
    return text
  }

  /// `LENGTH KEY=VALUE\n`; the length counts its own digits.
  private static func record(_ key: [UInt8], _ value: [UInt8]) -> [UInt8] {
    let rest = key.count + value.count + 3
    var length = rest + 1
    while "\(length)".utf8.count + rest != length { length = rest + "\(length)".utf8.count }
    return Array("\(length) ".utf8) + key + [UInt8(ascii: "=")] + value + [10]
  }
}

/// A header that is being filled.
private struct Block {
  private var bytes = [UInt8](repeating: 0, count: TarHeader.blockSize)

  init() {
    for (at, width) in [(100, 8), (108, 8), (116, 8), (124, 12), (136, 12)] { _ = put(at, width, 0) }
    put(257, Array("ustar".utf8) + [0, 48, 48])
  }

  mutating func put(_ at: Int, _ text: some Collection<UInt8>) {
    bytes.replaceSubrange(at..<(at + text.count), with: text)
  }

  /// Octal digits and a NUL.
  /// - Returns: whether it fits; otherwise nothing was changed.
  mutating func put(_ at: Int, _ width: Int, _ value: UInt64) -> Bool {
    let digits = Array(String(value, radix: 8).utf8)
    guard digits.count < width else { return false }
    put(at, [UInt8](repeating: 48, count: width - 1 - digits.count) + digits + [0])
    return true
  }

  /// As a name of 100 bytes, or behind a prefix of 155.
  /// - Returns: false where only its beginning fits.
  mutating func put(path: [UInt8]) -> Bool {
    if path.count <= 100 {
      put(0, path)
      return true
    }
    // The slash between the two is left out; a slash at the end belongs to the name.
    let last = path.count - 2
    for at in stride(from: min(155, last), to: 0, by: -1) where path[at] == UInt8(ascii: "/") {
      guard path.count - at - 1 <= 100 else { break }
      put(345, path[..<at])
      put(0, path[(at + 1)...])
      return true
    }
    put(0, path.prefix(100))
    return false
  }

  mutating func finished(_ type: UInt8) -> [UInt8] {
    bytes[156] = type
    put(148, [UInt8](repeating: 32, count: 8))
    let sum = bytes.reduce(UInt64(0)) { $0 + UInt64($1) }
    _ = put(148, 7, sum)  // six digits, a NUL and the blank that is there
    return bytes
  }
}
