/// Completion scripts, from the table. Names of zones come from `PROGRAM list -q` at the time of asking.
extension CommandTable {
  public static let shells = ["bash", "zsh", "fish"]

  /// nil for a shell that is none of `shells`.
  public func completion(shell: String) -> String? {
    switch shell {
    case "bash": bashCompletion()
    case "zsh": zshCompletion()
    case "fish": fishCompletion()
    default: nil
    }
  }

  var ordinaryVerbs: [Verb] { verbs.filter { $0.kind == .ordinary } }
  /// Each name a verb can be called by.
  func names(_ verb: Verb) -> [String] { [verb.name] + verb.aliases }

  /// What a shell offers for options that all verbs share the meaning of: those with a value, by hint.
  func optionsTaking(_ matches: (Hint) -> Bool, of verb: Verb) -> [Option] {
    allOptions(of: verb).filter { $0.takesValue && matches($0.hint) }
  }

  static let signals = "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH"
}

/// `'…'` for a POSIX shell and for zsh.
func shellQuoted(_ text: String) -> String {
  "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}
