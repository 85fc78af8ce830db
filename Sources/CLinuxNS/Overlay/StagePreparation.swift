internal import CLinuxNS

/// What a keeper of host root's makes the zone's namespaces from while the plan is still made (struct stage_prepare).
public struct StagePreparation: Sendable {
  /// clone3(2) flags of the zone's first process, as in the plan.
  public var zoneFlags: UInt32
  /// Those of the process that makes the user namespace.
  public var joinerFlags: UInt32
  /// The text of /proc/PID/uid_map and gid_map, at most 255 bytes each.
  public var uidMap: String
  public var gidMap: String

  public init(zoneFlags: UInt32, joinerFlags: UInt32, uidMap: String, gidMap: String) {
    self.zoneFlags = zoneFlags
    self.joinerFlags = joinerFlags
    self.uidMap = uidMap
    self.gidMap = gidMap
  }

  var block: [UInt8] {
    var header = stage_prepare()
    header.zone_flags = zoneFlags
    header.joiner_flags = joinerFlags
    withUnsafeMutableBytes(of: &header.uid_map) { Self.fill($0, uidMap) }
    withUnsafeMutableBytes(of: &header.gid_map) { Self.fill($0, gidMap) }
    return [UInt8(STAGE_PREPARE.rawValue)] + withUnsafeBytes(of: header) { Array($0) }
  }

  private static func fill(_ room: UnsafeMutableRawBufferPointer, _ text: String) {
    precondition(text.utf8.count < room.count)
    room.copyBytes(from: text.utf8)
  }
}
