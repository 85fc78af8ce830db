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
