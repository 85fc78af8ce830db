import CommandLineTable
import Glibc

/// Tells a person what is waited for: on a terminal a line that changes and goes away at the end, otherwise one line.
struct Progress {
  private let interactive = isatty(2) == 1
  private var shown = false

  mutating func show(_ words: String) {
    let text = TextTable.printable(words)
    if interactive {
      Output.write(Array("\r\u{1b}[K\(text)".utf8), to: 2)
    } else if !shown {
      Output.write(Array("\(text)\n".utf8), to: 2)
    }
    shown = true
  }

  mutating func end() {
    if interactive && shown { Output.write(Array("\r\u{1b}[K".utf8), to: 2) }
    shown = false
  }
}
