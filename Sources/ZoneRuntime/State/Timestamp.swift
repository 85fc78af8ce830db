internal import Glibc

/// Times as JSON has them.
public enum Timestamp {
  /// RFC 3339 in UTC, with nanoseconds as Go writes them: no zeros at the end.
  public static func text(_ seconds: Int64, _ nanoseconds: Int64) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    func two(_ value: CInt) -> String { value < 10 ? "0\(value)" : "\(value)" }
    var text =
      "\(Int(parts.tm_year) + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    if nanoseconds > 0 {
      var digits = String(nanoseconds)
      while digits.utf8.count < 9 { digits = "0" + digits }
      while digits.hasSuffix("0") { digits.removeLast() }
      text += ".\(digits)"
    }
    return text + "Z"
  }
}
