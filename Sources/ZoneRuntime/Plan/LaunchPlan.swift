public import LinuxNS
public import ResourceControl

/// All that a start does, in order and ready to be printed: made by `LaunchPlanner`, executed by `Launch`.
///
/// The plan opens nothing and changes nothing; sources are named, and opened by the executor before anything runs.
public struct LaunchPlan: Equatable, Sendable {
  public var name: String
  public var tier: WallTier
  /// clone3(2) flags of the zone's first process.
  public var namespaces: NamespaceFlags
  /// The zone's ids as the host sees them; empty without a user namespace.
  public var uids: [IdMap]
  public var gids: [IdMap]
  public var tree: [PlannedOp] = []
  public var zone: [PlannedOp] = []
  public var process: [PlannedOp] = []
  /// In the keeper itself, for all below it (the tier without namespaces).
  public var before: [PlannedOp] = []
  /// What ops attach or copy, by index.
  public var sources: [PlannedSource] = []
  public var arguments: [String] = []
  public var environment: [String] = []
  public var searchPath = ""
  public var terminal = false
  public var ownInit = false
  public var limits = ResourceLimits()

  public init(name: String, tier: WallTier, namespaces: NamespaceFlags, uids: [IdMap], gids: [IdMap]) {
    self.name = name
    self.tier = tier
    self.namespaces = namespaces
    self.uids = uids
    self.gids = gids
  }
}

/// How strong the walls can be for whom (VOCABULARY.md).
public enum WallTier: String, Sendable {
  /// Host root: an id range of its own for each zone; mounts attached by the host and locked.
  case root
  /// An ordinary user with a range in /etc/subuid and /etc/subgid.
  case subordinate
  /// An ordinary user's own id only.
  case single
  /// No namespaces at all: Landlock and the filter alone. Of sandboxes that asked for it.
  case bare
}

public struct NamespaceFlags: OptionSet, Sendable, Equatable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let mount = NamespaceFlags(rawValue: 0x0002_0000)
  public static let cgroup = NamespaceFlags(rawValue: 0x0200_0000)
  public static let uts = NamespaceFlags(rawValue: 0x0400_0000)
  public static let ipc = NamespaceFlags(rawValue: 0x0800_0000)
  public static let user = NamespaceFlags(rawValue: 0x1000_0000)
  public static let pid = NamespaceFlags(rawValue: 0x2000_0000)
  public static let net = NamespaceFlags(rawValue: 0x4000_0000)
  /// Of OCI containers alone.
  public static let time = NamespaceFlags(rawValue: 0x80)

  public static let table: [(flag: NamespaceFlags, name: String)] = [
    (.user, "user"), (.mount, "mount"), (.pid, "pid"), (.net, "net"), (.ipc, "ipc"), (.uts, "uts"), (.cgroup, "cgroup"),
  ]
}

/// An op of the stage, with the words `explain` prints and a failure is told in: `mount proc on /proc`.
public struct PlannedOp: Equatable, Sendable {
  public var op: StageOp
  private let telling: @Sendable () -> String

  /// The words are made where somebody asks for them: a start has sixty ops, and tells one if any (0.1 ms).
  init(op: StageOp, words: @autoclosure @escaping @Sendable () -> String) {
    self.op = op
    telling = words
  }

  public var words: String { telling() }

  public static func == (one: PlannedOp, other: PlannedOp) -> Bool { one.op == other.op && one.words == other.words }
}

/// Something of the host's that an op needs.
public enum PlannedSource: Equatable, Sendable {
  /// A tree to attach. For root it is opened as a detached copy (open_tree(2)) on the host's side.
  case tree(path: String, recursive: Bool)
  /// A file with a file system in it, which is mounted (`DiskFile`).
  case disk(path: String)
  /// A file whose content is copied in.
  case content(path: String)

  public var path: String {
    switch self {
    case .tree(let path, _), .disk(let path), .content(let path): path
    }
  }
}

/// Mount flags by the names of mount(8).
public enum MountFlag {
  public static let readOnly: UInt64 = 1
  public static let noSuid: UInt64 = 2
  public static let noDev: UInt64 = 4
  public static let noExec: UInt64 = 8

  public static let table: [(flag: UInt64, name: String)] = [
    (readOnly, "ro"), (noSuid, "nosuid"), (noDev, "nodev"), (noExec, "noexec"),
  ]

  static func text(_ flags: UInt64) -> String {
    table.filter { flags & $0.flag != 0 }.map { $0.name }.joined(separator: ",")
  }
}
