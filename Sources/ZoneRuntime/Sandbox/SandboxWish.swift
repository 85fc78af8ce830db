public import ResourceControl
internal import VirtualNet

/// What `zonectl sandbox` was asked for. Paths are absolute.
public struct SandboxWish: Sendable {
  public var command: [String] = []
  public var readOnly: [String] = []
  public var writable: [String] = []
  public var hidden: [String] = []
  /// `NAME=VALUE`, beside what is let through anyway.
  public var environment: [String] = []
  /// A home that lasts, by name.
  public var home: String?
  public var network: NetworkChoice = .none
  public var allowed: [String] = []
  public var limits = ResourceLimits()
  public var nesting = false
  public var manyIds = false
  /// The wall of that name, whatever it costs.
  public var landlock = false
  /// Nothing but what is named: no current directory, no tools of PATH, no caches.
  public var only = false
  /// Names of groups of system calls; none: all.
  public var calls: [String] = []
  public var watch: SandboxSpec.Watch?
  public var terminal = false
  /// Without namespaces, and why; nil: with them.
  public var bare: String?
  /// What is written to the project goes to this layer; nil: to the project.
  public var review: String?

  /// Of `learn`: the caller's files as they are.
  public var everything = false

  public init() {}

  /// Of `learn`: every host, by the proxy.
  public mutating func allowEverything() {
    allowed = [EgressRule.everything.description]
    network = .none
  }

  /// - Parameter rules: `HOST[:PORT],…` as docs/EGRESS.md has them.
  /// - Throws: `.commandLine` for what is no rule.
  public mutating func allow(_ rules: String) throws(ZoneError) {
    do throws(NetworkError) { allowed = try EgressRules(rules).rules.map { $0.description } } catch {
      throw .commandLine("--network allow=\(rules): \(error)")
    }
    network = .none
  }
}

/// What has to be known of the caller and his files.
public struct SandboxFacts {
  public var account: SandboxAccount
  /// Where he is, without links.
  public var folder: String
  /// `NAME=VALUE`, as environ(7) has them.
  public var environment: [String]
  public var hostname: String
  /// His git configurations, the weaker ones first.
  public var gitConfigurations: [[UInt8]] = []
  /// Our own places, which nothing inside may see.
  public var ours: [String] = []
  /// Where what runs is kept, by name.
  public var runs = ""
  /// The names in a directory.
  public var list: (String) -> [String] = { _ in [] }
  /// Where his own profiles are.
  public var profiles: String
  /// Where homes that last are kept.
  public var homes: String
  public var look: PathLook
  /// Of `learn`: the names right below the top.
  public var tops: [String] = []
  /// Without links, `.` and `..` (realpath(3)); nil where there is nothing.
  public var real: (String) -> String?
  /// His home by passwd(5), where HOME says another.
  public var otherHome: String?
  /// The most processes that he may have (RLIMIT_NPROC); nil for no limit.
  public var mostProcesses: UInt64?
  /// Whether the caller may make files in a directory (access(2)).
  public var canWrite: (String) -> Bool
}
