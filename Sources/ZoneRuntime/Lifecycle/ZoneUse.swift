internal import Glibc
internal import LinuxNS

extension Zones {
  /// Looks at all that a zone has written: the larger that is, the longer it takes.
  public func addUse(to status: inout ZoneStatus) {
    guard let files = try? files(status.name) else { return }
    var use = ZoneUse()
    use.owner = geteuid()
    use.made = (try? FileFacts.at(files.installed))?.flatMap { $0.modified > 0 ? UInt64($0.modified) : nil }
    use.used = status.state.isLive ? Clock.realtimeNanoseconds() : status.exit?.at
    for path in [files.root, files.own, logPath(status.name)] where FileSystem.exists(path) {
      let tree = TreeUsage.of(path)
      use.bytes = saturatingSum(use.bytes, tree.bytes)
      use.isPartial = use.isPartial || tree.isPartial
    }
    status.use = use
  }
}
