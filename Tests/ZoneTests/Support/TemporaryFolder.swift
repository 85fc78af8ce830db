import Foundation
import LinuxNS

/// A new folder, which is the caller's to remove.
func makeTemporaryFolder() throws -> String {
  var template = Array("/var/tmp/zones-test.XXXXXX".utf8CString)
  guard let made = mkdtemp(&template) else { throw SpawnFailed(program: "mkdtemp", errno: errno) }
  return String(cString: made)
}

/// A folder that goes with the closure.
@discardableResult
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let path = try makeTemporaryFolder()
  defer { try? FileSystem.removeTree(path) }  // best effort: what stays is in the way of nobody
  return try body(path)
}
