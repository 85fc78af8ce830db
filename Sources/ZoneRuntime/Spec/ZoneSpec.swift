public import ResourceControl
public import VirtualNet

/// All that was asked of a zone: the value that `configure` and `create` store, `set` changes and the planner reads.
///
/// Field names are Compose's where Compose has one, zonecfg's where only zones have it.
public struct ZoneSpec: Equatable, Sendable {
  /// The format's version; a reader refuses a later one than its own.
  public static let currentVersion = 1

  public var version = ZoneSpec.currentVersion
  /// A DNS label: `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, at most 63 characters (RFC 1123 section 2.1).
  public var name: String
  public var brand: Brand = .sparse
  /// The first process and its arguments; empty: the zone's init waits and does nothing else.
  public var command: [String] = []
  public var environment: [String: String] = [:]
  /// The first process's directory inside; nil is the user's home.
  public var workdir: String?
  /// `UID[:GID]` or `NAME[:GROUP]` as the zone's own passwd and group have it; nil is 0:0.
  public var user: String?
  /// nil is the zone's name.
  public var hostname: String?
  public var network: NetworkChoice = .named("default")
  /// Further names the network answers with the zone's address (Compose's network aliases).
  public var aliases: [String] = []
  public var publish: [PublishedPort] = []
  public var volumes: [VolumeMount] = []
  public var secrets: [SecretMount] = []
  public var limits = ResourceLimits()
  /// What the zone may write to its own layer, in bytes; nil: as much as there is room.
  public var quota: Int64?
  /// The root is read-only; volumes, /tmp, /run and /dev/shm stay writable.
  public var readOnly = false
  /// Added to the default set, `CAP_NET_RAW` or `NET_RAW`; `ALL`.
  public var capAdd: [String] = []
  public var capDrop: [String] = []
  public var restart: RestartPolicy = .no
  /// Started by `zonectl boot --all`.
  public var autostart = false
  /// A terminal for the first process.
  public var terminal = false
  /// The command is the zone's own init (pid 1); ours is left out.
  public var ownInit = false
  /// Namespaces and new user namespaces may be made inside.
  public var nesting = false
  /// Names of the groups of system calls that are left (`CallGroups`); none: all.
  public var calls: [String] = []
  public var labels: [String: String] = [:]
  /// What `stop` sends first; a name without SIG or a number.
  public var stopSignal = "TERM"
  /// Seconds between the stop signal and the kill.
  public var stopGrace: Double = 10
  /// When nobody wants it any more, in seconds since 1970; nil: never (`Lease`).
  public var expires: UInt64?
  /// Data goes with the zone when it ends (`run --rm`).
  public var ephemeral = false
  /// The fleet that owns the zone: `zonectl` changes it only with `--force`.
  public var fleet: String?
  /// `zonectl sandbox`: the caller himself, among his own files; always ephemeral and sparse.
  public var sandbox: SandboxSpec?

  public init(name: String) { self.name = name }
}

/// Where a zone's root comes from (`--image BRAND[:WHAT]`).
public enum Brand: Equatable, Sendable {
  /// The host's /usr read-only, everything else private.
  case sparse
  /// A directory tree, used in place.
  case directory(String)
  /// An image's layers under one of the zone's own. Which image the name meant when the zone was made says `RootRecord`.
  case image(ImageReference)
  /// Only what the spec mounts.
  case empty
}

extension Brand {
  package var isImage: Bool {
    if case .image = self { return true }
    return false
  }

  /// A root of others, with hosts, resolv.conf and accounts of its own.
  var isForeignTree: Bool {
    switch self {
    case .directory, .image: true
    case .sparse, .empty: false
    }
  }
}

/// `--network none|host|NAME`.
public enum NetworkChoice: Equatable, Sendable {
  case none
  case host
  /// A network of ours; `default` where nothing was said.
  case named(String)
}

/// `[SOURCE:]TARGET[:ro]`: a host directory (absolute path) or a named volume.
public struct VolumeMount: Equatable, Sendable {
  public enum Source: Equatable, Sendable {
    case path(String)
    case volume(String)
    /// A tmpfs of at most this many bytes; nil is half of memory.
    case tmpfs(size: Int64?)
  }
  public var source: Source
  /// An absolute path inside.
  public var target: String
  public var readOnly: Bool

  public init(source: Source, target: String, readOnly: Bool = false) {
    self.source = source
    self.target = target
    self.readOnly = readOnly
  }
}

/// A file on tmpfs inside the zone whose content is never shown, printed or put into an event.
public struct SecretMount: Equatable, Sendable {
  /// The file's name below /run/secrets.
  public var name: String
  /// The host file that holds it, read at each start. Made 0400, owned by the zone's root or `uid`.
  public var file: String
  public var uid: UInt32

  public init(name: String, file: String, uid: UInt32 = 0) {
    self.name = name
    self.file = file
    self.uid = uid
  }
}

/// What the keeper does when the first process has ended (Compose's `restart`).
public enum RestartPolicy: Equatable, Sendable {
  case no
  case always
  /// As `always`, but not after `stop` and a boot.
  case unlessStopped
  /// Only after a status other than 0; at most `limit` times in a row, nil for ever.
  case onFailure(limit: Int?)
}

#if !hasFeature(Embedded)
  // As part of what a fleet keeps.
  extension VolumeMount: Codable {}
  extension VolumeMount.Source: Codable {}
#endif
