import Foundation
import Testing

/// manifests/hello.yaml, as it can be applied from anywhere. Where all takes longer than elsewhere (an emulated machine),
/// what asks for health waits as much longer: an answer after 3 s is no sign of illness there.
enum HelloManifest {
  /// - Parameter key: the file of its secret.
  static func text(key: String = "\(Command.root)/manifests/greeting.key") throws -> String {
    var text = try String(contentsOfFile: "\(Command.root)/manifests/hello.yaml", encoding: .utf8)
      .replacingOccurrences(of: "./greeting.key", with: key)
    for (field, seconds) in [("timeout: ", 3), ("start_period: ", 10), ("Timeout => ", 3)] {
      try #require(text.contains("\(field)\(seconds)"))
      text = text.replacingOccurrences(of: "\(field)\(seconds)", with: "\(field)\(later(seconds))")
    }
    return text
  }

  /// So many seconds, on the slowest machine.
  static func later(_ seconds: Int) -> Int { seconds * Int(patience.rounded(.up)) }
}
