/// What a program asks to be connected with: a name or an address, and a port.
public struct EgressTarget: Hashable, Sendable, CustomStringConvertible {
  public var host: EgressHost
  public var port: UInt16

  public init(host: EgressHost, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// `HOST:PORT` or `[IPV6]:PORT` (RFC 9110, 7.2; no userinfo).
  /// - Parameter defaultPort: what a missing port stands for; nil where it must be there.
  init?(authority text: some StringProtocol, defaultPort: UInt16? = nil) {
    var host = text[...]
    var port: Substring?
    if text.utf8.first == UInt8(ascii: "[") {
      guard let close = text.firstIndex(of: "]") else { return nil }
      let rest = text[text.index(after: close)...]
      host = text[text.index(after: text.startIndex)..<close]
      guard rest.isEmpty || rest.utf8.first == UInt8(ascii: ":"), host.utf8.contains(UInt8(ascii: ":")) else {
        return nil
      }
      if !rest.isEmpty { port = Substring(rest.dropFirst()) }
    } else if let colon = text.firstIndex(of: ":") {
      host = text[..<colon]
      port = Substring(text[text.index(after: colon)...])
    }
    guard let host = EgressHost(host) else { return nil }
    // An empty port is the default one (RFC 3986, 3.2.3).
    guard let port, !(port.isEmpty && defaultPort != nil) else {
      guard let defaultPort else { return nil }
      self.init(host: host, port: defaultPort)
      return
    }
    guard let number = EgressHost.port(port) else { return nil }
    self.init(host: host, port: number)
  }

  public var description: String {
    if case .address(let address) = host, address.ipv4 == nil { return "[\(address)]:\(port)" }
    return "\(host):\(port)"
  }
}

public enum EgressHost: Hashable, Sendable, CustomStringConvertible {
  /// In small letters, without a dot at the end, so that equal names are equal strings.
  case name(String)
  case address(IPAddress)

  /// An address as inet_pton(3) takes it, or a host's name.
  public init?(_ text: some StringProtocol) {
    if let address = IPAddress(text) {
      self = .address(address)
    } else if let name = Self.canonical(text.utf8) {
      self = .name(name)
    } else {
      return nil
    }
  }

  /// Letters, digits, hyphens and underscores in labels of 1 to 63, 253 in all (RFC 1123, 2.1). A last label that is a
  /// number makes it none: resolvers take 2130706433 and 0x7f.1 for addresses, which were then never checked as such.
  static func canonical(_ text: some Sequence<UInt8>) -> String? {
    var bytes = Array(text)
    if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
    guard (1...253).contains(bytes.count) else { return nil }
    for index in bytes.indices {
      switch bytes[index] {
      case 65...90: bytes[index] += 32
      case 97...122, 48...57, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): break
      default: return nil
      }
    }
    let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard labels.allSatisfy({ (1...63).contains($0.count) }), let last = labels.last, !isNumber(last) else {
      return nil
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func isNumber(_ label: ArraySlice<UInt8>) -> Bool {
    if label.allSatisfy({ (48...57).contains($0) }) { return true }
    return label.starts(with: "0x".utf8)
      && label.dropFirst(2).allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  }

  /// 1 to 65535, in digits.
  static func port(_ text: some StringProtocol) -> UInt16? {
    guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
      let number = UInt16(text),
      number > 0
    else { return nil }
    return number
  }

  /// `localhost` and what is below it: this machine, whatever a resolver says (RFC 6761, 6.3).
  static func isLocal(_ name: String) -> Bool { name == "localhost" || name.hasSuffix(".localhost") }

  public var description: String {
    switch self {
    case .name(let name): name
    case .address(let address): address.description
    }
  }
}
