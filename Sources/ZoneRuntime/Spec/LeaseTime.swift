internal import Glibc
internal import LinuxNS

/// Until when somebody wants something (`--expires`), in seconds since 1970.
public enum LeaseTime {
  /// `90m`, `12h`, `7d`, `2w` from now on; a day, `2026-12-01`, or a time, `2026-12-01T08:00:00Z`, in UTC; `never`.
  public static func parse(_ text: String) throws(SyntaxError) -> UInt64? {
    if text == "never" { return nil }
    if let seconds = span(text) { return Clock.realtimeNanoseconds() / 1_000_000_000 + seconds }
    if let time = moment(text) { return time }
    throw SyntaxError(
      what: "expires", value: text, why: "neither a time from now on (12h, 7d, 2w) nor a day (2026-12-01) nor never")
  }

  public static func text(_ time: UInt64) -> String { Timestamp.text(Int64(clamping: time), 0) }

  /// Above any that a person means: a hundred years.
  private static let most: UInt64 = 100 * 366 * 86_400

  private static func span(_ text: String) -> UInt64? {
    let units: [(UInt8, UInt64)] = [(115, 1), (109, 60), (104, 3600), (100, 86_400), (119, 604_800)]  // s m h d w
    guard let last = text.utf8.last, let unit = units.first(where: { $0.0 == last }), text.utf8.count <= 12,
      text.utf8.dropLast().allSatisfy({ (48...57).contains($0) }), let number = UInt64(text.dropLast())
    else { return nil }
    let (seconds, overflow) = number.multipliedReportingOverflow(by: unit.1)
    return overflow || seconds == 0 || seconds > most ? nil : seconds
  }

  private static func moment(_ text: String) -> UInt64? {
    let whole = text.utf8.count == 10 ? text + "T00:00:00Z" : text
    let bytes = Array(whole.utf8)
    guard bytes.count == 20 else { return nil }
    func number(_ range: Range<Int>) -> CInt? {
      var value: CInt = 0
      for byte in bytes[range] {
        guard (48...57).contains(byte) else { return nil }
        value = value * 10 + CInt(byte - 48)
      }
      return value
    }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
      let minute = number(14..<16), let second = number(17..<19)
    else { return nil }
    var parts = tm()
    (parts.tm_year, parts.tm_mon, parts.tm_mday) = (year - 1900, month - 1, day)
    (parts.tm_hour, parts.tm_min, parts.tm_sec) = (hour, minute, second)
    let time = timegm(&parts)
    // A 31st of June is another day than it says, and other signs between the numbers show here too.
    guard time > 0, Timestamp.text(Int64(time), 0) == whole else { return nil }
    return UInt64(time)
  }
}
