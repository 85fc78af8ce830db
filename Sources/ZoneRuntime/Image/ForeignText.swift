/// What others sent, for an error's one line: its beginning, and nothing that writes to a terminal.
public func shortened(_ text: String) -> String {
  var short = ""
  for scalar in text.unicodeScalars.prefix(81) {
    short.unicodeScalars.append(scalar.value < 32 || (127..<160).contains(scalar.value) ? "?" : scalar)
  }
  if short.unicodeScalars.count > 80 { short += "…" }
  return short
}

extension StringProtocol {
  /// A-Z as a-z, and all else as it is: names of hosts and types are ASCII.
  var lowerASCII: String {
    String(decoding: utf8.map { (65...90).contains($0) ? $0 + 32 : $0 }, as: UTF8.self)
  }
}
