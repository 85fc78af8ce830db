internal import CLinuxNS

/// What a keeper of host root's makes its namespaces from while the plan is still made (struct stage_prepare).
public struct StagePreparation: Sendable {
  /// clone3(2) flags of the zone's first process, as in the plan.
  public var zoneFlags: UInt32
  /// Those of the process that makes the user namespace.
  public var joinerFlags: UInt32
  /// The text of /proc/PID/uid_map and gid_map, at most 255 bytes each.
  public var uidMap: String
  public var gidMap: String
  /// The v2 group's directory, or -1; and the v1 groups' `tasks` files.
  public var group: CInt = -1
  public var tasks: [CInt] = []

  public init(zoneFlags: UInt32, joinerFlags: UInt32, uidMap: String, gidMap: String) {
    self.zoneFlags = zoneFlags
    self.joinerFlags = joinerFlags
    self.uidMap = uidMap
    self.gidMap = gidMap
  }

  func marshalled() -> (block: [UInt8], fds: [CInt]) {
    let fds = (group >= 0 ? [group] : []) + tasks
    precondition(fds.count <= Int(STAGE_MOST_GROUPS))
    var header = stage_prepare()
    header.zone_flags = zoneFlags
    header.joiner_flags = joinerFlags
    header.group_count = UInt32(fds.count)
    header.has_group = group >= 0 ? 1 : 0
    withUnsafeMutableBytes(of: &header.uid_map) { Self.fill($0, uidMap) }
    withUnsafeMutableBytes(of: &header.gid_map) { Self.fill($0, gidMap) }
    let block = [UInt8(STAGE_PREPARE.rawValue)] + withUnsafeBytes(of: header) { Array($0) }
    return (block, fds)
  }

  private static func fill(_ room: UnsafeMutableRawBufferPointer, _ text: String) {
    precondition(text.utf8.count < room.count)
    room.copyBytes(from: text.utf8)
  }
}
