internal import LinuxNS

/// What the networks of an ordinary user need beside the helper.
public struct UserNetworks: Sendable {
  let searchPath: String?
  let lives: @Sendable (String) -> Bool
  let namespace: @Sendable (String) -> CInt?

  /// - Parameters:
  ///   - searchPath: $PATH, for pasta.
  ///   - lives: whether a zone of that name does.
  ///   - namespace: a zone's network namespace as a descriptor, which is ours then; nil where it has gone. By it a living
  ///     zone is connected anew to a network whose namespaces were lost.
  public init(
    searchPath: String?, lives: @escaping @Sendable (String) -> Bool, namespace: @escaping @Sendable (String) -> CInt?
  ) {
    self.searchPath = searchPath
    self.lives = lives
    self.namespace = namespace
  }

  /// Whether this user can have networks.
  /// - Throws: what is missing, and the mend.
  public static func check(searchPath: String?) throws(NetworkError) {
    _ = try Pasta.find(searchPath: searchPath)
    try Pasta.checkDevice()
  }
}

extension Networks {
  var ruleset: Ruleset { Ruleset(tableName: names.table, portPrefix: names.portPrefix) }

  /// Whether something of an ordinary user's network was killed: `recover` mends it. Looks, and locks nothing.
  public func needMending() throws(NetworkError) -> Bool {
    guard FileSystem.exists(directories.stateFolder) else { return false }
    for network in try Self.names(in: directories.stateFolder) {
      guard let state = try NetworkState.read(directories.state(network)) else { continue }
      if state.helper?.isAlive != true || state.pasta?.isAlive != true
        || state.attachments.contains(where: { $0.phase == .lost })
      {
        return true
      }
    }
    for folder in directories.folders where try !RecordFile.drafts(in: folder).isEmpty { return true }
    return false
  }
}
