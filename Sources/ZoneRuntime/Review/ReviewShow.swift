internal import Glibc
public import LinuxNS

extension Review {
  /// What was changed, in words, and for text as a unified diff by diff(1), which is given descriptors and no names.
  /// - Parameters:
  ///   - forTerminal: nothing of a file's may speak to the terminal or turn the text around; otherwise its bytes are told.
  ///   - tell: gets one change after the other.
  /// - Returns: what could not be looked at.
  public func show(_ paths: [BytePath], forTerminal: Bool, _ tell: ([UInt8]) -> Void) throws(ZoneError) -> [Refusal] {
    let lock = try lock(shared: true)
    defer { withExtendedLifetime(lock) {} }
    let trees = try ReviewTrees.open(self)
    let (look, plan) = try plan(trees, ReviewChoice(paths: paths))
    let chosen = look.problems.filter { problem in paths.isEmpty || paths.contains { $0.covers(problem.path) } }
    try expectFound(paths, plan.changes, chosen)
    var problems = chosen
    var pairs: [BytePath: TreePair] = [:]
    for pair in look.pairs { pairs[pair.path] = pair }
    for change in plan.changes {
      guard let pair = pairs[change.path] else { continue }
      tell(Array("\(ChangeWords.line(change, pair))\n".utf8))
      do throws(SyscallError) {
        guard let text = try TextDifference.of(change, trees) else { continue }
        tell(forTerminal ? TextDifference.harmless(text) : text)
      } catch {
        problems.append(Refusal(path: change.path, why: error.description))
      }
    }
    return problems
  }
}

/// A change in a line of words.
enum ChangeWords {
  static func line(_ change: TreeChange, _ pair: TreePair) -> String {
    let path = change.path.words
    switch change.kind {
    case .added: return "added \(what(change.new, pair.layer?.target)) \(path)\(mode(change.new))"
    case .deleted: return "deleted \(what(change.old, pair.real?.target)) \(path)"
    case .type:
      return "\(path): was \(what(change.old, pair.real?.target)), is now \(what(change.new, pair.layer?.target))"
    case .times: return "\(path): the same, with another time"
    case .mode: return "\(path): \(attributes(change, pair))"
    case .modified:
      let words = change.new?.kind == .link ? "\(what(change.old, pair.real?.target)) to " : ""
      let modes = change.new?.mode == change.old?.mode ? "" : ", \(attributes(change, pair))"
      let size = change.new?.kind == .file ? " from \(change.old?.size ?? 0) to \(change.new?.size ?? 0) bytes" : ""
      return "modified \(path)\(words.isEmpty ? size + modes : ": \(words)\(what(change.new, pair.layer?.target))")"
    }
  }

  private static func what(_ facts: FileFacts?, _ target: [UInt8]?) -> String {
    guard let facts else { return "nothing" }
    switch facts.kind {
    case .file: return "file of \(facts.size) bytes"
    case .link: return "link to \(BytePath(target ?? []).words)"
    case .fifo: return "FIFO"
    case .directory, .socket, .device: return facts.kind.rawValue
    }
  }

  private static func mode(_ facts: FileFacts?) -> String {
    guard let facts, facts.kind != .link else { return "" }
    return " (mode \(String(facts.mode, radix: 8)))"
  }

  private static func attributes(_ change: TreeChange, _ pair: TreePair) -> String {
    var words: [String] = []
    if let old = change.old?.mode, let new = change.new?.mode, old != new {
      words.append("mode \(String(old, radix: 8)) to \(String(new, radix: 8))")
    }
    let (old, new) = (pair.real?.xattrs ?? [], pair.layer?.xattrs ?? [])
    for attribute in new where !old.contains(attribute) {
      words.append("attribute \(BytePath(attribute.name).words) set")
    }
    for attribute in old where !new.contains(where: { $0.name == attribute.name }) {
      words.append("attribute \(BytePath(attribute.name).words) removed")
    }
    return words.isEmpty ? "other attributes" : words.joined(separator: ", ")
  }
}

/// By diff(1), where it is installed and both sides are text.
enum TextDifference {
  private static let programs = ["/usr/bin/diff", "/bin/diff", "/usr/local/bin/diff"]
  /// What a person can read; and diff(1) takes its time with what is larger.
  private static let mostBytes: Int64 = 8 << 20

  /// nil: there is no text to compare.
  static func of(_ change: TreeChange, _ trees: borrowing ReviewTrees) throws(SyscallError) -> [UInt8]? {
    switch change.kind {
    case .mode, .times: return nil
    case .added, .modified, .deleted, .type: break
    }
    let hasOld = change.old?.kind == .file
    let hasNew = change.new?.kind == .file
    guard hasOld || hasNew else { return nil }
    let null = try OwnedFD.open("/dev/null", O_RDWR)
    let flags = O_RDONLY | O_NOFOLLOW
    let old = hasOld ? try trees.real.open(change.path, flags) : try null.duplicate()
    let new = hasNew ? try trees.layer.open(change.path, flags) : try null.duplicate()
    let isOldText = hasOld ? try isText(old, change.path) : true
    let isNewText = hasNew ? try isText(new, change.path) : true
    guard isOldText, isNewText else {
      return Array("binary, or too large to compare as text\n".utf8)
    }
    guard let program = programs.first(where: { access($0, X_OK) == 0 }) else {
      return Array("the lines are not shown: diff is not installed\n".utf8)
    }
    let label = { (side: String, isThere: Bool) in
      isThere ? BytePath(Array("\(side)/".utf8) + change.path.bytes).words : "/dev/null"
    }
    let pipe = try OwnedFD.pipe()
    let started = try spawn(
      ProgramStart(
        path: program,
        arguments: [
          "diff", "-u", "--label", label("a", hasOld), "--label", label("b", hasNew), "--", "/dev/fd/3", "/dev/fd/4",
        ],
        environment: ["PATH=/usr/bin:/bin", "LC_ALL=C"],
        fds: [null.raw, pipe.second.raw, null.raw, old.raw, new.raw]))
    let process = Pidfd(OwnedFD(raw: started.pidfd))
    let reading = pipe.takeFirst()
    let text: [UInt8]
    do throws(SyscallError) { text = try FileSystem.read(reading, limit: 64 << 20, name: program) } catch {
      try process.signal(SIGKILL)
      _ = try process.reap()
      throw error
    }
    switch try process.reap() {
    case .exited(0), .exited(1): return text
    default: throw SyscallError(call: "execve", errno: EIO, path: program, step: "compare \(change.path.words)")
    }
  }

  private static func isText(_ file: borrowing OwnedFD, _ path: BytePath) throws(SyscallError) -> Bool {
    let facts = try FileFacts.of(open: file)
    try FileContent.expectFile(facts, path)
    guard facts.size <= mostBytes else { return false }
    var room = [UInt8](repeating: 0, count: 8192)
    let got = room.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, 0) }
    let error = errno
    guard got >= 0 else { throw SyscallError(call: "read", errno: error, path: path.words) }
    return !room[..<got].contains(0)
  }

  /// Lines for a terminal: what is no character to be seen is a question mark.
  static func harmless(_ text: [UInt8]) -> [UInt8] {
    var shown = String.UnicodeScalarView()
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      switch scalar.value {
      case 9, 10, 32..<127: shown.append(scalar)
      default:
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
          shown.append("?")
        default: shown.append(scalar)
        }
      }
    }
    return Array(String(shown).utf8)
  }
}
