import LinuxNS

@testable import ZoneRuntime

extension FuzzTarget {
  /// Whose ids somebody gets. Up to three files, parted by NUL: subuid(5) or passwd(5), subgid(5) or group(5), and a word
  /// as a person types it.
  static let ids = FuzzTarget("ids") { (bytes) throws(Finding) in
    let parts = bytes.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false).map { Array($0) }
    let (first, second) = (parts[0], parts.count > 1 ? parts[1] : [])
    let word = text(parts[parts.count - 1])

    for range in SubordinateIds.all(in: first) { try check(range) }
    for name in ["alice", nil] {
      if let maps = accepted({
        try UserIdMaps.many(uid: 1000, gid: 100, name: name, subuid: first, subgid: second)
      }) {
        try check(maps.uids, own: 1000, among: first)
        try check(maps.gids, own: 100, among: second)
      }
    }
    if let map = accepted({ try IdMap(parsing: word) }) {
      let again = accepted {
        try IdMap(parsing: "\(map.inside):\(map.outside):\(map.count)")
      }
      try hold(again == map, "the map \(map) reads as another")
      try hold([map].outside(of: map.inside) == map.outside, "the map \(map) leads elsewhere")
    }
    for user in [nil, "0", "alice", "1000:users", word] {
      guard
        let found = accepted({
          try ZoneUser.resolve(user, passwd: first, group: second)
        })
      else { continue }
      try hold(found.groups.contains(found.gid), "\(found): without its own group")
      try hold(found.home.hasPrefix("/") && found.shell.hasPrefix("/"), "\(found): a path that is not absolute")
      try hold(![found.uid, found.gid].contains(.max) && !found.groups.contains(.max), "\(found): -1 to the kernel")
      // Nobody but root's own number, or name, is root.
      if user == "1000:users" { try hold(found.uid == 1000, "\(found): somebody else") }
    }
  }

  private static func check(_ range: IdRange) throws(Finding) {
    try hold(range.last >= range.start && range.last < .max, "the range \(range) wraps around")
  }

  /// Root inside is the caller, and all else is within ranges that the file gives somebody.
  private static func check(_ maps: [IdMap], own: UInt32, among file: [UInt8]) throws(Finding) {
    try hold(maps.first?.outside == own && maps.first?.count == 1, "\(maps): root inside is not the caller")
    let given = SubordinateIds.all(in: file)
    for map in maps.dropFirst() {
      try check(map.outsideRange)
      try check(map.insideRange)
      try hold(
        given.contains { $0.start <= map.outside && map.outsideRange.last <= $0.last }, "\(map): ids of nobody's file")
    }
    if let problem = accepted({ try maps.validateIdMaps() }) { return problem }
    throw Finding("\(maps): the kernel would refuse it")
  }
}
