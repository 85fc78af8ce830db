import Foundation
import LinuxNS
import Testing

/// A folder that goes with the closure.
@discardableResult
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  var template = Array("/var/tmp/zones-test.XXXXXX".utf8CString)
  let path = String(cString: try #require(mkdtemp(&template)))
  defer { try? FileSystem.removeTree(path) }  // best effort: what stays is in the way of nobody
  return try body(path)
}
