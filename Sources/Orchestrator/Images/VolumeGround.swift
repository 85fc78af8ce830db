internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// Where a volume's files are, and those that take their place.
extension VolumeKeeper {
  /// A volume's own directory, wherever it is.
  final class Ground {
    /// Where its files are seen.
    let folder: String
    /// It is the file system of a file, mounted for us alone; nil: a directory.
    let disk: String?
    private var isOver = false

    init(folder: String, disk: String?) {
      self.folder = folder
      self.disk = disk
    }

    /// All that was written in a disk is in its file then.
    func end() {
      guard disk != nil, !isOver else { return }
      isOver = true
      umount2(folder, CInt(MNT_DETACH))
      rmdir(folder)
    }

    deinit { end() }
  }

  /// - Parameter file: of a volume that is one, another than its own.
  func ground(_ name: String, disk file: String? = nil) throws(ZoneError) -> Ground {
    if file == nil, try known(name) == .directory { return Ground(folder: path(name), disk: nil) }
    let (file, at) = (file ?? path(name), beside(name, "at"))
    try attempt("mount volume \(name)") { () throws(SyscallError) in
      try FileSystem.makeDirectories(at, mode: 0o700)
      try DiskFile.show(file, on: at)
    }
    return Ground(folder: at, disk: file)
  }

  /// Where a volume's files to be are put, and those that were. In a disk that is within the zones' sight: under names that
  /// nobody has, and what a killed one has left goes.
  func beside(_ ground: Ground, _ name: String) throws(ZoneError) -> (new: String, old: String) {
    guard ground.disk != nil else { return (beside(name, "new"), beside(name, "old")) }
    let prefix = ".zones-restore."
    let names = try attempt("look into volume \(name)") { () throws(SyscallError) in
      try FileSystem.list(ground.folder)
    }
    for left in names where left.hasPrefix(prefix) { try remove("\(ground.folder)/\(left)", name) }
    let mark = String(UInt64.random(in: 0...UInt64.max), radix: 36)
    return ("\(ground.folder)/\(prefix)\(mark).new", "\(ground.folder)/\(prefix)\(mark).old")
  }

  func isEmpty(_ ground: Ground, _ name: String) throws(ZoneError) -> Bool {
    // A user cannot look into what is closed to him and is his zone's: that counts as something.
    let names = (try? FileSystem.list(ground.folder)) ?? ["?"]
    return names.allSatisfy { ground.disk != nil && ($0 == "lost+found" || $0.hasPrefix(".zones-restore.")) }
  }

  /// Of a disk, whose own directory our folders are in.
  func keepingTime(of ground: Ground, _ body: () throws(ZoneError) -> Void) throws(ZoneError) {
    let before = ground.disk == nil ? nil : (try? FileFacts.at(ground.folder)) ?? nil
    try body()
    guard let before else { return }
    try? FileSystem.setModified(ground.folder, before.modified)  // nothing but a time
  }
}
