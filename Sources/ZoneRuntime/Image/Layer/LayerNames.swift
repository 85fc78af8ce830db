internal import LinuxNS

/// An entry's name, as a place below the layer's top.
struct LayerName: Equatable {
  /// What the last part of a name says (image-spec, layer.md, "Whiteouts"; the further ones are AUFS's).
  enum Meaning: Equatable {
    case entry
    /// The sibling of that name is deleted.
    case whiteout([UInt8])
    /// The directory hides what is below it.
    case opaque
    case bookkeeping
  }

  /// None is empty, `.` or `..`; of a whiteout those of the directory it stands in.
  var parts: [[UInt8]]
  var meaning: Meaning

  /// Linux's NAME_MAX.
  static let mostNameBytes = 255
  private static let mark = Array(".wh.".utf8)
  private static let aufs = Array(".wh..wh.".utf8)
  private static let opaque = Array(".wh..wh..opq".utf8)

  /// A leading slash counts for nothing: every name is one below the top. `..` is refused, also where it would stay inside:
  /// readers differ about what is then meant.
  init(_ path: [UInt8]) throws(LayerError) {
    parts = try Self.parts(path)
    meaning = .entry
    for (index, part) in parts.enumerated() where part.starts(with: Self.mark) {
      if part.starts(with: Self.aufs) {
        guard part == Self.opaque, index == parts.count - 1 else {
          meaning = .bookkeeping
          return
        }
        meaning = .opaque
      } else {
        let name = Array(part.dropFirst(Self.mark.count))
        guard index == parts.count - 1, !name.isEmpty, name != [46], name != [46, 46] else {
          throw LayerError(path: path, why: "a name that begins with .wh. and deletes nothing")
        }
        meaning = .whiteout(name)
      }
    }
    if meaning != .entry { parts.removeLast() }
  }

  static func parts(_ path: [UInt8]) throws(LayerError) -> [[UInt8]] {
    var parts: [[UInt8]] = []
    guard path.count <= BytePath.mostBytes else {
      throw LayerError(path: Array(path.prefix(64)), why: "a name of \(path.count) bytes")
    }
    guard !path.contains(0) else { throw LayerError(path: path, why: "a name with a NUL in it") }
    for part in path.split(separator: UInt8(ascii: "/")) where part != [46] {
      guard part != [46, 46] else { throw LayerError(path: path, why: "a name that leads upwards by '..'") }
      guard part.count <= mostNameBytes else {
        throw LayerError(path: path, why: "a name of more than \(mostNameBytes) bytes between two slashes")
      }
      parts.append(Array(part))
    }
    return parts
  }
}

extension LayerLimits {
  /// An entry's name, of who reads an archive and of who writes one.
  func name(_ path: [UInt8]) throws(LayerError) -> LayerName {
    let name = try LayerName(path)
    let folders = name.meaning == .entry ? name.parts.count - 1 : name.parts.count
    guard folders <= depth || name.meaning == .bookkeeping else {
      throw LayerError(path: path, why: "it lies more than \(depth) folders deep")
    }
    return name
  }
}

/// Which extended attributes of an archive a file gets.
enum LayerAttribute: Equatable {
  case kept, left, refused

  /// Of directories: the access list that what is made in them gets.
  static let defaultAccess = "system.posix_acl_default"

  /// overlayfs' own notes would be believed by the kernel, and lead elsewhere in the layers (`redirect`, `metacopy`), so
  /// nobody else writes them. Of the `security.` names only a file's capabilities mean the same on another machine.
  init(_ attribute: Xattr) {
    let system = attribute.isNamed("system.posix_acl_access") || attribute.isNamed(Self.defaultAccess)
    if attribute.has(prefix: "user.overlay.") || attribute.has(prefix: "trusted.") {
      self = .refused
    } else if attribute.has(prefix: "user.") || attribute.isNamed("security.capability") || system {
      self = .kept
    } else if attribute.has(prefix: "security.") {
      self = .left
    } else {
      self = .refused
    }
  }
}
