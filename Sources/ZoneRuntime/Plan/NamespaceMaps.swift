/// An ordinary user's zone has two user namespaces: the first, in which a root puts its tree together, and in it the zone's
/// own. The zone may have no root of its own: a sandbox has none.
struct NamespaceMaps {
  /// Of the first, onto the host.
  private(set) var first: [IdMap] = []
  /// Of the zone's own, onto the first.
  private(set) var zone: [IdMap] = []

  /// - Parameter maps: of the zone onto the host, the caller's own id at the beginning.
  init(_ maps: [IdMap]) throws(SyntaxError) {
    var next: UInt32 = 0
    for map in maps {
      let middle = maps.first?.inside == 0 ? map.inside : next
      first.append(try IdMap(inside: middle, outside: map.outside, count: map.count))
      zone.append(try IdMap(inside: map.inside, outside: middle, count: map.count))
      next = first.last.map { $0.insideRange.last + 1 } ?? 0  // At most UInt32.max, which the next map refuses.
    }
  }

  /// As uid_map takes them (user_namespaces(7)).
  static func text(_ maps: [IdMap]) -> String { maps.map { "\($0)\n" }.joined() }
}
