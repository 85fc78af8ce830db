/// `[ADDRESS:]HOST:ZONE[/tcp|udp]`, its parsing and its text.
extension PublishedPort {
  /// One or more ports from what a person typed.
  ///
  /// `8080:80`, `127.0.0.1:8080:80/udp`, `[::1]:8080:80`, `80` (the same on both sides), `8000-8009:80-89` (as many on
  /// both sides; at most 1,024).
  /// - Throws: `.invalid`, in one line that names the part.
  public static func parse(_ text: String) throws(NetworkError) -> [PublishedPort] {
    func refuse(_ why: String) -> NetworkError {
      .invalid("publish '\(text)': \(why) (write [ADDRESS:]HOST:ZONE[/tcp|udp], 127.0.0.1:8080:80 say)")
    }
    var rest = text[...]
    var transport = Transport.tcp
    if let slash = rest.lastIndex(of: "/") {
      guard let named = Transport(rawValue: String(rest[rest.index(after: slash)...])) else {
        throw refuse("'\(rest[rest.index(after: slash)...])' is neither tcp nor udp")
      }
      transport = named
      rest = rest[..<slash]
    }
    var address: String?
    if rest.first == "[" {
      guard let close = rest.firstIndex(of: "]") else { throw refuse("the bracket is not closed") }
      let inner = rest[rest.index(after: rest.startIndex)..<close]
      guard let parsed = IPv6Text.canonical(inner) else { throw refuse("'\(inner)' is no IPv6 address") }
      address = parsed
      rest = rest[rest.index(after: close)...]
      guard rest.first == ":" else { throw refuse("a colon must follow the address") }
      rest = rest.dropFirst()
    }
    var parts = rest.split(separator: ":", omittingEmptySubsequences: false)
    if parts.count == 3 && address == nil {
      guard let parsed = IPv4Address(parts[0]) else { throw refuse("'\(parts[0])' is no IPv4 address") }
      address = parsed.description
      parts.removeFirst()
    }
    guard parts.count == 2 || (parts.count == 1 && address == nil) else {
      throw refuse(address == nil ? "there are too many colons" : "both the host's and the zone's port are needed")
    }
    func range(_ part: Substring) throws(NetworkError) -> ClosedRange<UInt16> {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false)
      let numbers = ends.compactMap { end in
        end.utf8.allSatisfy { (48...57).contains($0) } ? UInt16(end) : nil
      }
      guard (1...2).contains(ends.count), numbers.count == ends.count, let first = numbers.first, first > 0,
        let last = numbers.last, first <= last
      else { throw refuse("'\(part)' is no port or range from 1 to 65535") }
      return first...last
    }
    let host = try range(parts[0])
    let zone = try range(parts[parts.count - 1])
    guard host.count == zone.count else { throw refuse("the two ranges differ in length") }
    guard host.count <= 1024 else { throw refuse("a range of more than 1024 ports") }
    return zip(host, zone).map {
      PublishedPort(hostAddress: address, hostPort: $0, zonePort: $1, transport: transport)
    }
  }

  /// The form that `parse` reads; tcp is left out.
  public var text: String {
    let prefix = hostAddress.map { $0.utf8.contains(UInt8(ascii: ":")) ? "[\($0)]:" : "\($0):" } ?? ""
    return "\(prefix)\(hostPort):\(zonePort)" + (transport == .udp ? "/udp" : "")
  }

  /// The host's side alone, as errors name it: `127.0.0.1:8080/tcp`.
  var hostText: String {
    let prefix = hostAddress.map { $0.utf8.contains(UInt8(ascii: ":")) ? "[\($0)]:" : "\($0):" } ?? ""
    return "\(prefix)\(hostPort)/\(transport.rawValue)"
  }

  /// Whether both cannot be published at once: same transport and port, and an address in common.
  func clashes(with other: PublishedPort) -> Bool {
    transport == other.transport && hostPort == other.hostPort
      && (hostAddress == nil || other.hostAddress == nil || hostAddress == other.hostAddress)
  }
}
