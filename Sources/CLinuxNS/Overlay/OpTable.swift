internal import CLinuxNS

/// One step of a launch as the stage executes it. Codes and flags are those of stage_plan.h.
public struct StageOp: Sendable, Equatable {
  public struct Code: RawRepresentable, Sendable, Equatable {
    public var rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    init(_ code: stage_op_code) { rawValue = UInt16(code.rawValue) }

    public static let rootTmpfs = Code(STAGE_OP_ROOT_TMPFS)
    public static let rootTree = Code(STAGE_OP_ROOT_TREE)
    public static let hostTree = Code(STAGE_OP_HOST_TREE)
    public static let rootOverlay = Code(STAGE_OP_ROOT_OVERLAY)
    public static let fsids = Code(STAGE_OP_FSIDS)
    public static let makeDirectory = Code(STAGE_OP_MKDIR)
    public static let symlink = Code(STAGE_OP_SYMLINK)
    public static let file = Code(STAGE_OP_FILE)
    public static let copy = Code(STAGE_OP_COPY)
    public static let attach = Code(STAGE_OP_ATTACH)
    public static let mount = Code(STAGE_OP_MOUNT)
    public static let overlay = Code(STAGE_OP_OVERLAY)
    public static let device = Code(STAGE_OP_DEVICE)
    public static let readOnly = Code(STAGE_OP_READ_ONLY)
    public static let enterRoot = Code(STAGE_OP_ENTER_ROOT)
    public static let mask = Code(STAGE_OP_MASK)
    public static let readOnlyPath = Code(STAGE_OP_READ_ONLY_PATH)
    public static let pivot = Code(STAGE_OP_PIVOT)
    public static let hostname = Code(STAGE_OP_HOSTNAME)
    public static let loopback = Code(STAGE_OP_LOOPBACK)
    public static let network = Code(STAGE_OP_NETWORK)
    public static let write = Code(STAGE_OP_WRITE)
    public static let terminal = Code(STAGE_OP_TERMINAL)
    public static let rlimit = Code(STAGE_OP_RLIMIT)
    public static let ids = Code(STAGE_OP_IDS)
    public static let changeDirectory = Code(STAGE_OP_CHDIR)
    public static let bounding = Code(STAGE_OP_BOUNDING)
    public static let capabilities = Code(STAGE_OP_CAPABILITIES)
    public static let noNewPrivileges = Code(STAGE_OP_NO_NEW_PRIVS)
    public static let seccomp = Code(STAGE_OP_SECCOMP)
    public static let oomScore = Code(STAGE_OP_OOM_SCORE)
    public static let keyring = Code(STAGE_OP_KEYRING)
    public static let deathSignal = Code(STAGE_OP_DEATH_SIGNAL)
    public static let propagation = Code(STAGE_OP_PROPAGATION)
    public static let attributes = Code(STAGE_OP_ATTRIBUTES)
    public static let node = Code(STAGE_OP_NODE)
    public static let mounted = Code(STAGE_OP_MOUNTED)
    public static let leaveRoot = Code(STAGE_OP_LEAVE_ROOT)
    public static let domainname = Code(STAGE_OP_DOMAINNAME)
    public static let console = Code(STAGE_OP_CONSOLE)
    public static let label = Code(STAGE_OP_LABEL)
    public static let find = Code(STAGE_OP_FIND)
    public static let hardLimit = Code(STAGE_OP_HARD_LIMIT)
    public static let umask = Code(STAGE_OP_UMASK)
    public static let capabilitySets = Code(STAGE_OP_CAPABILITY_SETS)
    public static let stdioOwner = Code(STAGE_OP_STDIO_OWNER)
    public static let home = Code(STAGE_OP_HOME)
    public static let personality = Code(STAGE_OP_PERSONALITY)
    public static let scheduler = Code(STAGE_OP_SCHEDULER)
    public static let ioPriority = Code(STAGE_OP_IO_PRIORITY)
    public static let affinity = Code(STAGE_OP_AFFINITY)
    public static let memoryPolicy = Code(STAGE_OP_MEMORY_POLICY)
    public static let landlock = Code(STAGE_OP_LANDLOCK)
  }

  public struct Flags: OptionSet, Sendable, Equatable {
    public var rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    init(_ flag: stage_op_flag) { rawValue = UInt16(flag.rawValue) }

    public static let recursive = Flags(STAGE_RECURSIVE)
    public static let idmap = Flags(STAGE_IDMAP)
    public static let make = Flags(STAGE_MAKE)
    public static let optional = Flags(STAGE_OPTIONAL)
    public static let keepGroups = Flags(STAGE_KEEP_GROUPS)
    public static let fresh = Flags(STAGE_FRESH)
    public static let follow = Flags(STAGE_FOLLOW)
    public static let copyUp = Flags(STAGE_COPY_UP)
    public static let straight = Flags(STAGE_STRAIGHT)
    public static let keepMode = Flags(STAGE_KEEP_MODE)
    public static let keepOwner = Flags(STAGE_KEEP_OWNER)
  }

  public var code: Code
  public var flags: Flags
  /// A descriptor's number as the stage will see it; a count where the op says so; -1 for none.
  public var fd: Int32
  /// Up to four texts or blocks of bytes; nil is none.
  public var blocks: [[UInt8]?]
  public var a: UInt64
  public var b: UInt64

  public init(
    _ code: Code, flags: Flags = [], fd: Int32 = -1, blocks: [[UInt8]?] = [], a: UInt64 = 0, b: UInt64 = 0
  ) {
    self.code = code
    self.flags = flags
    self.fd = fd
    self.blocks = blocks
    self.a = a
    self.b = b
  }
}

/// The block of memory that a launch hands to the stage (stage_plan.h): the only writer of that format.
public struct StagePlan: Sendable {
  public enum Mode: Sendable { case launch, exec, files, container, enter }
  public enum Tier: Sendable { case host, user, bare }

  public var mode: Mode
  public var tier: Tier
  public var tree: [StageOp] = []
  public var zone: [StageOp] = []
  public var process: [StageOp] = []
  /// Containers and the bare tier: in the stage itself, for the process to inherit.
  public var before: [StageOp] = []
  /// clone3(2) flags of the joiner and of the zone's first process; for `exec` the setns(2) flags.
  public var joinerFlags: UInt32 = 0
  public var zoneFlags: UInt32 = 0
  /// The text of /proc/PID/uid_map; nil leaves the mapping to the launcher (newuidmap).
  public var uidMap: String?
  public var gidMap: String?
  public var nestedUidMap: String?
  public var nestedGidMap: String?
  public var denySetgroups = false
  public var ownInit = false
  public var terminal = false
  public var keepNamespaces = false
  public var handOver = false
  /// A launcher that goes takes the zone along.
  public var endsWithLauncher = false
  /// Whoever joins stays who he is: the zone has no uid 0.
  public var keepIdentity = false
  /// Nothing is to be done at the gate: the first process passes it without waiting.
  public var openGate = false
  public var direct = false
  public var arguments: [String] = []
  public var environment: [String] = []
  /// The folders that a command without a slash is looked for in, inside.
  public var searchPath = ""
  public var zonectl = ""
  public var zonectlArguments: [String] = []
  public var zonectlEnvironment: [String] = []
  public var logName = "log"
  /// Bytes; a longer log becomes NAME.1. 0 never does.
  public var logLimit: UInt64 = 0
  public var zoneRootUID: UInt32 = 0
  public var zoneRootGID: UInt32 = 0
  public var ownerUID: UInt32 = 0
  /// Containers: namespaces that the first process makes itself, when it is where they are to begin.
  public var lateFlags: UInt32 = 0
  /// One of the namespaces to join is a user namespace.
  public var joinsUser = false
  /// The stage puts the root together, on the host's side of a user namespace.
  public var builder = false
  /// The text of /proc/PID/timens_offsets.
  public var timeOffsets: String?
  /// The launcher has hooks to run when the mounts stand.
  public var outerHooks = false
  public var createHooks: [Hook] = []
  public var startHooks: [Hook] = []
  public var descriptors = Descriptors()

  /// A program of the container's side, with the container's state as its input.
  public struct Hook: Sendable, Equatable {
    public var path: String
    public var arguments: [String]
    public var environment: [String]
    /// Seconds; 0: none.
    public var timeout: UInt32

    public init(path: String, arguments: [String], environment: [String], timeout: UInt32) {
      self.path = path
      self.arguments = arguments
      self.environment = environment
      self.timeout = timeout
    }
  }

  /// Descriptors of this process; each is passed on under a number of the stage's.
  public struct Descriptors: Sendable {
    public var standardInput: CInt = -1
    public var standardOutput: CInt = -1
    public var standardError: CInt = -1
    public var cgroup: CInt = -1
    public var tasks: [CInt] = []
    public var run: CInt = -1
    public var log: CInt = -1
    public var zonectl: CInt = -1
    public var oom: CInt = -1
    public var join: CInt = -1
    public var joinNamespaces: [CInt] = []
    /// Containers: a cgroup namespace that the first process enters when it is in its groups.
    public var cgroupNamespace: CInt = -1
    /// A listening socket: the container's start is told there.
    public var gate: CInt = -1
    /// What a container's process gets as 3, 4, …
    public var preserved: [CInt] = []
    /// A socket: the listener of a watched command's filter is sent on it (seccomp_unotify(2)).
    public var watch: CInt = -1
    /// Sources of ops; an op's `fd` is an index into these.
    public var sources: [CInt] = []

    public init() {}
  }

  public init(mode: Mode, tier: Tier) {
    self.mode = mode
    self.tier = tier
  }

  /// The finished block, and the descriptors in the order the stage numbers them from STAGE_FD_FIRST: sources last.
  public func marshalled() -> (block: [UInt8], fds: [CInt]) {
    var fds: [CInt] = []
    let number = { (fd: CInt) -> Int32 in
      guard fd >= 0 else { return -1 }
      fds.append(fd)
      return Int32(STAGE_FD_FIRST) + Int32(fds.count - 1)
    }
    let ops = tree + zone + process + before
    let opsAt = (MemoryLayout<stage_plan>.size + 7) & ~7
    var block = [UInt8](repeating: 0, count: opsAt + MemoryLayout<stage_op>.stride * ops.count)
    block.reserveCapacity(24 << 10)
    var header = stage_plan()

    header.magic = UInt32(STAGE_MAGIC)
    header.version = UInt32(STAGE_PLAN_VERSION)
    header.mode =
      switch mode {
      case .launch: UInt32(STAGE_LAUNCH.rawValue)
      case .exec: UInt32(STAGE_EXEC.rawValue)
      case .files: UInt32(STAGE_FILES.rawValue)
      case .container: UInt32(STAGE_CONTAINER.rawValue)
      case .enter: UInt32(STAGE_ENTER.rawValue)
      }
    header.tier =
      switch tier {
      case .host: UInt32(STAGE_TIER_HOST.rawValue)
      case .user: UInt32(STAGE_TIER_USER.rawValue)
      case .bare: UInt32(STAGE_TIER_BARE.rawValue)
      }
    header.joiner_flags = joinerFlags
    header.zone_flags = zoneFlags
    header.deny_setgroups = denySetgroups ? 1 : 0
    header.own_init = ownInit ? 1 : 0
    header.terminal = terminal ? 1 : 0
    header.keep_namespaces = keepNamespaces ? 1 : 0
    header.hand_over = handOver ? 1 : 0
    header.ends_with_launcher = endsWithLauncher ? 1 : 0
    header.keep_identity = keepIdentity ? 1 : 0
    header.open_gate = openGate ? 1 : 0
    header.direct = direct ? 1 : 0
    header.log_limit = logLimit
    header.zone_root_uid = zoneRootUID
    header.zone_root_gid = zoneRootGID
    header.owner_uid = ownerUID
    header.late_flags = lateFlags
    header.joins_user = joinsUser ? 1 : 0
    header.builder = builder ? 1 : 0
    header.outer_hooks = outerHooks ? 1 : 0
    header.preserved = UInt32(descriptors.preserved.count)

    header.fd_stdin = number(descriptors.standardInput)
    header.fd_stdout = number(descriptors.standardOutput)
    header.fd_stderr = number(descriptors.standardError)
    header.fd_cgroup = number(descriptors.cgroup)
    header.fd_run = number(descriptors.run)
    header.fd_log_dir = number(descriptors.log)
    header.fd_zonectl = number(descriptors.zonectl)
    header.fd_oom = number(descriptors.oom)
    header.fd_join = number(descriptors.join)
    header.fd_cgroup_ns = number(descriptors.cgroupNamespace)
    header.fd_gate = number(descriptors.gate)
    let preserved = descriptors.preserved.map(number)
    header.fd_preserved = preserved.first ?? -1
    let tasks = descriptors.tasks.map(number)
    let joins = descriptors.joinNamespaces.map(number)
    withUnsafeMutableBytes(of: &header.fd_tasks) { Self.fill($0.assumingMemoryBound(to: Int32.self), tasks) }
    withUnsafeMutableBytes(of: &header.fd_join_ns) { Self.fill($0.assumingMemoryBound(to: Int32.self), joins) }
    header.fd_sources = Int32(STAGE_FD_FIRST) + Int32(fds.count)
    let sources = descriptors.sources.map(number)
    // Among those that the keeper lets go: who waits on the other end has to see when nobody is left to send.
    header.fd_watch = number(descriptors.watch)

    // The ops, with their texts behind them.
    header.ops = UInt32(opsAt)
    var first: UInt32 = 0
    var ranges: [stage_range] = []
    for section in [tree, zone, process, before] {
      ranges.append(stage_range(first: first, count: UInt32(section.count)))
      first += UInt32(section.count)
    }
    header.section = (ranges[0], ranges[1], ranges[2], ranges[3])
    for (index, op) in ops.enumerated() {
      var raw = stage_op()
      raw.code = op.code.rawValue
      raw.flags = op.flags.rawValue
      raw.fd = op.code == .ids ? op.fd : (op.fd >= 0 ? sources[Int(op.fd)] : -1)
      raw.a = op.a
      raw.b = op.b
      var offsets: [UInt32] = [0, 0, 0, 0]
      for (slot, bytes) in op.blocks.enumerated() {
        if let bytes { offsets[slot] = bytes.withUnsafeBufferPointer { Self.append($0, to: &block) } }
      }
      raw.text = (offsets[0], offsets[1], offsets[2], offsets[3])
      block.withUnsafeMutableBytes {
        $0.storeBytes(of: raw, toByteOffset: opsAt + index * MemoryLayout<stage_op>.stride, as: stage_op.self)
      }
    }

    let text = { (value: String?, block: inout [UInt8]) -> UInt32 in
      value.map { Self.append($0, to: &block) } ?? 0
    }
    let vector = { (values: [String], block: inout [UInt8]) -> UInt32 in
      let offsets = values.map { text($0, &block) }
      Self.align(&block)
      let at = UInt32(block.count)
      for offset in offsets { withUnsafeBytes(of: offset) { block.append(contentsOf: $0) } }
      return at
    }
    header.uid_map = text(uidMap, &block)
    header.gid_map = text(gidMap, &block)
    header.nested_uid_map = text(nestedUidMap, &block)
    header.nested_gid_map = text(nestedGidMap, &block)
    header.argv = vector(arguments, &block)
    header.argc = UInt32(arguments.count)
    header.envp = vector(environment, &block)
    header.envc = UInt32(environment.count)
    header.path = text(searchPath, &block)
    header.zonectl = text(zonectl, &block)
    header.zonectl_argv = vector(zonectlArguments, &block)
    header.zonectl_argc = UInt32(zonectlArguments.count)
    header.zonectl_envp = vector(zonectlEnvironment, &block)
    header.zonectl_envc = UInt32(zonectlEnvironment.count)
    header.log_name = text(logName, &block)
    header.time_offsets = text(timeOffsets, &block)
    let hooks = (createHooks + startHooks).map { hook in
      stage_hook(
        path: text(hook.path, &block), argv: vector(hook.arguments, &block), argc: UInt32(hook.arguments.count),
        envp: vector(hook.environment, &block), envc: UInt32(hook.environment.count), timeout: hook.timeout)
    }
    Self.align(&block)
    if !hooks.isEmpty { header.hooks = UInt32(block.count) }
    for hook in hooks { withUnsafeBytes(of: hook) { block.append(contentsOf: $0) } }
    header.hook_count = UInt32(createHooks.count)
    header.start_hook_count = UInt32(startHooks.count)
    header.size = UInt32(block.count)
    withUnsafeBytes(of: &header) { block.replaceSubrange(0..<$0.count, with: $0) }
    return (block, fds)
  }

  private static func fill(_ slots: UnsafeMutableBufferPointer<Int32>, _ values: [Int32]) {
    precondition(values.count <= slots.count)
    for index in slots.indices { slots[index] = index < values.count ? values[index] : -1 }
  }

  private static func append(_ text: String, to block: inout [UInt8]) -> UInt32 {
    var text = text
    return text.withUTF8 { append($0, to: &block) }
  }

  private static func append(_ bytes: UnsafeBufferPointer<UInt8>, to block: inout [UInt8]) -> UInt32 {
    align(&block)
    let at = UInt32(block.count)
    block.append(contentsOf: bytes)
    block.append(0)
    return at
  }

  private static func align(_ block: inout [UInt8]) {
    while block.count & 7 != 0 { block.append(0) }
  }
}
