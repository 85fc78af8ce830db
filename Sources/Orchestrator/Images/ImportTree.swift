internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// The files of a layout or an archive of images, by the paths that its documents name. No path leads out of it.
enum ImportTree {
  case folder(FolderTree)
  case archive(ArchiveTree)

  /// - Parameter path: as a document has it.
  /// - Returns: nil where nothing is there.
  /// - Throws: for a path that leads upwards, and what is no regular file.
  func open(_ path: String) throws(ImageError) -> ImportFile? {
    let plain = try ImportPath.plain(path, path)
    switch self {
    case .folder(let folder): return try folder.open(plain, path)
    case .archive(let archive): return try archive.open(plain, path)
    }
  }

  func has(_ path: String) -> Bool { ((try? open(path)) ?? nil) != nil }
}

enum ImportPath {
  /// Parts joined by single slashes.
  /// - Parameter told: what it is called in the error.
  static func plain(_ path: String, _ told: String, below folder: String = "") throws(ImageError) -> String {
    var parts = folder.split(separator: "/").map(String.init)
    guard path.utf8.count < 4096, !path.utf8.contains(0) else { throw ImageError("a path of \(path.utf8.count) bytes") }
    for part in path.split(separator: "/") where part != "." {
      if part == ".." {
        // Of a link only, which docker save has beside each other: within the archive.
        guard !folder.isEmpty, !parts.isEmpty else {
          throw ImageError("the path \(BytePath(told).words) leads upwards by '..'")
        }
        parts.removeLast()
      } else {
        parts.append(String(part))
      }
    }
    return parts.joined(separator: "/")
  }

  /// Empty at the top.
  static func folder(of path: String) -> String {
    path.utf8.contains(UInt8(ascii: "/")) ? FileSystem.parent(of: path) : ""
  }

  /// Links that lead to each other, at most.
  static let mostLinks = 8
}

/// A folder on disk. Nothing in it is followed but the links of an archive of docker save, within the folder.
final class FolderTree: Sendable {
  private let tree: TreeFD

  init(_ path: String) throws(SyscallError) { tree = TreeFD(try OwnedFD.open(path, O_PATH | O_DIRECTORY)) }

  func open(_ path: String, _ told: String, links: Int = 0) throws(ImageError) -> ImportFile? {
    do throws(SyscallError) {
      guard let look = try tree.look(BytePath(path)) else { return nil }
      let facts = try FileFacts.of(open: look)
      switch facts.kind {
      case .file: return ImportFile(try look.reopened(O_RDONLY, BytePath(path)), size: facts.size)
      case .link where links < ImportPath.mostLinks:
        let target = try FileSystem.readLink(of: look, path)
        return try follow(target, path, told, links)
      default: break
      }
    } catch { throw ImageError("\(BytePath(told).words): \(error)") }
    throw ImageError("\(BytePath(told).words) is no regular file")
  }

  private func follow(_ target: String, _ path: String, _ told: String, _ links: Int) throws(SyscallError)
    -> ImportFile?
  {
    do throws(ImageError) {
      guard target.utf8.first != UInt8(ascii: "/") else { throw ImageError("a link out of it") }
      return try open(try ImportPath.plain(target, told, below: ImportPath.folder(of: path)), told, links: links + 1)
    } catch { throw SyscallError(call: "open", errno: ELOOP, path: path, step: "follow a link there: \(error)") }
  }
}

/// A tar with a list of what is in it. Uncompressed, on a file that can be read anywhere.
final class ArchiveTree: Sendable {
  private enum Entry {
    case file(offset: Int64, size: Int64)
    case link(String)
    /// What cannot be read as one piece, and why.
    case other(String)
  }

  private let file: ImportFile
  private let entries: [String: Entry]

  /// Reads the whole archive.
  /// - Throws: for one that two readers could take for different things.
  init(_ file: ImportFile) throws(ImageError) {
    self.file = file
    entries = try Self.list(file)
  }

  private static func list(_ file: ImportFile) throws(ImageError) -> [String: Entry] {
    var entries: [String: Entry] = [:]
    var limits = TarLimits()
    limits.entries = mostEntries
    var reader = TarReader(SpanSource(file), limits: limits)
    var room = [UInt8](repeating: 0, count: 1 << 18)
    while let entry = try next(&reader) {
      let offset = reader.position
      let isWhole: Bool
      do throws(TarError) { isWhole = try Self.isWhole(entry, &reader, &room) } catch { throw ImageError("\(error)") }
      let refusal = { (why: String) in ImageError("entry \(BytePath(entry.path).words): \(why)") }
      guard let text = String(validating: entry.path, as: UTF8.self), let path = try? ImportPath.plain(text, text)
      else {
        throw refusal("a name that leads upwards by '..', or is no text")
      }
      if path.isEmpty { continue }
      let found: Entry
      switch entry.kind {
      case .directory:
        if entries[path] != nil { throw refusal("two entries of this name") }
        continue
      case .file(let size): found = isWhole ? .file(offset: offset, size: size) : .other("is sparse in the archive")
      case .link(let target): found = .link(String(decoding: target, as: UTF8.self))
      case .hardLink(let target):
        // Another name for what came before it, by its path in the archive.
        let other = (try? ImportPath.plain(String(decoding: target, as: UTF8.self), text)).flatMap { entries[$0] }
        found = other ?? .other("is a hard link to what is not there")
      case .fifo, .device: found = .other("is no regular file")
      }
      // Whoever looked at the one would take the other.
      guard entries.updateValue(found, forKey: path) == nil else { throw refusal("two entries of this name") }
    }
    do throws(TarError) { try reader.finish() } catch { throw ImageError("\(error)") }
    return entries
  }

  private static func next(_ reader: inout TarReader<SpanSource>) throws(ImageError) -> TarEntry? {
    do throws(TarError) { return try reader.next() } catch { throw ImageError("\(error)") }
  }

  /// Reads over a file's content.
  /// - Returns: whether it lies in one piece.
  private static func isWhole(
    _ entry: TarEntry, _ reader: inout TarReader<SpanSource>, _ room: inout [UInt8]
  ) throws(TarError) -> Bool {
    guard case .file(let size) = entry.kind else { return true }
    var end: Int64 = 0
    var isWhole = true
    var failure: TarError?
    var goesOn = true
    while goesOn {
      room.withUnsafeMutableBytes { bytes in
        do throws(TarError) {
          guard let piece = try reader.content(into: bytes) else { return goesOn = false }
          isWhole = isWhole && piece.offset == end
          end = piece.offset + Int64(piece.count)
        } catch { failure = error }
      }
      if let failure { throw failure }
    }
    return isWhole && end == size
  }

  /// Of an archive of images: a folder's files, not a root's.
  private static let mostEntries = 100_000

  func open(_ path: String, _ told: String, links: Int = 0) throws(ImageError) -> ImportFile? {
    switch entries[path] {
    case nil: return nil
    case .file(let offset, let size)?: return try file.part(offset: offset, size: size)
    case .link(let target)?:
      guard links < ImportPath.mostLinks, target.utf8.first != UInt8(ascii: "/") else {
        throw ImageError("\(BytePath(told).words) is a link that leads nowhere in the archive")
      }
      return try open(try ImportPath.plain(target, told, below: ImportPath.folder(of: path)), told, links: links + 1)
    case .other(let why)?: throw ImageError("\(BytePath(told).words) \(why)")
    }
  }
}

/// A file's bytes, one after the other.
struct SpanSource: ByteSource {
  private let file: ImportFile
  private var position: Int64 = 0

  init(_ file: ImportFile) { self.file = file }

  mutating func read(into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int {
    do throws(ImageError) {
      let got = try file.read(at: position, into: room)
      position += Int64(got)
      return got
    } catch { throw ByteSourceError(error.why) }
  }
}
