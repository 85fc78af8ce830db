internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The steps of a plan on the real tree. Each name is new or old to whoever reads it, never half (rename(2)); everything
/// is reached by descriptors that no link led to.
struct ReviewSteps: ~Copyable {
  private let pairs: [TreePair]
  private var drafts: Drafts
  /// What was put in place, by the index of its pair.
  private var placed: [Int: FileFacts] = [:]

  init(_ pairs: [TreePair], _ drafts: consuming Drafts) {
    self.pairs = pairs
    self.drafts = drafts
  }

  mutating func carryOut(_ step: ReviewStep, _ trees: borrowing ReviewTrees) throws(SyscallError) {
    let pair = pairs[step.pair]
    switch step {
    case .make: try make(pair, trees)
    case .place(let index): try place(index, pair, trees)
    case .link(_, to: let other): try link(pair, to: other, trees)
    case .delete: try delete(pair, trees)
    case .settle: try settle(pair, trees)
    }
  }

  consuming func end() throws(SyscallError) { try drafts.forget() }

  // MARK: steps

  private mutating func make(_ pair: TreePair, _ trees: borrowing ReviewTrees) throws(SyscallError) {
    guard let entry = pair.layer else { return }
    let folder = try RealFolder(trees.real, pair.path.parent)
    // What its owner alone may enter is closed from the beginning; the rest comes when it is settled.
    let mode = entry.facts.mode & 0o777 | 0o700
    guard pair.real != nil else {
      let result = pair.path.name.withCString { mkdirat(folder.fd.raw, $0, mode) }
      let error = errno
      guard result == 0 else { throw SyscallError(call: "mkdir", errno: error, path: pair.path.words) }
      return
    }
    let draft = try drafts.next(in: pair.path.parent)
    try FileSystem.call("mkdir", pair.path.words) { mkdirat(folder.fd.raw, draft, mode) }
    try putInPlace(draft, pair, folder)
  }

  private mutating func place(_ index: Int, _ pair: TreePair, _ trees: borrowing ReviewTrees) throws(SyscallError) {
    guard let entry = pair.layer else { return }
    let folder = try RealFolder(trees.real, pair.path.parent)
    let draft = try drafts.next(in: pair.path.parent)
    do throws(SyscallError) {
      switch entry.facts.kind {
      case .file: try fill(draft, pair, entry, folder, trees)
      case .link:
        let result = entry.target.withCString { symlinkat($0, folder.fd.raw, draft) }
        let error = errno
        guard result == 0 else { throw SyscallError(call: "symlink", errno: error, path: pair.path.words) }
      default:
        try check(zns_make_fifo(folder.fd.raw, draft), "mkfifo", pair.path.words)
        let fifo = try OwnedFD.openat(folder.fd.raw, draft, O_PATH | O_NOFOLLOW)
        try fifo.setMode(entry.facts.mode & 0o1777, pair.path)
      }
      if entry.facts.kind != .file { try folder.fd.setModified(entry.facts.modified, of: Array(draft.utf8), pair.path) }
    } catch {
      unlinkat(folder.fd.raw, draft, 0)  // best effort: the first error is the one to tell
      throw error
    }
    try putInPlace(draft, pair, folder)
    placed[index] = try FileFacts.of(folder.fd, pair.path.name)
  }

  private func fill(
    _ draft: String, _ pair: TreePair, _ entry: LayerEntry, _ folder: borrowing RealFolder,
    _ trees: borrowing ReviewTrees
  ) throws(SyscallError) {
    let from = try trees.layer.open(pair.path, O_RDONLY | O_NOFOLLOW)
    let facts = try FileFacts.of(open: from)
    try FileContent.expectFile(facts, pair.path)
    guard facts.inode == entry.facts.inode, facts.modified == entry.facts.modified, facts.size == entry.facts.size
    else { throw changed("take from the layer", pair.path) }
    let to = try OwnedFD.openat(
      folder.fd.raw, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
    try FileContent.copy(from, to, pair.path)
    for attribute in entry.xattrs { try attribute.set(on: to, pair.path) }
    // Whom else the real file was open to is not the command's to change.
    for power in pair.real?.powers ?? [] where power.isNamed("system.posix_acl_access") {
      try power.set(on: to, pair.path)
    }
    try to.setMode(entry.facts.mode & 0o1777, pair.path)
    try to.setModified(entry.facts.modified, pair.path)
  }

  private mutating func link(_ pair: TreePair, to other: Int, _ trees: borrowing ReviewTrees) throws(SyscallError) {
    guard let source = placed[other] ?? pairs[other].real?.facts else { return }
    let folder = try RealFolder(trees.real, pair.path.parent)
    let from = try trees.real.directory(pairs[other].path.parent)
    let draft = try drafts.next(in: pair.path.parent)
    let result = pairs[other].path.name.withCString { linkat(from.raw, $0, folder.fd.raw, draft, 0) }
    let error = errno
    guard result == 0 else { throw SyscallError(call: "link", errno: error, path: pair.path.words) }
    let made = try FileFacts.of(folder.fd, Array(draft.utf8))
    guard made?.inode == source.inode, made?.device == source.device else {
      unlinkat(folder.fd.raw, draft, 0)  // best effort, as above
      throw changed("link to", pairs[other].path)
    }
    try putInPlace(draft, pair, folder)
    // rename(2) of two names of one file does nothing and succeeds.
    unlinkat(folder.fd.raw, draft, 0)
  }

  private mutating func delete(_ pair: TreePair, _ trees: borrowing ReviewTrees) throws(SyscallError) {
    let folder = try RealFolder(trees.real, pair.path.parent)
    guard let now = try expected(pair, folder) else { return }
    guard now.kind == .directory else {
      let result = pair.path.name.withCString { unlinkat(folder.fd.raw, $0, 0) }
      let error = errno
      guard result == 0 else { throw SyscallError(call: "unlink", errno: error, path: pair.path.words) }
      return
    }
    let draft = try drafts.next(in: pair.path.parent)
    let result = pair.path.name.withCString { renameat(folder.fd.raw, $0, folder.fd.raw, draft) }
    let error = errno
    guard result == 0 else { throw SyscallError(call: "rename", errno: error, path: pair.path.words) }
    do throws(SyscallError) {
      try expectReplaced(now, draft, pair, folder)
      try removeTree(draft, folder, pair.path)
    } catch {
      // Back to where a person looks for it; best effort.
      _ = pair.path.name.withCString { zns_renameat2(folder.fd.raw, draft, folder.fd.raw, $0, Self.noReplace) }
      throw error
    }
  }

  private func settle(_ pair: TreePair, _ trees: borrowing ReviewTrees) throws(SyscallError) {
    guard let entry = pair.layer else { return }
    // What is left in the layer, for a later apply, has to be let in then.
    if entry.facts.mode & 0o700 != 0o700, try !trees.layer.names(pair.path).isEmpty { return }
    var folder = try RealFolder(trees.real, pair.path)
    let present = try Xattr.all(of: folder.fd, pair.path).filter { $0.has(prefix: "user.") }
    for attribute in entry.xattrs where !present.contains(attribute) { try attribute.set(on: folder.fd, pair.path) }
    for attribute in present where !entry.xattrs.contains(where: { $0.name == attribute.name }) {
      try Xattr.remove(attribute.name, of: folder.fd, pair.path)
    }
    let mode = Difference.settledMode(pair.path, entry, folder.facts)
    if mode != folder.facts.mode { try folder.setMode(mode) }
    // Only its owner may set a time.
    if geteuid() == 0 || folder.facts.uid == geteuid() {
      try folder.fd.setModified(entry.facts.modified, pair.path)
    }
  }

  // MARK: in place of what was looked at

  private static let noReplace: UInt32 = 1
  private static let exchange: UInt32 = 2

  private func putInPlace(_ draft: String, _ pair: TreePair, _ folder: borrowing RealFolder) throws(SyscallError) {
    var isExchanged = false
    do throws(SyscallError) {
      let isDirectory = pair.layer?.facts.kind == .directory
      guard let there = try expected(pair, folder) else { return try rename(draft, pair, folder, Self.noReplace) }
      guard (there.kind == .directory) != isDirectory else { return try rename(draft, pair, folder, 0) }
      try rename(draft, pair, folder, Self.exchange)
      isExchanged = true
      try expectReplaced(there, draft, pair, folder)
    } catch {
      // Best effort: the first error is the one to tell. What was exchanged is somebody's, and goes back.
      if isExchanged, (try? rename(draft, pair, folder, Self.exchange)) == nil { throw error }
      if unlinkat(folder.fd.raw, draft, 0) != 0 { unlinkat(folder.fd.raw, draft, Int32(0x200)) }  // AT_REMOVEDIR
      throw error
    }
    try removeTree(draft, folder, pair.path)
  }

  /// What has left its place is what was looked at, and may be removed.
  private func expectReplaced(
    _ before: FileFacts, _ draft: String, _ pair: TreePair, _ folder: borrowing RealFolder
  ) throws(SyscallError) {
    let gone = try FileFacts.of(folder.fd, Array(draft.utf8))
    guard gone?.inode == before.inode, gone?.device == before.device else { throw changed("replace", pair.path) }
  }

  private func rename(_ draft: String, _ pair: TreePair, _ folder: borrowing RealFolder, _ flags: UInt32)
    throws(SyscallError)
  {
    let result = pair.path.name.withCString { zns_renameat2(folder.fd.raw, draft, folder.fd.raw, $0, flags) }
    if result == -Int(EEXIST) { throw changed("replace", pair.path) }
    try check(result, "rename", pair.path.words)
  }

  /// What is there, where it still is what was looked at.
  private func expected(_ pair: TreePair, _ folder: borrowing RealFolder) throws(SyscallError) -> FileFacts? {
    let now = try FileFacts.of(folder.fd, pair.path.name)
    guard let now, let before = pair.real?.facts else {
      guard now == nil, pair.real == nil else { throw changed("replace", pair.path) }
      return nil
    }
    let isSame =
      now.kind == before.kind && now.inode == before.inode && now.device == before.device
      && (now.kind == .directory
        || (now.size == before.size && now.modified == before.modified
          // Other names of it may have gone since.
          && (before.links > 1 || now.changed == before.changed)))
    guard isSame else { throw changed("replace", pair.path) }
    return now
  }

  private func removeTree(_ draft: String, _ folder: borrowing RealFolder, _ path: BytePath) throws(SyscallError) {
    do throws(SyscallError) { try FileSystem.removeTree("/proc/self/fd/\(folder.fd.raw)/\(draft)") } catch {
      var told = error
      told.path = path.words
      throw told
    }
  }

  private func changed(_ doing: String, _ path: BytePath) -> SyscallError {
    SyscallError(
      call: "rename", errno: ESTALE, path: path.words,
      step: "\(doing) what somebody has changed meanwhile (look again)")
  }
}
