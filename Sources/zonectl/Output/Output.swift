import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// What goes to the person or the program that called us.
enum Output {
  /// Writes to standard output; a reader that has gone (`| head`) ends us quietly, as it ends any program.
  static func write(_ text: String) { write(Array(text.utf8), to: 1) }
  static func line(_ text: String) { write(text + "\n") }

  /// One line on standard error, with our name before it; what was made of others' words is one line too.
  static func complain(_ text: String) { write(Array("zonectl: \(TextTable.printable(text))\n".utf8), to: 2) }

  static func write(_ bytes: [UInt8], to fd: CInt) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
      let error = errno
      if sent > 0 {
        rest = rest.dropFirst(sent)
      } else if error == EINTR {
        continue
      } else if error == EAGAIN {
        var entry = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
        poll(&entry, 1, -1)
      } else if fd == 1 {
        exit(1)
      } else {
        return
      }
    }
  }

  static func json(_ value: some JSONValue) throws(ZoneError) {
    do { write(try JSON.encode(value, pretty: true), to: 1) } catch { throw .json(error) }
  }

  /// Whether colours are wanted (https://no-color.org) and understood.
  static let colours: Bool =
    isatty(1) == 1 && (getenv("NO_COLOR").map { $0.pointee == 0 } ?? true)
    && getenv("TERM").map { String(cString: $0) } != "dumb"

  static func paint(_ state: ZoneState) -> String? {
    guard colours else { return nil }
    let code =
      switch state {
      case .running: "32"
      case .ready, .frozen, .shuttingDown: "33"
      case .unavailable, .incomplete: "31"
      case .configured, .installed, .down: "2"
      }
    return "\u{1b}[\(code)m\(state.rawValue)\u{1b}[0m"
  }

  /// A word that is good news or bad.
  static func paint(_ word: String, isGood: Bool) -> String? {
    colours ? "\u{1b}[\(isGood ? "32" : "31")m\(word)\u{1b}[0m" : nil
  }

  enum Format { case table, wide, json }

  static func format(_ invocation: Invocation) throws(ZoneError) -> Format {
    switch try asked(invocation.choice("output", ["table", "wide", "json"])) {
    case "wide": .wide
    case "json": .json
    default: .table
    }
  }
}
