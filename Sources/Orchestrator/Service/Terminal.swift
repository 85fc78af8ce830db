internal import Foundation
internal import Glibc
internal import LinuxNS
internal import Orchestrator

/// How the commands speak: results on standard output, everything else on standard error.
enum Terminal {
  static func error(_ text: String) { write(text + "\n", to: STDERR_FILENO) }
  static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

  static func write(_ text: String, to file: CInt) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      let error = errno
      if sent < 0 {
        if error == EINTR { continue }
        // Nobody reads any more (`orchestrator logs -f | head`): there is nothing left to do.
        Foundation.exit(error == EPIPE ? 0 : 1)
      }
      rest = rest.dropFirst(sent)
    }
  }

  /// Colours only for a person who wants them (no-color.org).
  static let hasColours =
    isatty(STDOUT_FILENO) == 1 && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty
    && ProcessInfo.processInfo.environment["TERM"] != "dumb"

  static func coloured(_ text: String, _ code: Int) -> String { hasColours ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text }

  /// Columns as wide as their widest value, two spaces apart.
  static func table(_ header: [String], _ rows: [[String]]) {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    for row in all {
      let cells = row.indices.map { column in
        column == row.count - 1
          ? row[column] : row[column].padding(toLength: widths[column], withPad: " ", startingAt: 0)
      }
      print(cells.joined(separator: "  "))
    }
  }

  /// `12s`, `5m`, `3h`, `2d`.
  static func age(since nanoseconds: UInt64?) -> String {
    guard let nanoseconds else { return "-" }
    let now = Clock.realtimeNanoseconds()
    let seconds = Int((now - min(now, nanoseconds)) / 1_000_000_000)
    switch seconds {
    case ..<120: return "\(seconds)s"
    case ..<7200: return "\(seconds / 60)m"
    case ..<172_800: return "\(seconds / 3600)h"
    default: return "\(seconds / 86400)d"
    }
  }

  /// Local time to the second.
  static func time(_ nanoseconds: UInt64) -> String {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.dateFormat = "yyyy-MM-dd HH:mm:ss"
    return formatter.string(from: Date(timeIntervalSince1970: Double(nanoseconds) / 1e9))
  }

  static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }
}

/// News of a long command: a line each, or on a terminal the zones' lines kept up to date.
final class ProgressLines {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var order: [String] = []
  private var texts: [String: String] = [:]

  func show(_ progress: Orchestrator.Progress) {
    guard texts[progress.name] != progress.text else { return }
    let known = texts.updateValue(progress.text, forKey: progress.name) != nil
    if !known { order.append(progress.name) }
    guard isTerminal, known, let index = order.firstIndex(of: progress.name) else {
      return Terminal.error(line(progress.name))
    }
    // Up to the zone's line, over it, and down again (ECMA-48).
    let up = order.count - index
    Terminal.write("\u{1b}[\(up)A\r\u{1b}[2K\(line(progress.name))\u{1b}[\(up)B\r", to: STDERR_FILENO)
  }

  private func line(_ name: String) -> String { "\(name) \(texts[name] ?? "")" }
}
