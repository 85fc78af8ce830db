/// A user's name, from passwd(5) alone: getpwuid(3) of a static executable loads what it was not built with, and crashes.
enum LoginName {
  /// - Returns: nil where the file does not have him; he is then known by his number.
  static func of(_ uid: UInt32, in passwd: [UInt8]) -> String? {
    for line in passwd.split(separator: 10) {
      let fields = line.split(separator: 58, maxSplits: 3, omittingEmptySubsequences: false)
      if fields.count > 2, UInt32(String(decoding: fields[2], as: UTF8.self)) == uid {
        return String(decoding: fields[0], as: UTF8.self)
      }
    }
    return nil
  }
}
