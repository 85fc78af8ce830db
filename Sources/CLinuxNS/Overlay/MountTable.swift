/// A mount as proc_pid_mountinfo(5) tells it.
public struct MountEntry: Equatable, Sendable {
  public var id: Int
  public var parent: Int
  /// Of the file system, `254:0`.
  public var device: String
  /// Which path of the file system is shown.
  public var root: String
  /// Below the root of the process that was asked about.
  public var target: String
  /// The mount's own: `ro`, `nosuid` …
  public var options: [String]
  /// `shared:1`, `master:2` …; none where nothing that is mounted crosses.
  public var peers: [String]
  public var type: String
  /// The file system's, as text, since a value may hold any byte.
  public var superOptions: String
}

/// The mounts of a namespace.
public enum MountTable {
  public static func read(_ path: String) throws(SyscallError) -> [MountEntry] { parse(try FileSystem.read(path)) }

  /// Lines that are none of the format's are left out: the kernel writes no such.
  /// - Parameter wants: by the file system's type. A line of another costs next to nothing: a machine has hundreds, and
  ///   starts come by here.
  public static func parse(_ bytes: [UInt8], where wants: (ArraySlice<UInt8>) -> Bool = { _ in true }) -> [MountEntry] {
    var entries: [MountEntry] = []
    // 31 23 0:28 /root /target options [peers…] - type source superoptions
    for line in bytes.split(separator: 10) {
      guard let type = type(in: line), wants(type) else { continue }
      let words = line.split(separator: 32, omittingEmptySubsequences: false)
      guard let dash = words.firstIndex(where: { $0.elementsEqual("-".utf8) }), dash >= 6, words.count > dash + 3,
        let id = Int(text(words[0])), let parent = Int(text(words[1]))
      else { continue }
      entries.append(
        MountEntry(
          id: id, parent: parent, device: text(words[2]), root: unescape(words[3]), target: unescape(words[4]),
          options: words[5].split(separator: UInt8(ascii: ",")).map(text), peers: words[6..<dash].map(text),
          type: text(words[dash + 1]), superOptions: unescape(words[dash + 3])))
    }
    return entries
  }

  /// What comes after ` - `; no field has a space in it.
  private static func type(in line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    let (space, minus) = (UInt8(ascii: " "), UInt8(ascii: "-"))
    var at = line.startIndex
    while let dash = line[at...].firstIndex(of: minus) {
      at = dash + 1
      if dash > line.startIndex, at < line.endIndex, line[dash - 1] == space, line[at] == space {
        return line[(at + 1)...].prefix { $0 != space }
      }
    }
    return nil
  }

  private static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

  /// Space, tab, newline and backslash are written as `\040` and so on.
  public static func unescape(_ text: ArraySlice<UInt8>) -> String {
    guard text.contains(UInt8(ascii: "\\")) else { return String(decoding: text, as: UTF8.self) }
    var bytes: [UInt8] = []
    var rest = text
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3,
        let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
