public import LinuxNS

/// A run on a writable layer over a real tree, and where the layer is kept until a person has decided: `review.json`,
/// `upper/` and `work/` (overlayfs's) in a folder of the review's own.
public struct Review: Sendable, Equatable {
  static let currentVersion = 1
  public var version = Review.currentVersion
  /// A DNS label.
  public var id: String
  /// The tree's path when the run began, with no link in it.
  public var tree: String
  var identity: TreeIdentity
  /// When the run began, in nanoseconds since 1970 by the clock that files are stamped with: what has changed in the real
  /// tree later than this, the command may not have seen.
  public var started: UInt64
  public var command: [String]
  /// Where all this lies; not in the file.
  public internal(set) var folder = ""

  public var upper: String { "\(folder)/upper" }
  public var work: String { "\(folder)/work" }
  var record: String { "\(folder)/review.json" }
  /// Names what an apply is about to make in the real tree under a name of its own (`Drafts`).
  var pending: String { "\(folder)/pending" }
}

/// By what a directory is known again, also after a reboot, when devices may have other numbers.
struct TreeIdentity: Sendable, Equatable {
  var inode: UInt64
  var device: UInt64
  /// statfs(2)'s f_fsid.
  var filesystem: UInt64
  var bootId: String

  static func of(_ directory: borrowing OwnedFD) throws(SyscallError) -> TreeIdentity {
    let facts = try FileFacts.of(open: directory)
    return TreeIdentity(
      inode: facts.inode, device: facts.device, filesystem: try directory.filesystemId(),
      bootId: try BootId.current())
  }

  func isSame(as other: TreeIdentity) -> Bool {
    inode == other.inode && (bootId == other.bootId ? device == other.device : filesystem == other.filesystem)
  }
}

extension Review: JSONObject {
  public static var blank: Review { Review(id: "", tree: "", identity: .blank, started: 0, command: []) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("command", &command)
    try json.field("id", &id)
    try json.field("identity", &identity)
    try json.field("started", &started)
    try json.field("tree", &tree)
    try json.field("version", &version)
  }
}

extension TreeIdentity: JSONObject {
  static var blank: TreeIdentity { TreeIdentity(inode: 0, device: 0, filesystem: 0, bootId: "") }

  /// Numbers of 64 bits as text: JSON's have 63.
  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("bootId", &bootId)
    var texts = [device, filesystem, inode].map { String($0, radix: 16) }
    try json.field("device", &texts[0])
    try json.field("filesystem", &texts[1])
    try json.field("inode", &texts[2])
    var numbers: [UInt64] = []
    for text in texts {
      guard let number = UInt64(text, radix: 16) else { throw JSONError(why: "expected a hexadecimal number") }
      numbers.append(number)
    }
    (device, filesystem, inode) = (numbers[0], numbers[1], numbers[2])
  }
}

/// Held by the run for as long as the command may write to the layer, and by whoever looks at it or changes it after.
public struct ReviewLock: ~Copyable, Sendable {
  /// flock(2) is on this open directory: a child that inherits it goes on holding the lock.
  public let file: OwnedFD
}
