internal import Glibc
internal import LinuxNS

/// `run/.shared/events`: what happened to the zones of one place since the machine started, a JSON object a line, the newest last.
/// At 1 MiB it becomes `events.1`, and an older one of that name goes.
///
/// Each line is one write(2) to a file opened with O_APPEND, so that who writes at the same time needs no lock.
public struct Journal: Sendable {
  public let path: String
  private static let limit: off_t = 1 << 20

  init(_ directories: Directories) { path = "\(directories.sharedRun)/events" }

  /// Best effort: what is told has happened, and a full disk must not undo it.
  func note(_ event: ZoneEvent) {
    guard let line = try? JSON.encode(event) else { return }
    guard let file = try? OwnedFD.open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, mode: 0o600) else { return }
    guard (try? FileSystem.write(line + [10], to: file, name: path)) != nil else { return }
    let end = lseek(file.raw, 0, SEEK_CUR)
    // One writer alone crosses the limit.
    if end >= Self.limit, end - off_t(line.count + 1) < Self.limit { rename(path, path + ".1") }
  }

  /// A line of it; nil for what is none, as after a write that was cut by a full disk.
  public static func event(_ line: ArraySlice<UInt8>) -> ZoneEvent? {
    try? JSON.decode(ZoneEvent.self, from: Array(line), name: "events")
  }
}

extension Zones {
  public var journal: Journal { Journal(directories) }

  func note(_ kind: ZoneEvent.Kind, _ zone: String, _ more: (inout ZoneEvent) -> Void = { _ in }) {
    var event = ZoneEvent(kind, zone, at: Clock.realtimeNanoseconds())
    more(&event)
    journal.note(event)
  }

  /// What a sandbox was refused.
  public func note(_ denials: [Denial], of zone: String) {
    for denial in denials { note(.denied, zone) { $0.denial = denial } }
  }
}
