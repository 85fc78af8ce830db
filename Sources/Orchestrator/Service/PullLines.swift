internal import CommandLineTable
internal import Glibc
internal import LinuxNS
internal import NIOConcurrencyHelpers
internal import Orchestrator
internal import ZoneRuntime

/// How far the blobs of an image are: on a terminal a line each, kept up to date; elsewhere a line when one is here.
final class PullLines: Sendable {
  private struct Row {
    var news: FetchNews
    /// The first bytes, and when they were there: what is here already has no speed.
    var begun: (have: Int64, at: UInt64)
  }

  private struct State {
    var rows: [Row] = []
    var drawn: UInt64 = 0
    /// How many of them stand on the terminal.
    var lines = 0
  }

  private let isQuiet: Bool
  /// On one that knows no way up, or has too few lines, each line is written once.
  private let isTerminal: Bool
  private let height: Int
  private let width: Int
  private let state = NIOLockedValueBox(State())

  /// Nanoseconds between two looks: nobody reads faster.
  private static let pause: UInt64 = 100_000_000

  init(isQuiet: Bool) {
    self.isQuiet = isQuiet
    var size = winsize()
    let isSeen = isatty(STDERR_FILENO) == 1 && ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0
    isTerminal = isSeen && getenv("TERM").map { String(cString: $0) } != "dumb"
    height = size.ws_row == 0 ? 24 : Int(size.ws_row)
    width = size.ws_col == 0 ? 80 : Int(size.ws_col)
  }

  func show(_ news: FetchNews) {
    guard !isQuiet else { return }
    state.withLockedValue { state in
      let now = Clock.monotonicNanoseconds()
      if let index = state.rows.firstIndex(where: { $0.news.digest == news.digest }) {
        state.rows[index].news = news
      } else {
        state.rows.append(Row(news: news, begun: (news.have, now)))
      }
      guard isTerminal, state.rows.count < height else {
        if case .fetching = news.state { return }
        return Terminal.error(line(news, nil))
      }
      let isNew = state.lines < state.rows.count
      var isDone = false
      if case .done = news.state { isDone = true }
      if isNew || isDone || now - state.drawn >= Self.pause { draw(&state, now) }
    }
  }

  /// A line that stays, above those that change.
  func say(_ text: String) {
    guard !isQuiet else { return }
    state.withLockedValue { state in
      erase(&state)
      HandedOver.complain(text)
      if isTerminal, state.rows.count < height { draw(&state, Clock.monotonicNanoseconds()) }
    }
  }

  /// What stands there stays.
  func end() {
    state.withLockedValue { state in
      if isTerminal, state.lines > 0 { draw(&state, Clock.monotonicNanoseconds()) }
      state = State()
    }
  }

  private func erase(_ state: inout State) {
    guard state.lines > 0 else { return }
    // Up to the first of them, and all below away (ECMA-48).
    Terminal.write("\u{1b}[\(state.lines)A\r\u{1b}[J", to: STDERR_FILENO)
    state.lines = 0
  }

  private func draw(_ state: inout State, _ now: UInt64) {
    erase(&state)
    for row in state.rows {
      let seconds = Double(now - row.begun.at) / 1e9
      let speed = seconds > 0.5 ? Int64(Double(row.news.have - row.begun.have) / seconds) : nil
      // One that is too long would be two.
      Terminal.error(String(line(row.news, speed).prefix(width - 1)))
    }
    state.lines = state.rows.count
    state.drawn = now
  }

  private func line(_ news: FetchNews, _ speed: Int64?) -> String {
    let name = "\(news.words) \(news.digest.short)"
    switch news.state {
    case .waiting: return "\(name): somebody else fetches it"
    case .done: return "\(name): \(Words.bytes(news.size))"
    case .fetching:
      let width = 20
      let done = news.size > 0 ? Int(news.have * Int64(width) / news.size) : width
      let bar = String(repeating: "=", count: done) + String(repeating: " ", count: width - done)
      let rate = speed.map { ", \(Words.bytes($0))/s" } ?? ""
      return "\(name): [\(bar)] \(Words.bytes(news.have)) of \(Words.bytes(news.size))\(rate)"
    }
  }
}
