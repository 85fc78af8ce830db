internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// Groups that systemd makes (`--systemd-cgroup`), as runc's and crun's are made: a transient unit with the limits that
/// systemd knows, whose group is delegated to us and gets all of them to the last digit.
extension Containers {
  /// A scope begins with a process: the stage, which waits for its plan meanwhile. The container's process is born where
  /// it then is, so nothing of the bundle's has run before systemd has moved it.
  /// - Parameter stage: a child of ours that nobody has waited for.
  func makeUnit(
    _ config: BundleConfig, _ trees: CgroupTrees, _ limits: ContainerLimits, for stage: Int32, _ files: ContainerFiles,
    _ record: inout ContainerRecord
  ) throws(ZoneError) {
    let annotated = try SystemdProperty.of(config.annotations)
    let systemd = try Self.wrap { () throws(CgroupError) in try Systemd.find() }
    guard trees.unified != nil, !trees.v1.contains(where: { $0.controllers.contains("name=systemd") }) else {
      throw .refused(
        "--systemd-cgroup wants the v2 tree alone, and systemd uses v1 trees here; boot with "
          + "systemd.unified_cgroup_hierarchy=1, or leave --systemd-cgroup out")
    }
    let unit = try ContainerUnit.parse(config.linux.cgroupsPath, id: record.id, ofUser: systemd.isUser)
    var properties = [
      SystemdProperty("Description", text: description(record)),
      // Before shutdown.target and so on: whose containers they are ends them.
      SystemdProperty("DefaultDependencies", false),
      // Counted from the beginning: what a controller is switched on for later has none of what went before.
      SystemdProperty("CPUAccounting", true), SystemdProperty("IOAccounting", true),
      SystemdProperty("MemoryAccounting", true), SystemdProperty("TasksAccounting", true),
      // One that fails is forgotten too, so that a maker that is killed leaves none.
      SystemdProperty("CollectMode", text: "inactive-or-failed"),
    ]
    if unit.isSlice {
      // Its name says where it lies; a slice begins without processes, and the container's is born in it all the same.
      properties.append(SystemdProperty("Wants", "as", ["1", unit.slice]))
    } else {
      properties += [
        SystemdProperty("Slice", text: unit.slice), SystemdProperty("Delegate", true),
        SystemdProperty("PIDs", "au", ["1", "\(stage)"]),
      ]
    }
    // Noted before it is made: who cleans up finds it.
    record.unit = unit.name
    try files.writeRecord(record)
    do throws(CgroupError) {
      properties += try SystemdProperty.of(limits, version: systemd.version) + annotated
      try systemd.start(unit.name, properties)
      let group =
        unit.isSlice
        ? try systemd.text(unit.name, "Slice", "ControlGroup").map { "\(trees.unified ?? "")\($0)" }
        : try ContainerCgroup.unified(of: stage)
      guard let group, group.hasSuffix(unit.group) else {
        throw .unit(
          unit.name, doing: "start", why: "the process is not in its group; journalctl -u '\(unit.name)' tells why")
      }
      record.unified = group
      _ = try ContainerCgroup.adopt(trees, group, limits: limits)
    } catch { throw .refused("\(error)") }
  }

  /// Whose unit it is: names of units are everybody's.
  private func description(_ record: ContainerRecord) -> String { "zone-oci container \(record.id) of \(root)" }

  /// What has a group is known to be ours. Of one that was killed on its way there the name alone is, and that may be
  /// another's, which was why it could not be made.
  func removeUnit(_ record: ContainerRecord) throws(ZoneError) {
    guard let unit = record.unit else { return }
    do throws(CgroupError) {
      let systemd = try Systemd.find()
      if record.unified == nil {
        guard try systemd.text(unit, "Unit", "Description") == description(record) else { return }
      }
      try systemd.remove(unit)
    } catch {
      // Its group has gone, so it ends by itself as soon as systemd looks.
      guard record.unified != nil, case .unavailable = error else { throw .refused("\(error)") }
      warn("the unit \(unit) is left to end by itself: \(error)")
    }
  }

  /// The properties of new limits, before the files: what systemd writes into them is then written over.
  func updateUnit(_ record: ContainerRecord, _ limits: ContainerLimits) throws(CgroupError) {
    guard let unit = record.unit else { return }
    let systemd = try Systemd.find()
    try systemd.set(unit, try SystemdProperty.of(limits, version: systemd.version))
  }

  /// Before a stage makes another process in the container: an ordinary user's who comes from a login has no power over
  /// the group that is above that and the container's.
  func joinUnit(_ record: ContainerRecord, _ stage: Int32) throws(ZoneError) {
    guard let unit = record.unit else { return }
    try Self.wrap { () throws(CgroupError) in
      if try !record.cgroup.mayBeJoined() { try Systemd.find().attach(stage, to: unit) }
    }
  }

  static func wrap<Result: ~Copyable>(_ body: () throws(CgroupError) -> Result) throws(ZoneError) -> Result {
    do throws(CgroupError) { return try body() } catch { throw .refused("\(error)") }
  }
}
