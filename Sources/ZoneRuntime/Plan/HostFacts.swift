public import LinuxNS

/// What the planner has to know of the machine and of the caller: values, so that planning stays a pure function.
public struct HostFacts: Sendable {
  public var tier: WallTier
  public var uid: UInt32
  public var gid: UInt32
  /// Id maps of the zone's user namespace.
  public var uids: [IdMap]
  public var gids: [IdMap]
  /// Entries of the host's root that a sparse zone gets: `bin -> usr/bin` links, and real directories (`usr`, `opt`).
  public var rootLinks: [(name: String, target: String)] = []
  public var rootDirectories: [String] = []
  /// Paths whose file system can be attached with an id map (mount_setattr(2), MOUNT_ATTR_IDMAP).
  public var idmappable: [String] = []
  /// Directories among the sources; the rest are files.
  public var directories: Set<String> = []
  /// The zone's run directory: a place of the host's on which the root is put together.
  public var runDirectory: String
  /// The zone's data directory.
  public var dataDirectory: String
  /// Holds every zone's data and the templates: seen through the zone's id map for overlays.
  public var dataRoot: String
  public var etcTemplate: String
  /// Of a zone of an image.
  public var layers: RootLayers?
  public var volumeDirectory: String
  /// Named volumes that are a file with a file system in it.
  public var disks: Set<String> = []
  /// The command's user, already looked up in the zone's passwd and group.
  public var user: ZoneUser
  public var capabilities: CapabilitySet
  /// The compiled filter (struct sock_filter[]).
  public var seccomp: [UInt8]
  /// The same where a watcher stands by it (`WatchFilter`).
  public var watchedFilter: [UInt8]?
  public var resolvConf: String
  public var hosts: String
  /// Of a sandbox: passwd(5) and group(5) with the caller in them.
  public var passwd = ""
  public var group = ""
  /// What Landlock of this kernel can rule; asked for sandboxes alone.
  public var landlock = Landlock(abi: 0)
  /// Of a sandbox without namespaces: what of the machine it may read, beside `rootDirectories`.
  public var readable: [ReadablePath] = []
  /// The same: how many processes the caller has (RLIMIT_NPROC counts by user).
  public var ownProcesses: UInt64 = 0
  /// The zone may make control groups below its own.
  public var hasGroups = false
  /// The terminal's size, if the command gets one.
  public var terminalSize: WindowSize?
}

/// What lies below a zone's own layer.
public struct RootLayers: Sendable, Equatable {
  /// The folder that their names are found from.
  public var links: String
  /// From the top.
  public var names: [String]
  /// The mode of the root, where the zone's own layer is made anew at each start.
  public var topMode: UInt32
}
