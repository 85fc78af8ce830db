/// subuid(5) and subgid(5): `OWNER:START:COUNT` lines, the ids that an ordinary user may map.
public enum SubordinateIds {
  /// Everybody's ranges. Lines that newuidmap(1) would not take are nobody's and left out; one that goes beyond the
  /// last id counts up to it.
  static func all(in file: [UInt8]) -> [IdRange] {
    lines(file).compactMap { line in
      guard line.count == 3, let start = StrictNumber.id(line[1]), let count = StrictNumber.number(line[2]) else {
        return nil
      }
      return IdRange(start: start, count: min(count, UInt32.max - start))
    }
  }

  /// The ranges of one user, by his name and by his number, in the file's order.
  /// - Throws: where a line of his cannot be taken: guessing at it could map somebody else's ids.
  public static func of(uid: UInt32, name: String?, in file: [UInt8], path: String) throws(SyntaxError) -> [IdRange] {
    var ranges: [IdRange] = []
    for line in lines(file) {
      let isMine = StrictNumber.id(line[0]) == uid || name.map { line[0].elementsEqual($0.utf8) } == true
      guard isMine else { continue }
      guard line.count == 3, let start = StrictNumber.id(line[1]), let count = StrictNumber.number(line[2]),
        let range = IdRange(start: start, count: count), start > 0
      else {
        let text = line.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ":")
        throw SyntaxError(what: path, value: text, why: "wants OWNER:START:COUNT with ids 1 to \(UInt32.max - 1)")
      }
      if !ranges.contains(range) { ranges.append(range) }
    }
    return ranges
  }

  private static func lines(_ file: [UInt8]) -> [[ArraySlice<UInt8>]] {
    file.split(separator: 10).filter { $0.first != UInt8(ascii: "#") }
      .map { $0.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false) }
  }
}

/// The id maps of an ordinary user's zones.
public struct UserIdMaps: Equatable, Sendable {
  public var uids: [IdMap]
  public var gids: [IdMap]

  /// Only with newuidmap(1) and newgidmap(1) can these be written: there is more than the caller's own id in them.
  public var needsHelper: Bool { uids.count > 1 || gids.count > 1 }

  /// Root inside is the caller, and nobody else is there: what the kernel lets everybody write.
  public static func single(uid: UInt32, gid: UInt32) throws(SyntaxError) -> UserIdMaps {
    UserIdMaps(
      uids: [try IdMap(inside: 0, outside: uid, count: 1)], gids: [try IdMap(inside: 0, outside: gid, count: 1)])
  }

  /// Root inside is the caller, and 1 and on are his subordinate ids; the single map where he has none of either kind.
  /// - Parameters:
  ///   - name: his login name, nil where the user database has none.
  ///   - subuid: the content of /etc/subuid; empty where there is none.
  public static func many(uid: UInt32, gid: UInt32, name: String?, subuid: [UInt8], subgid: [UInt8])
    throws(SyntaxError) -> UserIdMaps
  {
    // subgid(5) too is keyed by the user, not by a group.
    let uids = try SubordinateIds.of(uid: uid, name: name, in: subuid, path: "/etc/subuid")
    let gids = try SubordinateIds.of(uid: uid, name: name, in: subgid, path: "/etc/subgid")
    guard !uids.isEmpty, !gids.isEmpty else { return try single(uid: uid, gid: gid) }
    return UserIdMaps(uids: try lay(uid, uids), gids: try lay(gid, gids))
  }

  private static func lay(_ own: UInt32, _ ranges: [IdRange]) throws(SyntaxError) -> [IdMap] {
    var maps = [try IdMap(inside: 0, outside: own, count: 1)]
    var next: UInt32 = 1
    for range in ranges {
      let map = try IdMap(inside: next, outside: range.start, count: range.count)
      maps.append(map)
      next = map.insideRange.last + 1  // At most UInt32.max, which the next map refuses.
    }
    try maps.validateIdMaps()
    return maps
  }

  /// What newuidmap(1) and newgidmap(1) are called with, after the pid.
  public static func helperArguments(_ maps: [IdMap]) -> [String] {
    maps.flatMap { [String($0.inside), String($0.outside), String($0.count)] }
  }
}
