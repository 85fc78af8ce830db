internal import Glibc
internal import LinuxNS

/// What is in a store and who has it: all that `list`, `df` and `prune` decide by.
public struct StoreLook: Equatable, Sendable {
  public struct Name: Equatable, Sendable {
    public var name: ImageReference
    public var record: ReferenceRecord
    /// Nanoseconds since 1970.
    public var used: UInt64
  }

  public struct Root: Equatable, Sendable {
    public var zone: String
    public var record: RootRecord
  }

  public var names: [Name] = []
  public var images: [ImageRecord] = []
  public var roots: [Root] = []
  /// Those in their places, with the bytes of their archives.
  public var layers: [Int: Int64] = [:]
  public var blobs: [ContentDigest: Int64] = [:]
  /// Files and folders of what was begun, of drafts and of removals; and the bytes of those that are files.
  public var leftovers: [String] = []
  public var leftoverBytes: Int64 = 0

  public init() {}

  /// The zones that were made from an image.
  public func zones(of manifest: ContentDigest) -> [String] {
    roots.filter { $0.record.image?.manifest == manifest }.map { $0.zone }
  }

  /// Bytes of an image's layers, unpacked: those that no other image has, and those that one has.
  public func sizes(of image: ImageRecord) -> (own: Int64, shared: Int64) {
    let others = images.filter { $0.manifest != image.manifest }.reduce(into: Set<Int>()) { $0.formUnion($1.numbers) }
    var sizes: (own: Int64, shared: Int64) = (0, 0)
    for number in image.numbers {
      let bytes = layers[number] ?? 0
      if others.contains(number) {
        sizes.shared = saturatingSum(sizes.shared, bytes)
      } else {
        sizes.own = saturatingSum(sizes.own, bytes)
      }
    }
    return sizes
  }
}

extension ImageStore {
  /// - Parameter measuring: how much room zones' frozen layers take, which nobody has counted, is looked at: the larger they
  ///   are, the longer it takes.
  /// - Throws: for a record that cannot be read: without it nobody can say what is in use.
  public func look(measuring: Bool = false) throws(ZoneError) -> StoreLook {
    var look = StoreLook()
    for (name, record) in try allReferences() {
      look.names.append(StoreLook.Name(name: name, record: record, used: lastUse(name) ?? record.made))
    }
    look.images = try allImages()
    look.roots = try roots()
    let used = look.roots.reduce(into: Set<Int>()) { $0.formUnion($1.record.numbers) }
    for number in try numbers(in: layers) {
      // One without a record is nobody's, and goes with the rest.
      var bytes: Int64 = 0
      if let record = try? layerRecord(number) {
        bytes = record.bytes
        if record.kind == .zone, measuring {
          let tree = TreeUsage.of(root(ofLayer: number))
          // The files of one that was folded are another's now.
          bytes = tree.bytes - (used.contains(number) ? 0 : tree.bytesElsewhere)
        }
      }
      look.layers[number] = bytes
    }
    for digest in try digests(in: blobs) { look.blobs[digest] = try size(ofBlob: digest) ?? 0 }
    let manifests = Set(look.images.map { $0.manifest })
    for digest in try digests(in: starts) where !manifests.contains(digest) {
      look.leftovers.append(startFile(of: digest))
    }
    for folder in [unfinished, parts, drafts, trash] {
      for name in try attempt("look at \(folder)", { () throws(SyscallError) in try FileSystem.list(folder) }) {
        let path = "\(folder)/\(name)"
        look.leftovers.append(path)
        guard let status = try? FileSystem.status(path, followingLinks: false) else { continue }
        if status.st_mode & S_IFMT == S_IFREG {
          look.leftoverBytes = saturatingSum(look.leftoverBytes, Int64(status.st_size))
        }
      }
    }
    return look
  }

  /// The roots of all zones, also of those that live in their run directory alone.
  public func roots() throws(ZoneError) -> [StoreLook.Root] {
    var roots: [StoreLook.Root] = []
    for place in [directories.data, directories.run] + directories.otherRuns {
      var names: [String] = []
      do throws(SyscallError) { names = try FileSystem.list(place) } catch {
        guard error.errno == ENOENT else { throw .call("look for zones", error) }
      }
      for name in names where isDNSLabel(name) {
        if var record = try RootRecord.read(in: "\(place)/\(name)") {
          if let spec = (try? ZoneFiles(directories, name).readSpec()) ?? nil { record = record.named(by: spec) }
          roots.append(StoreLook.Root(zone: name, record: record))
        }
      }
    }
    return roots
  }
}
