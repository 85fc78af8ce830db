internal import Glibc
internal import LinuxNS
internal import ResourceControl

/// A container's groups, opened for a process that is to join them.
struct ContainerGroupFiles: ~Copyable {
  /// The v2 group's directory; -1 where there is none.
  let directory: CInt
  /// The v1 groups' `tasks` files.
  let tasks: DescriptorList

  deinit { if directory >= 0 { close(directory) } }
}

extension Containers {
  /// Makes the groups that a bundle asks for, with their limits, and notes them.
  /// - Parameter stage: the process that will make the container's.
  /// - Returns: device rules that are still to be attached, before anything of the container's runs.
  func makeGroups(
    _ config: BundleConfig, _ trees: CgroupTrees, for stage: Int32, _ files: ContainerFiles,
    _ record: inout ContainerRecord
  ) throws(ZoneError) -> [UInt64] {
    var limits =
      try config.linux.resources.map { (resources) throws(ZoneError) in try self.limits(resources, trees) }
      ?? ContainerLimits()
    if config.linux.resources?.devices.isEmpty ?? true, Self.isHostRoot {
      // Nobody said which devices: those that it was given, not each that a node can be found or made of.
      let none = BundleDeviceRule(allow: false, type: "a", major: nil, minor: nil, access: "rwm")
      try limitDevices([none] + config.linux.devices.map { BundleDeviceRule(of: $0) }, trees, &limits)
    }
    if systemdCgroup {
      try makeUnit(config, trees, limits, for: stage, files, &record)
      return []
    }
    let path = try groupPath(config, record.id)
    do throws(CgroupError) {
      if Self.isRoot {
        // Engines look for their containers in every tree; who names no path looks nowhere.
        let group = try ContainerCgroup.create(
          trees, path: path, limits: limits, everywhere: config.linux.cgroupsPath != nil)
        record.unified = group.unified
        record.v1 = group.v1
        return limits.deviceProgram
      }
      // An ordinary user's, where something was delegated to him.
      let hierarchy = try CgroupHierarchy.detect()
      let own = (try? FileSystem.readLine("/proc/self/cgroup")) ?? ""
      let base: CgroupBase
      do throws(CgroupError) {
        base = try CgroupBase.forUser(hierarchy, selfCgroup: own, uid: geteuid(), tag: nil)
      } catch {
        if limits.parts.isEmpty, limits.unified.isEmpty { return [] }
        throw error
      }
      guard let unified = trees.unified, let place = base.unified, let parent = base.unifiedParents.last,
        place.hasPrefix(unified)
      else { return [] }
      var delegated = trees
      delegated.unified = parent
      delegated.unifiedControllers = ((try? FileSystem.readLine("\(parent)/cgroup.controllers")) ?? "").split(
        separator: " "
      ).map(String.init)
      delegated.v1 = []
      let group = try ContainerCgroup.create(delegated, path: path, limits: limits, everywhere: false)
      record.unified = group.unified
      return limits.deviceProgram
    } catch { throw .refused("\(error)") }
  }

  /// `cgroupsPath` from the top of each tree; a relative one lies below `/zone-oci`. Without one, a name of its own: also
  /// for the same id below another `--root`.
  private func groupPath(_ config: BundleConfig, _ id: String) throws(ZoneError) -> String {
    guard let path = config.linux.cgroupsPath else {
      let tag = root == Self.standardRoot ? "" : "\(Directories.tag(of: root))-"
      return "/zone-oci-\(tag)\(ContainerFiles.name(of: id))"
    }
    let parts = path.split(separator: "/")
    guard !parts.contains(".."), !parts.contains("."), !parts.isEmpty else {
      throw .refused("config.json: linux.cgroupsPath: '\(path)' is no path of a group")
    }
    let normal = "/" + parts.joined(separator: "/")
    return path.hasPrefix("/") ? normal : "/zone-oci\(normal)"
  }

  /// What is written, in the words of the trees that there are.
  func limits(_ resources: BundleResources, _ trees: CgroupTrees) throws(ZoneError) -> ContainerLimits {
    var limits = resources.limits
    let isV1 = { (name: String) in trees.v1.contains { $0.controllers.contains(name) } }
    if let io = resources.blockIO { limits.parts.append(isV1("blkio") ? io.v1 : io.v2) }
    if !resources.devices.isEmpty { try limitDevices(resources.devices, trees, &limits) }
    return limits
  }

  private func limitDevices(
    _ ownRules: [BundleDeviceRule], _ trees: CgroupTrees, _ limits: inout ContainerLimits
  ) throws(ZoneError) {
    let rules = ownRules + BundleDeviceRule.defaults
    if trees.v1.contains(where: { $0.controllers.contains("devices") }) {
      limits.parts.append(.init("devices", v1: Self.deviceLines(rules)))
    } else if Self.isHostRoot {
      // An ordinary user may attach no program; in his namespace no device can be made either.
      guard rules.count <= DeviceProgram.mostRules else {
        throw .refused(
          "config.json: linux.resources.devices: \(ownRules.count) rules, more than a v2 group's program has room for (\(DeviceProgram.mostRules - BundleDeviceRule.defaults.count))"
        )
      }
      limits.deviceProgram = DeviceProgram.instructions(rules.map { $0.rule })
    }
  }

  /// devices.allow and devices.deny, in the rules' order: the last that fits decides.
  static func deviceLines(_ rules: [BundleDeviceRule]) -> [CgroupValue] {
    rules.flatMap { rule -> [CgroupValue] in
      let file = rule.allow ? "devices.allow" : "devices.deny"
      guard rule.type == "a" else { return [CgroupValue(file: file, text: rule.line)] }
      // `a` alone is the file's own word for everything; with numbers it would not be looked at in full.
      if rule.major == nil, rule.minor == nil, rule.access.count == 3 { return [CgroupValue(file: file, text: "a")] }
      return [Character("b"), Character("c")].map { type in
        var one = rule
        one.type = type
        return CgroupValue(file: file, text: one.line)
      }
    }
  }

  func openGroups(_ record: ContainerRecord) throws(ZoneError) -> ContainerGroupFiles {
    let cgroup = record.cgroup
    do throws(CgroupError) {
      let directory = try cgroup.openDirectory()?.take() ?? -1
      return ContainerGroupFiles(directory: directory, tasks: try cgroup.openJoinFiles())
    } catch { throw .refused("\(error)") }
  }

  func removeGroups(_ record: ContainerRecord) throws(ZoneError) {
    do throws(CgroupError) { try record.cgroup.remove() } catch { throw .refused("\(error)") }
    try removeUnit(record)
    // Where relative paths lie.
    for path in record.cgroup.paths {
      let above = FileSystem.parent(of: path)
      if above.hasSuffix("/zone-oci") { rmdir(above) }  // EBUSY while there are other containers
    }
  }

  /// For a record that cannot be read: the groups that such a container can have. None where its configuration cannot be
  /// read either, or names systemd's, which end with their processes.
  func presumedRecord(_ files: ContainerFiles) -> ContainerRecord {
    var record = ContainerRecord(id: files.id, bundle: "", rootfs: "", bootId: "", owner: geteuid())
    guard !systemdCgroup, let config = try? files.readConfig(), let path = try? groupPath(config, files.id),
      let trees = try? CgroupTrees.detect()
    else { return record }
    if let tree = trees.unified, FileSystem.exists("\(tree)\(path)") { record.unified = "\(tree)\(path)" }
    for tree in trees.v1 where FileSystem.exists("\(tree.path)\(path)") {
      for controller in tree.controllers { record.v1[controller] = "\(tree.path)\(path)" }
    }
    return record
  }
}
