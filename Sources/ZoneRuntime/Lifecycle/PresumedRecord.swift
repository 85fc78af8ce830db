internal import Glibc
internal import LinuxNS
internal import ResourceControl
internal import VirtualNet

/// The way out where `state.json` cannot be read: groups, links and helpers of a zone have names made from its own, so
/// what a run of it may have left is found by looking for those.
extension Zones {
  func presumedRecord(_ files: ZoneFiles) throws(ZoneError) -> RunRecord {
    return RunRecord(
      bootId: try attempt("read the boot id") { () throws(SyscallError) in try RunRecord.bootId() }, tier: .root,
      uids: [], gids: [],
      namespaces: 0, cgroup: try presumedGroups(files.name), network: try presumedNetwork(files.name),
      capabilities: CapabilitySet())
  }

  /// nil where none of its groups is there.
  private func presumedGroups(_ name: String) throws(ZoneError) -> CgroupRecord? {
    guard let base = try cgroupBase(neededFor: ResourceLimits()) else { return nil }
    do throws(CgroupError) {
      // The base for no limits leaves v1 out.
      let hierarchy = try CgroupHierarchy.detect()
      let whole =
        geteuid() == 0 ? CgroupBase.forRoot(hierarchy, tag: directories.tag.isEmpty ? nil : directories.tag) : base
      var record = try whole.groups(of: name)
      if let unified = record.unified, !FileSystem.exists(unified) { record.unified = nil }
      record.v1 = record.v1.filter { FileSystem.exists($0.value) }
      return record.paths.isEmpty ? nil : record
    } catch { throw .refused("\(error)") }
  }

  private func presumedNetwork(_ name: String) throws(ZoneError) -> String? {
    do throws(NetworkError) {
      return try networks().list().first { $0.members.contains { $0.zone == name } }?.name
    } catch {
      notice("\(error)")
      return nil
    }
  }
}
