internal import LinuxNS

/// One of a bundle's mounts, its options read (config.md, "Linux mount options").
struct BundleMount: Sendable {
  var destination: String
  /// A path to bind, or what the kernel is told as the source.
  var source: String?
  var type: String
  /// mount(2)'s flags of a file system that is mounted.
  var flags: UInt64 = 0
  /// A tree of the host's, with what is mounted below it where it is recursive.
  var isBind = false
  var isRecursive = false
  /// mount_setattr(2): what a bind sets and clears; of the mount alone, and of all below it too.
  var attributes = Attributes()
  var recursiveAttributes = Attributes()
  /// mount(2)'s propagation flags, one after the other.
  var propagation: [UInt64] = []
  /// What is left for the file system.
  var data: [String] = []
  /// What lies at the destination is copied into the tmpfs (runc's tmpcopyup).
  var copyUp = false
  var idmap: IdMapping?

  struct Attributes: Sendable, Equatable {
    var set: UInt64 = 0
    var clear: UInt64 = 0
    var isEmpty: Bool { self == Attributes() }
  }

  /// An id-mapped mount. Without maps of its own it takes those of the container.
  struct IdMapping: Equatable, Sendable {
    var uids: [IdMap]
    var gids: [IdMap]
    /// Of all that is mounted below, too.
    var isRecursive: Bool
  }

  init(_ node: BundleNode) throws(ZoneError) {
    destination = try node.needed("destination")
    // Version 1.0 took relative ones, as from the root.
    if !destination.hasPrefix("/") { destination = "/\(destination)" }
    source = try node.string("source").flatMap { $0.isEmpty ? nil : $0 }
    type = try node.string("type") ?? ""
    var mapped: Bool?
    for option in try node.strings("options") {
      switch option {
      case "bind": isBind = true
      case "rbind": (isBind, isRecursive) = (true, true)
      case "idmap": mapped = mapped ?? false
      case "ridmap": mapped = true
      case "tmpcopyup": copyUp = true
      case "defaults", "rw": apply(MountFlag.readOnly, false, recursive: false)
      default: try take(option, node)
      }
    }
    if type == "bind" { isBind = true }
    if type.isEmpty, !isBind { throw node.refused("type", "is missing") }
    if isBind, source == nil { throw node.refused("source", "is missing") }
    if !isBind, !recursiveAttributes.isEmpty {
      throw node.refused("options", "recursive attributes are a bind mount's")
    }
    if copyUp, type != "tmpfs" { throw node.refused("options", "tmpcopyup is a tmpfs's") }
    let uids = try IdMap.bundle(node, "uidMappings")
    let gids = try IdMap.bundle(node, "gidMappings")
    if mapped != nil || !uids.isEmpty || !gids.isEmpty {
      guard isBind else { throw node.refused("uidMappings", "an id-mapped mount must be a bind mount") }
      guard uids.isEmpty == gids.isEmpty else { throw node.refused("uidMappings", "one of both maps is missing") }
      idmap = IdMapping(uids: uids, gids: gids, isRecursive: mapped ?? false)
    }
  }

  /// Name, mount(2)'s flag, and whether the name sets it.
  private static let table: [(name: String, flag: UInt64, sets: Bool)] = [
    ("ro", 1, true), ("suid", 2, false), ("nosuid", 2, true), ("dev", 4, false), ("nodev", 4, true),
    ("exec", 8, false), ("noexec", 8, true), ("sync", 16, true), ("async", 16, false), ("remount", 32, true),
    ("mand", 64, true), ("nomand", 64, false), ("dirsync", 128, true), ("nosymfollow", 256, true),
    ("symfollow", 256, false), ("atime", 1024, false), ("noatime", 1024, true), ("diratime", 2048, false),
    ("nodiratime", 2048, true), ("silent", 1 << 15, true), ("loud", 1 << 15, false), ("relatime", 1 << 21, true),
    ("norelatime", 1 << 21, false), ("iversion", 1 << 23, true), ("noiversion", 1 << 23, false),
    ("strictatime", 1 << 24, true), ("nostrictatime", 1 << 24, false), ("lazytime", 1 << 25, true),
    ("nolazytime", 1 << 25, false),
  ]

  /// All that is known, as `features` tells them.
  static var optionNames: [String] {
    var names =
      ["bind", "rbind", "defaults", "rw", "rrw", "idmap", "ridmap", "tmpcopyup"] + propagations.map { $0.name }
    for entry in table {
      names.append(entry.name)
      if attribute(of: entry.flag) != nil { names.append("r\(entry.name)") }
    }
    return names.sorted()
  }

  /// mount(2): MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED; each with MS_REC.
  static let propagations: [(name: String, value: UInt64)] = [
    ("unbindable", 1 << 17), ("runbindable", 1 << 17 | recursive), ("private", 1 << 18),
    ("rprivate", 1 << 18 | recursive), ("slave", 1 << 19), ("rslave", 1 << 19 | recursive), ("shared", 1 << 20),
    ("rshared", 1 << 20 | recursive),
  ]
  static let recursive: UInt64 = 1 << 14

  private mutating func take(_ option: String, _ node: BundleNode) throws(ZoneError) {
    for entry in Self.propagations where entry.name == option {
      propagation.append(entry.value)
      return
    }
    for entry in Self.table {
      if entry.name == option { return apply(entry.flag, entry.sets, recursive: false) }
      if option.hasPrefix("r"), entry.name == option.dropFirst(), Self.attribute(of: entry.flag) != nil {
        return apply(entry.flag, entry.sets, recursive: true)
      }
    }
    if option == "rrw" { return apply(MountFlag.readOnly, false, recursive: true) }
    data.append(option)
  }

  private mutating func apply(_ flag: UInt64, _ sets: Bool, recursive: Bool) {
    if !recursive {
      if sets { flags |= flag } else { flags &= ~flag }
    }
    guard let attribute = Self.attribute(of: flag) else { return }
    var values = recursive ? recursiveAttributes : attributes
    // Of the ways to keep access times there is one at a time: the field is set as a whole.
    if attribute.isTime {
      values.set &= ~Self.times
      values.clear |= Self.times
      if sets { values.set |= attribute.value }
    } else if sets {
      values.set |= attribute.value
      values.clear &= ~attribute.value
    } else {
      values.set &= ~attribute.value
      values.clear |= attribute.value
    }
    if recursive { recursiveAttributes = values } else { attributes = values }
  }

  /// MOUNT_ATTR__ATIME
  private static let times: UInt64 = 0x70

  /// linux/mount.h, MOUNT_ATTR_*
  private static func attribute(of flag: UInt64) -> (value: UInt64, isTime: Bool)? {
    switch flag {
    case 1, 2, 4, 8: (flag, false)
    case 1024: (0x10, true)
    case 1 << 21: (0, true)
    case 1 << 24: (0x20, true)
    case 2048: (0x80, false)
    case 256: (0x0020_0000, false)
    default: nil
    }
  }
}

extension IdMap {
  /// A list of `containerID`, `hostID` and `size`.
  static func bundle(_ node: BundleNode, _ key: String) throws(ZoneError) -> [IdMap] {
    var maps: [IdMap] = []
    for map in try node.objects(key) {
      guard let inside: UInt32 = try map.number("containerID"), let outside: UInt32 = try map.number("hostID"),
        let count: UInt32 = try map.number("size"), count > 0
      else { throw map.refused("size", "containerID, hostID and size are all needed, and no size is 0") }
      do throws(SyntaxError) { maps.append(try IdMap(inside: inside, outside: outside, count: count)) } catch {
        throw map.refused("size", error.why)
      }
    }
    // user_namespaces(7)
    if maps.count > 340 { throw node.refused(key, "\(maps.count) entries are more than the kernel's 340") }
    return maps
  }
}
