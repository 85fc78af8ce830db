internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Changes of the layer itself that leave what it says as it is, or forget a part of it. A directory keeps its time: that
/// is part of what the command has done.
extension ReviewTrees {
  /// Has every deleted name stand for itself: an opaque directory hides whatever the real one holds, and so would hide
  /// what an earlier apply has put there.
  func makeDeletionsExplicit() throws(SyscallError) {
    struct Folder {
      var path: BytePath
      var hides: Bool
      var isOpaque: Bool
      var isRealDirectory: Bool
    }
    var folders: [Folder] = []
    var waiting = [Folder(path: .root, hides: false, isOpaque: false, isRealDirectory: true)]
    while let folder = waiting.popLast() {
      folders.append(folder)
      let names: [[UInt8]]
      do throws(SyscallError) { names = try layer.names(folder.path) } catch {
        // Where nothing real is hidden, what cannot be reached is refused by its name later.
        guard !folder.isRealDirectory else { throw error }
        continue
      }
      for name in names {
        let path = folder.path.appending(name)
        guard path.bytes.count <= BytePath.mostBytes, let look = try layer.look(path),
          try FileFacts.of(open: look).kind == .directory, let entry = try? LayerEntry.read(layer, path)
        else { continue }
        var isReal = false
        if folder.isRealDirectory {
          do throws(SyscallError) {
            if let there = try real.look(path) { isReal = try FileFacts.of(open: there).kind == .directory }
          } catch {
            // A mount, say: all below is refused by its name, and stays as it is.
            guard folder.hides || entry.isOpaque else { continue }
            throw error
          }
        }
        waiting.append(
          Folder(
            path: path, hides: folder.hides || entry.isOpaque, isOpaque: entry.isOpaque, isRealDirectory: isReal))
      }
    }
    // What lies deeper first: until its own deletions stand, the directory above has to hide it.
    for folder in folders.sorted(by: { $0.path > $1.path }) where folder.hides {
      let directory = try layer.directory(folder.path)
      if folder.isRealDirectory {
        try keepTime(of: directory, folder.path)
        for name in try hidden(folder.path, try layer.names(folder.path)) {
          let result = name.withCString { zns_make_whiteout(directory.raw, $0) }
          try check(result, "mknod", folder.path.appending(name).words)
        }
      }
      if folder.isOpaque { try Xattr.remove(Array("user.overlay.opaque".utf8), of: directory, folder.path) }
    }
  }

  /// Before names of a directory change: its time is noted beside it, once, so that a kill loses nothing.
  private func keepTime(of folder: borrowing OwnedFD, _ path: BytePath) throws(SyscallError) {
    if try Xattr.all(of: folder, path).contains(where: { $0.isNamed(LayerEntry.timeNote) }) { return }
    let time = try FileFacts.of(open: folder).modified
    try Xattr(LayerEntry.timeNote, String(time)).set(on: folder, path)
  }

  /// Takes one entry out of the layer; a directory only where nothing is left in it.
  func forget(_ path: BytePath, isDirectory: Bool) throws(SyscallError) {
    guard !path.isRoot else { return }
    let folder = try layer.directory(path.parent)
    try keepTime(of: folder, path.parent)
    let result = path.name.withCString { unlinkat(folder.raw, $0, isDirectory ? Int32(0x200) : 0) }  // AT_REMOVEDIR
    let error = errno
    guard result == 0 else {
      if error == ENOENT || (isDirectory && (error == ENOTEMPTY || error == EEXIST)) { return }
      throw SyscallError(call: "unlink", errno: error, path: path.words)
    }
  }

  /// Takes an entry and all below it out of the layer, whatever its names and however deep.
  /// - Parameter bin: a path outside of the layer, on its file system.
  func forgetTree(_ path: BytePath, _ bin: String) throws(SyscallError) {
    let folder = try layer.directory(path.parent)
    try keepTime(of: folder, path.parent)
    let result = path.name.withCString { renameat(folder.raw, $0, AT_FDCWD, bin) }
    let error = errno
    guard result == 0 else { throw SyscallError(call: "rename", errno: error, path: path.words) }
    try FileSystem.removeTree(bin)
  }
}
