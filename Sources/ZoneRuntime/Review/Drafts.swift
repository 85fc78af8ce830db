internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Names of our own in the real tree, each of which is there for moments. The one that is about to be used is written down
/// before it is, so that whoever applies after a kill takes it away.
struct Drafts: ~Copyable {
  private let pending: OwnedFD
  private let token: String
  private var count = 0
  private static let prefix = ".zonectl-"

  private init(_ pending: consuming OwnedFD, _ token: String) {
    self.pending = pending
    self.token = token
  }

  static func of(_ review: Review) throws(SyscallError) -> Drafts {
    var random: UInt64 = 0
    try check(zns_random(&random, 8), "getrandom")
    let pending = try OwnedFD.open(review.pending, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    return Drafts(pending, String(random, radix: 16))
  }

  /// A name that nobody can have guessed.
  mutating func next(in folder: BytePath) throws(SyscallError) -> String {
    count += 1
    let name = "\(Self.prefix)\(token)-\(count)"
    let bytes = folder.appending(Array(name.utf8)).bytes + [0]
    // One call for all of it: a kill leaves the last name or this one.
    let written = bytes.withUnsafeBytes { pwrite(pending.raw, $0.baseAddress, $0.count, 0) }
    let error = errno
    guard written == bytes.count else {
      throw SyscallError(call: "write", errno: written < 0 ? error : ENOSPC, path: "pending")
    }
    return name
  }

  /// Removes what a killed apply was about to put in place, or has replaced.
  func recover(in real: borrowing TreeFD) throws(SyscallError) {
    let bytes = try FileSystem.read(pending, limit: 8192, name: "pending")
    guard let end = bytes.firstIndex(of: 0) else { return }
    let path = BytePath(Array(bytes[..<end]))
    guard path.name.starts(with: Self.prefix.utf8), let parent = try real.look(path.parent) else { return }
    try FileSystem.removeTree("/proc/self/fd/\(parent.raw)/\(String(decoding: path.name, as: UTF8.self))")
    try forget()
  }

  func forget() throws(SyscallError) {
    try FileSystem.call("ftruncate", "pending") { ftruncate(pending.raw, 0) }
  }
}

/// A directory of the real tree in which names are to change: writable to us, who own it, for that time.
struct RealFolder: ~Copyable {
  let fd: OwnedFD
  let facts: FileFacts
  private let path: BytePath
  /// The mode to go back to.
  private var before: UInt32?

  init(_ real: borrowing TreeFD, _ path: BytePath) throws(SyscallError) {
    let fd = try real.directory(path)
    let facts = try FileFacts.of(open: fd)
    var before: UInt32?
    if geteuid() != 0, facts.uid == geteuid(), facts.mode & 0o700 != 0o700 {
      try fd.setMode(facts.mode | 0o700, path)
      before = facts.mode
    }
    self.fd = fd
    self.facts = facts
    self.path = path
    self.before = before
  }

  /// For good.
  mutating func setMode(_ mode: UInt32) throws(SyscallError) {
    try fd.setMode(mode, path)
    before = nil
  }

  deinit {
    if let before { try? fd.setMode(before, path) }  // best effort: a step's own error is the one to tell
  }
}
