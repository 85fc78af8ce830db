/// What is to be done to make a zone's group, in order; a pure function of where groups are and what is limited.
/// `explain` prints it, `Cgroup.create` does it.
public struct CgroupPlan: Equatable, Sendable, CustomStringConvertible {
  public enum Step: Equatable, Sendable {
    /// A group that all zones share. Undo: remove it if it is empty.
    case shared(String)
    /// Copies `cpuset.cpus` and `cpuset.mems` from the group above where they are empty: v1 lets nobody join before.
    case inheritCpuset(String)
    /// Enables controllers for the groups below; without those in `required` it fails.
    case enable([CgroupController], required: [CgroupController], at: String)
    /// The zone's group. Undo: remove it, and its values with it.
    case own(String)
    /// Groups may be made in it by somebody else. Undo: the group is removed.
    case delegate(String, to: CgroupOwner)
    /// A value. Undo: the group is removed.
    case write(String, file: String)
    /// A value for a file that kernels without the feature lack.
    case writeIfPresent(String, file: String)
  }

  public var steps: [Step]
  public var record: CgroupRecord

  /// How many groups somebody may make who was given one: the kernel's memory for them is not all counted.
  static let mostGroups = 4096

  /// - Parameter owner: who may make groups of his own in the zone's (v2); nil: nobody.
  public init(base: CgroupBase, name: String, limits: ResourceLimits, delegatedTo owner: CgroupOwner? = nil)
    throws(CgroupError)
  {
    let name = try CgroupBase.escape(name)
    var steps: [Step] = []
    var record = CgroupRecord(unified: base.unified.map { "\($0)/\(name)" }, v1: [:])
    let placement = try Self.place(limits, base)

    if let unified = base.unified, let group = record.unified {
      steps.append(.shared(unified))
      // All that there is, at once: enabling one later would be felt by every zone that runs.
      let available = CgroupController.limiting.filter(base.unifiedControllers.contains)
      if !available.isEmpty {
        let required = available.filter { limits.controllers.contains($0) }
        for parent in base.unifiedParents + [unified] {
          steps.append(.enable(available, required: required, at: parent))
        }
      }
      steps.append(.own(group))
      steps += limits.v2Values(available, full: false).map { Self.write($0, in: group) }
      if let owner {
        // The limits are out of the sight of who is below. What is executed later has a group beside: one whose
        // controllers were let down takes no process.
        record.isDelegated = true
        steps.append(.write("\(Self.mostGroups)", file: "\(group)/cgroup.max.descendants"))
        // So that each has a path that we can name (PATH_MAX), however long the names are.
        steps.append(.write("12", file: "\(group)/cgroup.max.depth"))
        if !available.isEmpty { steps.append(.enable(available, required: [], at: group)) }
        for path in [record.beginning, record.executions].compactMap({ $0 }) { steps.append(.own(path)) }
        if let path = record.beginning { steps.append(.delegate(path, to: owner)) }
      }
    }
    for controller in placement.v1 + (base.unified == nil ? [.freezer] : []) {
      guard let parent = base.v1[controller] else {
        throw .missing(controller: controller, why: base.whyMissing)
      }
      let group = "\(parent)/\(name)"
      let isNew = !record.v1.values.contains(group)  // cpu and cpuacct, say, are often mounted together
      record.v1[controller] = group
      if isNew { steps += [.shared(parent)] }
      if controller == .cpuset { steps.append(.inheritCpuset(parent)) }
      if isNew { steps.append(.own(group)) }
      if controller == .cpuset { steps.append(.inheritCpuset(group)) }
      steps += limits.v1Values(controller).map { Self.write($0, in: group) }
    }
    self.steps = steps
    self.record = record
  }

  /// Which limits v1 trees must bear.
  static func place(_ limits: ResourceLimits, _ base: CgroupBase) throws(CgroupError) -> (
    v2: [CgroupController], v1: [CgroupController]
  ) {
    var placement: (v2: [CgroupController], v1: [CgroupController]) = ([], [])
    for controller in limits.controllers {
      if base.unified != nil, base.unifiedControllers.contains(controller) {
        placement.v2.append(controller)
      } else if base.v1[controller] != nil {
        placement.v1.append(controller)
      } else {
        throw .missing(controller: controller, why: base.whyMissing)
      }
    }
    return placement
  }

  static func write(_ value: CgroupValue, in group: String) -> Step {
    value.isOptional
      ? .writeIfPresent(value.text, file: "\(group)/\(value.file)") : .write(value.text, file: "\(group)/\(value.file)")
  }

  /// One line a step.
  public var description: String { steps.map { $0.description }.joined(separator: "\n") }
}

extension CgroupPlan.Step: CustomStringConvertible {
  public var description: String {
    switch self {
    case .shared(let path): "make the group \(path) where it is missing"
    case .inheritCpuset(let path): "fill \(path)/cpuset.cpus and cpuset.mems from above where they are empty"
    case .enable(let controllers, _, let path):
      "write \(controllers.map { "+\($0.rawValue)" }.joined(separator: " ")) to \(path)/cgroup.subtree_control"
    case .own(let path): "make the group \(path)"
    case .delegate(let path, let owner): "give the group \(path) to \(owner.uid):\(owner.gid)"
    case .write(let text, let file): "write \(text) to \(file)"
    case .writeIfPresent(let text, let file): "write \(text) to \(file) where the kernel has it"
    }
  }
}

/// Whose a group is.
public struct CgroupOwner: Equatable, Sendable {
  public var uid: UInt32
  public var gid: UInt32

  public init(uid: UInt32, gid: UInt32) {
    self.uid = uid
    self.gid = gid
  }
}

/// Where a zone's groups are; kept in its state, so that another process can find them again.
public struct CgroupRecord: Equatable, Sendable {
  /// The group in the v2 tree.
  public var unified: String?
  /// The groups in v1 trees; two controllers may share one.
  public var v1: [CgroupController: String]
  /// The zone's first process is in a group below the v2 one, and may make more there.
  public var isDelegated = false

  /// The v2 group of the zone's first process, the top of all that it sees.
  public var beginning: String? { unified.map { isDelegated ? "\($0)/zone" : $0 } }
  /// That of processes which come later.
  public var executions: String? { unified.map { isDelegated ? "\($0)/exec" : $0 } }

  public init(unified: String?, v1: [CgroupController: String]) {
    self.unified = unified
    self.v1 = v1
  }

  /// All groups, each once, the v2 one first.
  public var paths: [String] { (unified.map { [$0] } ?? []) + Set(v1.values).sorted() }
}
