internal import Glibc
public import LinuxNS

/// Who the files of a layer belong to while it is unpacked: the ids 0 and on of a user namespace, as the store keeps them.
public struct UnpackingIds: Equatable, Sendable {
  private let maps: UserIdMaps
  private let isRoot: Bool

  /// Root's are the host's own, 0 to 65,535; a user's are himself as 0 and his subordinate ids from 1 on, or himself alone.
  /// - Throws: where /etc/subuid or /etc/subgid has a line of his that cannot be taken.
  public static func ofCaller() throws(SyntaxError) -> UnpackingIds {
    guard geteuid() == 0 else { return UnpackingIds(maps: try .ofCaller(), isRoot: false) }
    let all = try IdMap(inside: 0, outside: 0, count: LayerLimits().ids)
    return UnpackingIds(maps: UserIdMaps(uids: [all], gids: [all]), isRoot: true)
  }

  /// Ids below are there, as users and as groups.
  public var count: UInt32 { min(Self.end(maps.uids), Self.end(maps.gids), LayerLimits().ids) }

  /// What a caller with fewer than a zone may have is told; nil where he has all.
  public var mend: String? {
    guard count < LayerLimits().ids else { return nil }
    return "you have \(count == 1 ? "no subordinate ids" : "ids below \(count)")"
      + " (as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535, and apt install uidmap)"
  }

  /// Gives them to a process in a new user namespace.
  public func give(to pid: Int32) throws(SyscallError) {
    if maps.needsHelper { return try maps.write(to: pid) }
    // One's own group alone may be mapped only by who cannot leave groups any more (user_namespaces(7)).
    if !isRoot { try FileSystem.writeKernelFile("/proc/\(pid)/setgroups", "deny") }
    for (file, maps) in [("uid_map", maps.uids), ("gid_map", maps.gids)] {
      let text = maps.map { "\($0.inside) \($0.outside) \($0.count)\n" }.joined()
      try FileSystem.writeKernelFile("/proc/\(pid)/\(file)", text)
    }
  }

  private static func end(_ maps: [IdMap]) -> UInt32 {
    var next: UInt32 = 0
    for map in maps {
      guard map.inside == next else { break }
      next = map.inside + map.count
    }
    return next
  }
}
