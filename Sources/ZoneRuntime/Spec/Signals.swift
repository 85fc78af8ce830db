/// Signals by name and number (signal(7)). The numbers are those of x86 and ARM, the machines we run on; Alpha, MIPS
/// and SPARC count differently.
public enum Signals {
  public static let table: [(name: String, number: Int32)] = [
    ("HUP", 1), ("INT", 2), ("QUIT", 3), ("ILL", 4), ("TRAP", 5), ("ABRT", 6), ("BUS", 7), ("FPE", 8), ("KILL", 9),
    ("USR1", 10), ("SEGV", 11), ("USR2", 12), ("PIPE", 13), ("ALRM", 14), ("TERM", 15), ("STKFLT", 16), ("CHLD", 17),
    ("CONT", 18), ("STOP", 19), ("TSTP", 20), ("TTIN", 21), ("TTOU", 22), ("URG", 23), ("XCPU", 24), ("XFSZ", 25),
    ("VTALRM", 26), ("PROF", 27), ("WINCH", 28), ("IO", 29), ("PWR", 30), ("SYS", 31),
  ]

  private static let aliases: [(name: String, number: Int32)] = [("IOT", 6), ("CLD", 17), ("POLL", 29)]

  /// What glibc and musl leave programs of the real-time signals: 32 and 33 (musl: 34) are the thread library's own.
  public static let realTime: ClosedRange<Int32> = 34...64

  /// `TERM`, `SIGTERM`, either in small letters, `15`, `RTMIN+1`, `RTMAX-2`.
  /// - Returns: 1…64. Never 0, which kill(2) takes as a question, and never a negative number.
  public static func number(parsing text: String) throws(SyntaxError) -> Int32 {
    if text.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int32(text) {
      guard (1...64).contains(number) else {
        throw SyntaxError(what: "signal", value: text, why: "a signal's number is 1 to 64")
      }
      return number
    }
    var name = text.uppercased()
    if name.hasPrefix("SIG") { name.removeFirst(3) }
    for entry in table where entry.name == name { return entry.number }
    for entry in aliases where entry.name == name { return entry.number }
    if let number = realTimeNumber(name) { return number }
    let names = table.map { $0.name } + ["RTMIN", "RTMAX"]
    throw SyntaxError(
      what: "signal", value: text, why: "no such signal, see signal(7)\(suggestion(for: name, in: names))")
  }

  /// `TERM`, `RTMIN+1`; the number itself for 32, 33 and what is no signal.
  public static func name(_ number: Int32) -> String {
    if let entry = table.first(where: { $0.number == number }) { return entry.name }
    guard realTime.contains(number) else { return String(number) }
    if number == realTime.lowerBound { return "RTMIN" }
    return number == realTime.upperBound ? "RTMAX" : "RTMIN+\(number - realTime.lowerBound)"
  }

  private static func realTimeNumber(_ name: String) -> Int32? {
    let end: Int32
    let sign: Character
    switch name.prefix(5) {
    case "RTMIN": (end, sign) = (realTime.lowerBound, "+")
    case "RTMAX": (end, sign) = (realTime.upperBound, "-")
    default: return nil
    }
    let rest = name.dropFirst(5)
    if rest.isEmpty { return end }
    let digits = rest.dropFirst()
    guard rest.first == sign, (1...2).contains(digits.count), digits.utf8.allSatisfy({ (48...57).contains($0) }),
      let offset = Int32(digits)
    else { return nil }
    let number = sign == "+" ? end + offset : end - offset
    return realTime.contains(number) ? number : nil
  }
}
