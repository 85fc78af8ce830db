internal import Glibc

/// Words of `orchestrator` that only we start it with.
enum HiddenProgram {
  /// - Returns: the status of wrong usage.
  static func refuse(_ word: String, starter: String = "orchestrator") -> Int32 {
    let line = Array("orchestrator: \(word): \(starter) starts this itself, and nobody else need do so\n".utf8)
    _ = write(2, line, line.count)
    return 2
  }
}
