internal import LinuxNS

/// A sandbox's or a zone's (`ZoneProfile`) options under a name: lines of `OPTION VALUE`, as on the command line without the
/// hyphens. `#` begins a comment; `~` at a path's beginning is the caller's home, `.` the current directory.
public struct SandboxProfile: Equatable, Sendable {
  public struct Line: Equatable, Sendable {
    public var option: String
    /// Empty for a flag.
    public var value: String
    /// Counted from 1, for errors.
    public var number: Int
  }

  public var name: String
  public var lines: [Line]
  /// Comes with zonectl.
  public private(set) var isShipped = false

  /// Options that a profile may have.
  public static let options = [
    "only", "ro", "rw", "hide", "env", "home", "network", "memory", "cpus", "pids", "nesting", "ids", "require",
    "calls", "cap-add",
  ]
  /// Of one run, not of every one.
  private static let ofRuns = ["review", "report", "timeout", "id", "verbose", "explain"]
  private static let flags = ["only", "nesting"]
  private static let paths = ["ro", "rw", "hide"]

  /// Those that come with zonectl.
  static let shipped: [(name: String, text: String)] = [
    (
      "build",
      """
      # A compiler and make: no network, no end of processes.
      pids 4096
      """
    ),
    (
      "python",
      """
      # pip and uv with the usual index.
      network allow=pypi.org:443,files.pythonhosted.org:443
      pids 4096
      """
    ),
    (
      "node",
      """
      # npm, yarn and pnpm with the usual registries.
      network allow=registry.npmjs.org:443,registry.yarnpkg.com:443,nodejs.org:443
      pids 4096
      """
    ),
    (
      "swift",
      """
      # SwiftPM with packages of GitHub.
      network allow=github.com:443,codeload.github.com:443,*.githubusercontent.com:443
      pids 4096
      """
    ),
    (
      "agent",
      """
      # A coding agent: a home that lasts, hosts of models and packages.
      home agent
      network allow=api.anthropic.com:443,api.openai.com:443,generativelanguage.googleapis.com:443,registry.npmjs.org:443,pypi.org:443,files.pythonhosted.org:443
      env ANTHROPIC_API_KEY
      env OPENAI_API_KEY
      env GEMINI_API_KEY
      pids 4096
      """
    ),
  ]

  public static var shippedNames: [String] { shipped.map { $0.name } }

  /// - Parameters:
  ///   - word: a path with a slash in it, or a name: of a file in `profiles`, or of one that comes with zonectl.
  ///   - profiles: the folder with the caller's own.
  ///   - folder: where relative paths in it begin.
  public static func find(
    _ word: String, in profiles: String, home: String, folder: String? = nil
  ) throws(ZoneError) -> SandboxProfile {
    let path = word.utf8.contains(UInt8(ascii: "/")) ? word : Paths.join(profiles, word)
    if FileSystem.exists(path) {
      let bytes = try attempt("read the profile \(path)") { () throws(SyscallError) in
        try FileSystem.read(path, limit: 1 << 20)
      }
      return try SandboxProfile(named: path, String(decoding: bytes, as: UTF8.self), home: home, folder: folder)
    }
    guard path != word, let found = shipped.first(where: { $0.name == word }) else {
      throw .commandLine(
        "--profile '\(word)': there is no such profile\(suggestion(for: word, in: shippedNames)) (\(shippedNames.joined(separator: ", ")) come with zonectl, your own lie in \(profiles))"
      )
    }
    var profile = try SandboxProfile(named: word, found.text, home: home, folder: folder)
    profile.isShipped = true
    return profile
  }

  /// - Parameters:
  ///   - home: the caller's; nil: nobody knows it, and `~` is refused.
  ///   - folder: what `.` stands for; nil: it is refused.
  /// - Throws: `.commandLine`, with the line and the nearest option.
  public init(named name: String, _ text: String, home: String?, folder: String? = nil) throws(ZoneError) {
    self.name = name
    lines = []
    // By bytes: a carriage return and a newline are one character.
    let split = Array(text.utf8).split(separator: 10, omittingEmptySubsequences: false)
    for (index, bytes) in split.enumerated() {
      let line = String(decoding: bytes.last == 13 ? bytes.dropLast() : bytes, as: UTF8.self)
      let words = line.split(maxSplits: 1, whereSeparator: { $0 == " " || $0 == "\t" })
      guard let option = words.first, !option.hasPrefix("#") else { continue }
      let refuse = { (why: String) in ZoneError.commandLine("profile \(name), line \(index + 1): \(why)") }
      guard Self.options.contains(String(option)) else {
        if Self.ofRuns.contains(String(option)) {
          throw refuse("'\(option)' is no option of a profile: it is of one run (give --\(option) to zonectl sandbox)")
        }
        throw refuse("'\(option)' is no option of a profile\(suggestion(for: String(option), in: Self.options))")
      }
      var value = words.count > 1 ? Self.trimmed(words[1]) : ""
      let isFlag = Self.flags.contains(String(option))
      guard value.isEmpty == isFlag else {
        throw refuse(isFlag ? "'\(option)' takes no value" : "'\(option)' wants a value")
      }
      if Self.paths.contains(String(option)) {
        do throws(ZoneError) { value = try Self.absolute(value, home: home, folder: folder) } catch {
          throw refuse(error.description)
        }
      }
      lines.append(Line(option: String(option), value: value, number: index + 1))
    }
  }

  private static func absolute(_ path: String, home: String?, folder: String?) throws(ZoneError) -> String {
    if path.hasPrefix("/") { return path }
    if path == "~" || path.hasPrefix("~/") {
      guard let home else { throw .refused("'\(path)': it is not known where your home is (set HOME)") }
      return path == "~" ? home : home + String(path.dropFirst(1))
    }
    if let folder, path == "." || path == ".." || path.hasPrefix("./") || path.hasPrefix("../") {
      return Paths.plain(Paths.join(folder, path))
    }
    throw .refused("'\(path)' is not an absolute path, nor one that begins with ~/ or ./")
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text.drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text = text.dropLast() }
    return String(text)
  }
}
