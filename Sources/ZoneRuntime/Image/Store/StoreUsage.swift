internal import Glibc
internal import LinuxNS

/// Where space goes in a place, and what `prune` would free of it.
public struct StoreUsage: Equatable, Sendable {
  public struct Row: Equatable, Sendable, JSONObject {
    public var kind: String
    public var count: Int
    public var bytes: Int64
    /// Of what `zonectl image prune` removes.
    public var freeable: Int64
    /// What could not be looked at is not in it.
    public var isPartial: Bool

    public static var blank: Row { Row(kind: "", count: 0, bytes: 0, freeable: 0, isPartial: false) }

    public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("bytes", &bytes)
      try json.field("count", &count)
      try json.field("freeable", &freeable)
      try json.field("kind", &kind)
      try json.field("partial", &isPartial)
    }
  }

  public var rows: [Row] = []
}

extension StoreUsage: JSONObject {
  public static var blank: StoreUsage { StoreUsage() }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) { try json.field("usage", &rows) }
}

extension Zones {
  /// Looks at everything the place has: the larger it is, the longer it takes.
  public func usage() throws(ZoneError) -> StoreUsage {
    var usage = StoreUsage()
    if let store = try ImageStore.open(directories) { usage.rows = try store.usage() }
    let zones = try attempt("look at the zones") { () throws(SyscallError) in try Self.names(in: directories.data) }
    var writable = StoreUsage.Row(kind: "writable", count: 0, bytes: 0, freeable: 0, isPartial: false)
    var logs = StoreUsage.Row(kind: "log", count: 0, bytes: 0, freeable: 0, isPartial: false)
    for zone in zones where isDNSLabel(zone) {
      let folder = directories.data(of: zone)
      for name in try attempt("look at zone \(zone)", { () throws(SyscallError) in try Self.names(in: folder) }) {
        if ["root", "own", "upper"].contains(name) {
          writable.add(TreeUsage.of("\(folder)/\(name)"), counting: true)
        } else if name == "log" || name.hasPrefix("log.") {
          logs.add(TreeUsage.of("\(folder)/\(name)"), counting: true)
        }
      }
    }
    var volumes = StoreUsage.Row(kind: "volume", count: 0, bytes: 0, freeable: 0, isPartial: false)
    for name in try attempt(
      "look at the volumes", { () throws(SyscallError) in try Self.names(in: directories.volumes) })
    {
      volumes.add(TreeUsage.of("\(directories.volumes)/\(name)"), counting: true)
    }
    var caches = StoreUsage.Row(kind: "cache", count: 0, bytes: 0, freeable: 0, isPartial: false)
    for name in ["etc", "seccomp"] where FileSystem.exists("\(directories.shared)/\(name)") {
      caches.add(TreeUsage.of("\(directories.shared)/\(name)"), counting: true)
    }
    usage.rows += [writable, volumes, logs, caches]
    return usage
  }

  private static func names(in folder: String) throws(SyscallError) -> [String] {
    do throws(SyscallError) { return try FileSystem.list(folder) } catch {
      guard error.errno == ENOENT || error.errno == ENOTDIR else { throw error }
      return []
    }
  }
}

extension StoreUsage.Row {
  fileprivate mutating func add(_ tree: TreeUsage, counting: Bool) {
    bytes = saturatingSum(bytes, tree.bytes)
    isPartial = isPartial || tree.isPartial
    if counting { count += 1 }
  }
}

extension ImageStore {
  /// Images, snapshots and fetched bytes. Trees of images' layers are told by the size of their archives.
  func usage() throws(ZoneError) -> [StoreUsage.Row] {
    let look = try look(measuring: true)
    let plan = PrunePlan.make(look, PrunePlan.Wish(blobs: true))
    let gone = (layers: Set(plan.layers), blobs: Set(plan.blobs))
    // A layer that a snapshot has and no image is a zone's own, frozen.
    let ofImages = look.images.reduce(into: Set<Int>()) { $0.formUnion($1.numbers) }
    let frozen = look.roots.reduce(into: Set<Int>()) { $0.formUnion($1.record.numbers) }.subtracting(ofImages)
    var images = StoreUsage.Row(kind: "image", count: look.images.count, bytes: 0, freeable: 0, isPartial: false)
    var snapshots = StoreUsage.Row(kind: "snapshot", count: 0, bytes: 0, freeable: 0, isPartial: false)
    for root in look.roots { snapshots.count += root.record.snapshots.count }
    for (number, bytes) in look.layers {
      if frozen.contains(number) {
        snapshots.bytes = saturatingSum(snapshots.bytes, bytes)
      } else {
        images.bytes = saturatingSum(images.bytes, bytes)
        if gone.layers.contains(number) { images.freeable = saturatingSum(images.freeable, bytes) }
      }
    }
    var blobs = StoreUsage.Row(kind: "blob", count: look.blobs.count, bytes: 0, freeable: 0, isPartial: false)
    for (digest, bytes) in look.blobs {
      blobs.bytes = saturatingSum(blobs.bytes, bytes)
      if gone.blobs.contains(digest) { blobs.freeable = saturatingSum(blobs.freeable, bytes) }
    }
    let begun = StoreUsage.Row(
      kind: "unfinished", count: look.leftovers.count, bytes: look.leftoverBytes, freeable: look.leftoverBytes,
      isPartial: look.leftovers.contains { FileSystem.parent(of: $0) != parts })
    return [images, blobs, snapshots] + (begun.count > 0 ? [begun] : [])
  }
}

/// What a tree takes on its disk.
public struct TreeUsage: Equatable, Sendable {
  public private(set) var bytes: Int64 = 0
  /// Of them, those of files that have names elsewhere as well: who removes the tree does not free them.
  public private(set) var bytesElsewhere: Int64 = 0
  /// Something of it could not be looked at: a directory of another's ids, one that is mounted, one too deep.
  public private(set) var isPartial = false

  private struct File: Hashable {
    var device: UInt64
    var inode: UInt64
  }

  /// Through no link and into nothing that is mounted there; a file of several names counts once.
  public static func of(_ path: String) -> TreeUsage {
    var usage = TreeUsage()
    guard let status = try? FileSystem.status(path, followingLinks: false) else { return usage }
    usage.bytes = Int64(status.st_blocks) * 512
    guard status.st_mode & S_IFMT == S_IFDIR else { return usage }
    guard let top = try? OwnedFD.open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW) else {
      usage.isPartial = true
      return usage
    }
    usage.add(TreeFD(top))
    return usage
  }

  private mutating func add(_ tree: consuming TreeFD) {
    var linked: [File: (names: UInt64, bytes: Int64)] = [:]
    var waiting = [BytePath.root]
    while let folder = waiting.popLast() {
      guard let names = try? tree.names(folder), let directory = try? tree.directory(folder) else {
        isPartial = true
        continue
      }
      for name in names {
        var status = stat()
        guard name.withCString({ fstatat(directory.raw, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else { continue }
        let size = Int64(status.st_blocks) * 512
        if status.st_mode & S_IFMT == S_IFDIR {
          waiting.append(folder.appending(name))
        } else if status.st_nlink > 1 {
          let file = File(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
          let isFirst = linked[file] == nil
          // Names that are still to come.
          linked[file] = ((linked[file]?.names ?? UInt64(status.st_nlink)) - 1, size)
          if !isFirst { continue }
        }
        bytes = saturatingSum(bytes, size)
      }
    }
    for file in linked.values where file.names > 0 { bytesElsewhere = saturatingSum(bytesElsewhere, file.bytes) }
  }
}
