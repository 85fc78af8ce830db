internal import CLinuxNS
internal import Glibc
internal import LayerUnpacking
internal import LinuxNS
public import ZoneRuntime

/// Backup: all that a volume has, of one moment.
extension VolumeKeeper {
  /// One tar with all that is in it. Of a volume in use as it was at one moment: where the file system shares blocks
  /// between files of a copy, otherwise while the zones that may write in it are frozen; which is told. Nobody stands still
  /// for who reads a pipe.
  public func back(up name: String, to file: String, _ compression: MediaType.Compression) throws(ZoneError) {
    _ = try known(name)
    var lock: VolumeLock? = try zones.hold(volume: name)
    defer { withExtendedLifetime(lock) {} }
    let ground = try ground(name)
    _ = try beside(ground, name)
    do throws(ImageError) {
      try ArchiveOutput.write(to: file) { (output, words) throws(ImageError) in
        var hold = try stored { () throws(ZoneError) in try self.hold(writersOf: [name]) }
        defer { _ = try? hold.end() }
        let ended = { (hold: inout Hold) throws(ImageError) -> String? in
          try stored { () throws(ZoneError) in try hold.end() }
        }
        guard !hold.isEmpty else { return try pack(ground.folder, compression, output, words) }
        if ground.disk == nil, sharesBlocks() {
          let copy = beside(name, "old")
          try stored { () throws(ZoneError) in try makeEmpty(copy, name) }
          defer { try? remove(copy, name) }
          try copyTree(ground.folder, to: copy)
          if let told = try ended(&hold) { notice("\(told), while a copy was made that shares its blocks") }
          return try pack(copy, compression, output, words)
        }
        if ArchiveOutput.isFile(output) {
          try pack(ground.folder, compression, output, words)
          if let told = try ended(&hold) { notice("\(told), while it was read") }
          return
        }
        let waiting = try stored { () throws(ZoneError) in try nameless(name) }
        let place = "beside the volume, where it waits for who reads it (name a file, and it need not)"
        try pack(ground.folder, compression, waiting, place)
        if let told = try ended(&hold) { notice("\(told), while it was read") }
        // Nor does who starts a zone with the volume wait for him.
        ground.end()
        lock = nil
        try ArchiveOutput.send(waiting, to: output, words)
      }
    } catch { throw .refused("cannot back volume \(name) up: \(error)") }
  }

  /// What is in a volume as a blob of a store: its lock is held, and its writers are frozen.
  func archive(_ name: String, in store: ImageStore) throws(ImageError) -> ArchivedZone.Volume {
    var volume = ArchivedZone.Volume()
    volume.name = name
    let record = try stored { () throws(ZoneError) in try zones.volumeRecord(name) }
    volume.labels = record?.labels ?? [:]
    let ground = try stored { () throws(ZoneError) in try self.ground(name) }
    if let disk = ground.disk {
      volume.disk = ((try? FileFacts.at(disk)) ?? nil)?.size ?? 0
    } else {
      volume.size = record?.size
    }
    let part = try stored { () throws(ZoneError) in try store.part() }
    do throws(ImageError) {
      var (hash, size) = (BlobHash(), Int64(0))
      try pack(ground.folder, .gzip, part.file, part.path) { bytes in
        hash.update(bytes)
        size += Int64(bytes.count)
      }
      let digest = hash.digest
      try stored { () throws(ZoneError) in try store.finish(part, as: digest) }
      volume.files = ImageDescriptor(
        mediaType: MediaType.layer(.gzip, isDistributable: true).name, digest: digest, size: size)
    } catch {
      store.abandon(part)
      throw ImageError("volume \(name): \(error)")
    }
    return volume
  }

  private func copyTree(_ from: String, to: String) throws(ImageError) {
    let said: PackAnswer
    do {
      let tree = try OwnedFD.open(from, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      let target = try OwnedFD.open(to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      let nothing = try nothing()
      said = try OwnerProcess.start(
        "copy-tree", NoOrder(), fds: [tree.raw, target.raw, nothing.raw], program: program
      )
      .heard(PackAnswer.self)
    } catch { throw ImageError("\(error)") }
    if let why = said.error { throw ImageError(why) }
    tellOmissions(said.read.omissions, said.read.omitted, "an archive")
  }

  private func pack(
    _ folder: String, _ compression: MediaType.Compression, _ output: borrowing OwnedFD, _ words: String,
    wrote: (UnsafeRawBufferPointer) -> Void = { _ in }
  ) throws(ImageError) {
    do {
      let tree = try OwnedFD.open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW)
      let encoder = try LayerEncoder(compression)
      let pipe = try OwnedFD.pipe()
      let nothing = try nothing()
      let running = try OwnerProcess.start(
        "pack-tree", NoOrder(), fds: [tree.raw, pipe.second.raw, nothing.raw], program: program)
      let archive = pipe.takeFirst()  // its other end is the program's alone now
      try ArchiveOutput.encode(archive, by: encoder) { bytes in
        wrote(bytes)
        let error = FileSystem.write(all: bytes, to: output)
        if error != 0 { throw SyscallError(call: "write", errno: error, path: words) }
      }
      // An archive that was cut is none: only who made it knows.
      let answer = try running.heard(PackAnswer.self)
      if let why = answer.error { throw ImageError(why) }
      tellOmissions(answer.read.omissions, answer.read.omitted, "an archive")
    } catch let error as ImageError { throw error } catch { throw ImageError("\(error)") }
  }

  /// A file beside the volumes that goes with its descriptor.
  private func nameless(_ name: String) throws(ZoneError) -> OwnedFD {
    let path = beside(name, "new")
    try remove(path, name)
    return try attempt("make \(path)") { () throws(SyscallError) in
      let file = try OwnedFD.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      try FileSystem.call("unlink", path) { unlink(path) }
      return file
    }
  }

  /// A directory that is removed: in it there can be nothing.
  private func nothing() throws(SyscallError) -> OwnedFD {
    var path = Array("\(directories.volumes)/.nothing.XXXXXX".utf8CString)
    guard mkdtemp(&path) != nil else { throw SyscallError(call: "mkdtemp", errno: errno, path: directories.volumes) }
    let made = path.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    defer { rmdir(made) }
    return try OwnedFD.open(made, O_PATH | O_DIRECTORY | O_NOFOLLOW)
  }

  /// btrfs and xfs do (ioctl_ficlone(2)).
  private func sharesBlocks() -> Bool {
    let open = { [directories] () throws(SyscallError) in
      try OwnedFD.open(directories.volumes, O_RDWR | O_DIRECTORY | 0x40_0000 /* O_TMPFILE */, mode: 0o600)
    }
    guard let one = try? open(), let two = try? open(),
      (try? FileSystem.write([UInt8](repeating: 1, count: 1 << 16), to: one)) != nil
    else { return false }
    return zns_share_content(two.raw, one.raw) >= 0
  }
}
