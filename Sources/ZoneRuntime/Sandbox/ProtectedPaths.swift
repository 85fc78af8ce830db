/// What of a project a command could use to run something later, outside of its walls: read-only in a sandbox, also where
/// it is not there yet.
public enum ProtectedPaths {
  /// Editors and agents run what these say when the project is opened next; direnv when it is entered.
  public static let names = [
    ".envrc", ".vscode", ".idea", ".claude", ".codex", ".cursor", ".gemini", ".windsurf", ".continue",
    ".aider.conf.yml", ".mcp.json",
  ]
  /// Below a repository's `.git`. Both can name programs, which git outside would run (core.hooksPath, aliases, filters).
  public static let ofGit = ["hooks", "config", "modules", "worktrees"]
  /// Files that would lead git elsewhere for both (gitrepository-layout(5)); with what stands there where they are not, and
  /// changes nothing.
  static let filesOfGit: [(name: String, text: String)] = [("commondir", ".\n"), ("config.worktree", "")]

  /// Below the project's folder, for who checks what was changed in it.
  public static var all: [String] { (ofGit + filesOfGit.map { $0.name }).map { ".git/\($0)" } + names }
}

/// One of them in a folder that the command may write to.
enum ProtectedPath: Equatable {
  /// It is there: the same, read-only.
  case present(String, isDirectory: Bool)
  /// An empty directory has to stand there while the command runs.
  case absent(String)
  /// A file with this text has to.
  case absentFile(String, text: String)
  /// The repository's own folder: writable, but it cannot be moved out of the way.
  case repository(String)

  /// - Parameters:
  ///   - folder: absolute; the command may write in it.
  ///   - lifted: paths that the caller gave with --rw: those and what lies in them.
  ///   - canMake: whether the caller could make a directory of that name.
  /// - Throws: for a link, which nothing can be mounted on: whoever replaced it would be out of the walls' reach.
  static func found(
    in folder: String, lifted: [String], _ look: PathLook, canMake: (String) -> Bool
  ) throws(ZoneError) -> [ProtectedPath] {
    var found: [ProtectedPath] = []
    func add(_ path: String, text: String? = nil) throws(ZoneError) {
      // By its own name, or by that of a folder below this one.
      if lifted.contains(where: { Paths.lies($0, in: folder) && Paths.isOrLies(path, in: $0) }) { return }
      switch look(path) {
      case .directory?: found.append(.present(path, isDirectory: true))
      case .file?: found.append(.present(path, isDirectory: false))
      // What the caller cannot make, the command cannot either.
      case nil:
        if canMake(path) { found.append(text.map { .absentFile(path, text: $0) } ?? .absent(path)) }
      case .link?, .other?:
        throw .refused(
          "cannot protect \(path) from the command: it is no plain file or directory (make it one, or allow it with --rw \(path))"
        )
      }
    }
    let git = Paths.join(folder, ".git")
    switch look(git) {
    case .directory?:
      if !lifted.contains(git) { found.append(.repository(git)) }
      for name in ProtectedPaths.ofGit { try add("\(git)/\(name)") }
      for (name, text) in ProtectedPaths.filesOfGit { try add("\(git)/\(name)", text: text) }
    default:
      try add(git)
      // With it, a config and two folders the project itself would be a repository (git-init(1), --bare).
      try add(Paths.join(folder, "HEAD"))
    }
    for name in ProtectedPaths.names { try add(Paths.join(folder, name)) }
    return found
  }
}
