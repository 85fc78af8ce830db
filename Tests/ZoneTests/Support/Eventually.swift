import Foundation
import Glibc
import Testing

/// Polls `condition` until it holds; false where `timeout` seconds passed first. The way to wait for a state.
func eventually(timeout: Double = 10, _ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = Date().addingTimeInterval(timeout * Patience.factor)
  while true {
    if try condition() { return true }
    guard Date() < deadline else { return false }
    _ = poll(nil, 0, 10)
  }
}

/// Polls until `value` is there and satisfies `condition`; nil where `timeout` seconds passed first.
func eventually<Value>(timeout: Double = 10, value: () throws -> Value?) rethrows -> Value? {
  var found: Value?
  _ = try eventually(timeout: timeout) {
    found = try value()
    return found != nil
  }
  return found
}

/// The whole text of a file, or nil. Files of /proc and /sys too, which say that they are empty.
func contents(_ path: String) -> String? {
  guard let file = FileHandle(forReadingAtPath: path) else { return nil }
  defer { try? file.close() }
  guard let data = try? file.readToEnd() else { return "" }
  return String(decoding: data, as: UTF8.self)
}

/// How much longer than usual to wait for things: an emulated machine (scripts/guest) is ten times slower.
enum Patience {
  static let factor = ProcessInfo.processInfo.environment["ZONES_PATIENCE"].flatMap(Double.init) ?? 1
}

extension Trait where Self == TimeLimitTrait {
  /// - Parameter minutes: of a usual machine; an emulated one is ten times slower.
  static func ends(within minutes: Int) -> Self { .timeLimit(.minutes(minutes * Int(Patience.factor.rounded(.up)))) }
}
