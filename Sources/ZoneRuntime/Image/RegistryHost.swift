/// `HOST[:PORT]`, in lower case: in a name of an image, and in a URL.
struct RegistryHost: Equatable {
  /// A name, an IPv4 address, or an IPv6 one in brackets.
  var host: String
  /// 1 to 65535.
  var port: UInt16?

  /// - Parameter isName: what is a host's name here, brackets aside.
  init?(_ text: String, isName: (Substring) -> Bool) {
    var host = Substring(text)
    let bracket = text.utf8.lastIndex(of: UInt8(ascii: "]"))
    if let colon = text.utf8[(bracket ?? text.startIndex)...].firstIndex(of: UInt8(ascii: ":")) {
      let digits = text[text.utf8.index(after: colon)...]
      guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }),
        let number = UInt16(digits), number > 0
      else { return nil }
      port = number
      host = text[..<colon]
    }
    if host.hasPrefix("[") {
      let inner = host.utf8.dropFirst().dropLast()
      let isAddress = inner.allSatisfy { (48...58).contains($0) || (97...102).contains($0) || $0 == UInt8(ascii: ".") }
      guard host.hasSuffix("]"), inner.count >= 2, isAddress, inner.contains(UInt8(ascii: ":")) else { return nil }
    } else {
      guard isName(host) else { return nil }
    }
    self.host = String(host)
  }
}
