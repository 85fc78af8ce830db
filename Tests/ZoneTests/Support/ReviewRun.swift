import Foundation
import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// A project of the ordinary user's and a command that ran over it on a review's layer, as `sandbox --review` runs one.
struct ReviewRun {
  let zones: Zonectl
  /// The project.
  let tree: String
  /// A directory beside it that no change may reach.
  let outside: String

  /// Makes the project by a script, in the user's name.
  init(_ zones: Zonectl, making script: String = "") throws {
    self.zones = zones
    tree = zones.folder + "/project"
    outside = zones.folder + "/outside"
    try user("mkdir \(tree) \(outside); echo safe > \(outside)/file; cd \(tree)\n\(script)")
  }

  @discardableResult
  func user(_ script: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
    let outcome = try command(["sh", "-ec", script]).run()
    try #require(outcome.status == 0, "\(outcome)", sourceLocation: sourceLocation)
    return outcome.out
  }

  private func command(_ words: [String]) -> Command {
    var command = zones.command([])
    command.argv = zones.prefix + words
    command.environment["GIT_CONFIG_GLOBAL"] = "/dev/null"
    for who in ["AUTHOR", "COMMITTER"] {
      command.environment["GIT_\(who)_NAME"] = "tester"
      command.environment["GIT_\(who)_EMAIL"] = "tester@example.org"
    }
    return command
  }

  /// Runs a script in the project over a new layer.
  /// - Returns: what the project looked like to it in the end (`look`).
  @discardableResult
  func reviewed(_ script: String, id: String = "r", sourceLocation: SourceLocation = #_sourceLocation) throws
    -> [String: String]
  {
    let review = try make(id)
    let mount = """
      mount -t overlay -o userxattr,lowerdir=\(tree),upperdir=\(review)/upper,workdir=\(review)/work overlay \(tree)
      cd \(tree)
      sh -ec "$1"
      exec /usr/bin/python3 -c "$2" \(tree)
      """
    let outcome = try command(
      [
        "unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "--", "sh", "-ec", mount, "sh", script,
        Self.looker,
      ]
    ).run()
    try #require(outcome.status == 0, "\(outcome)", sourceLocation: sourceLocation)
    return Self.entries(outcome)
  }

  /// The runtime makes a review for its caller, who is root here: given to the user afterwards.
  private func make(_ id: String) throws -> String {
    let place = try makeTemporaryFolder()
    defer { try? FileSystem.removeTree(place) }  // best effort: the case itself tells more
    _ = try Review.make(of: tree, id: id, command: ["sh"], in: Directories.standard(root: place))
    let reviews = try Directories.standard(root: place).reviews
    let wanted = "\(zones.root)/data/.shared/reviews"
    try user("mkdir -p -m 700 \(zones.root)/data \(zones.root)/data/.shared \(wanted)")
    try Command.text("mv", "\(reviews)/\(id)", "\(wanted)/\(id)")
    try Command.text("chown", "-R", "\(OrdinaryUser.name):\(OrdinaryUser.name)", "\(wanted)/\(id)")
    return "\(wanted)/\(id)"
  }

  func upper(_ id: String = "r") -> String { "\(zones.root)/data/.shared/reviews/\(id)/upper" }
  func isThere(_ id: String = "r") -> Bool { access(upper(id), F_OK) == 0 }

  /// `changes` in the project.
  func changes(_ words: String...) throws -> Outcome { try changes(words).run() }

  func changes(_ words: [String]) -> Command {
    var command = zones.command(["changes"] + words)
    command.directory = tree
    return command
  }

  /// What lies in a tree, by path: type, mode, content and where its holes are, attributes, time, other names of it.
  func look(_ place: String? = nil) throws -> [String: String] {
    Self.entries(try Command("/usr/bin/python3", "-c", Self.looker, place ?? tree).run())
  }

  private static func entries(_ outcome: Outcome) -> [String: String] {
    var found: [String: String] = [:]
    for line in outcome.lines {
      let words = line.split(separator: "\t", maxSplits: 1).map(String.init)
      if words.count == 2 { found[words[0]] = words[1] }
    }
    return found
  }

  private static let looker = """
    import os, stat, sys, hashlib
    top = os.fsencode(sys.argv[1])
    seen = {}
    def holes(fd, size):
        at, found = 0, []
        while at < size:
            try: start = os.lseek(fd, at, os.SEEK_DATA)
            except OSError: break
            at = os.lseek(fd, start, os.SEEK_HOLE)
            found.append((start, at))
        return found
    def look(path):
        s = os.lstat(path)
        words = [oct(s.st_mode), s.st_uid]
        if stat.S_ISREG(s.st_mode):
            fd = os.open(path, os.O_RDONLY)
            digest = hashlib.sha256()
            with os.fdopen(fd, 'rb') as f:
                words += [s.st_size, holes(fd, s.st_size)]
                f.seek(0)
                if s.st_size < 1 << 26:
                    digest.update(f.read())
            words.append(digest.hexdigest()[:16])
            seen.setdefault((s.st_dev, s.st_ino), []).append(path)
        if stat.S_ISLNK(s.st_mode): words.append(os.readlink(path))
        else: words.append(sorted((n, os.getxattr(path, n)) for n in os.listxattr(path) if n.startswith('user.')))
        words.append(s.st_mtime_ns)
        return words
    all = {}
    for folder, folders, files in os.walk(top):
        all[folder] = look(folder)
        for name in files + [n for n in folders if os.path.islink(os.path.join(folder, n))]:
            all[os.path.join(folder, name)] = look(os.path.join(folder, name))
    for names in seen.values():
        for name in names: all[name].append(sorted(os.path.relpath(n, top) for n in names))
    for path, words in sorted(all.items()): print(repr(os.path.relpath(path, top)), repr(words), sep='\\t')
    """
}

/// Two looks at a tree, the first as it is to be.
func expectSame(
  _ one: [String: String], _ other: [String: String], _ what: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let differences = Set(one.keys).union(other.keys).sorted().filter { one[$0] != other[$0] }.map {
    "\($0):\n  wanted \(one[$0] ?? "nothing")\n  found  \(other[$0] ?? "nothing")"
  }
  if !differences.isEmpty {
    Issue.record("\(what)\n\(differences.joined(separator: "\n"))", sourceLocation: sourceLocation)
  }
}
