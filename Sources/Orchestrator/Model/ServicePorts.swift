internal import VirtualNet

/// `ports`, short and long (compose-spec, "ports").
extension ServicePort {
  /// `[HOST-ADDRESS:]HOST[-HOST]:ZONE[-ZONE][/tcp|udp]`; an IPv6 address in brackets.
  static func short(_ entry: ManifestNode) throws(ManifestProblem) -> ServicePort {
    let text = try entry.textOrNumber()
    var rest = text[...]
    var port = ServicePort(hostAddress: nil, host: 1...1, zone: 1...1, transport: .tcp)
    if let slash = rest.lastIndex(of: "/") {
      guard let transport = PublishedPort.Transport(rawValue: String(rest[rest.index(after: slash)...])) else {
        throw entry.problem("\(entry.name) '\(text)': the protocol must be tcp or udp")
      }
      port.transport = transport
      rest = rest[..<slash]
    }
    if rest.first == "[" {
      guard let end = rest.firstIndex(of: "]"), rest[end...].hasPrefix("]:") else {
        throw entry.problem("\(entry.name) '\(text)': an IPv6 address is written as [::1]:8080:80")
      }
      port.hostAddress = String(rest[rest.index(after: rest.startIndex)..<end])
      rest = rest[end...].dropFirst(2)
    }
    var parts = rest.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    if port.hostAddress == nil, parts.count == 3 { port.hostAddress = parts.removeFirst() }
    guard parts.count == 2 else {
      throw entry.problem("\(entry.name) '\(text)' wants HOST:ZONE, 8080:80 say")
    }
    port.host = try range(parts[0], entry)
    port.zone = try range(parts[1], entry)
    try port.check(entry)
    return port
  }

  static let long = FieldTable<ServicePort>(
    "a port",
    [
      Field("target", "port or range", "the port inside") { (node, port, _) throws(ManifestProblem) in
        port.zone = try range(node.textOrNumber(), node)
      },
      Field("published", "port or range", "the host's port") { (node, port, _) throws(ManifestProblem) in
        port.host = try range(node.textOrNumber(), node)
      },
      Field("host_ip", "address", "the host's address; every one without it") {
        (node, port, _) throws(ManifestProblem) in
        port.hostAddress = try node.text()
      },
      Field("protocol", "tcp or udp", "tcp without it") { (node, port, _) throws(ManifestProblem) in
        port.transport = .init(rawValue: try node.choice(PublishedPort.Transport.allCases.map(\.rawValue)))!
      },
    ])

  func check(_ entry: ManifestNode) throws(ManifestProblem) {
    guard zone.count == 1 || zone.count == host.count else {
      throw entry.problem("\(entry.name): \(host.count) host ports do not pair with \(zone.count) ports inside")
    }
    if let hostAddress, !isAddress(hostAddress) {
      throw entry.problem("\(entry.name): '\(hostAddress)' is not an address of the host")
    }
  }

  private static func range(_ text: String, _ entry: ManifestNode) throws(ManifestProblem) -> ClosedRange<UInt16> {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
    guard (1...2).contains(ends.count), let first = ends.first!, let last = ends.last!, first > 0, first <= last else {
      throw entry.problem("\(entry.name): '\(text)' is not a port from 1 to 65535 or a range of them")
    }
    return first...last
  }
}

/// An IPv4 address in four decimal parts, or something that can only be an IPv6 address.
func isAddress(_ text: String) -> Bool {
  if text.contains(":") { return text.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." } && text.count <= 45 }
  let parts = text.split(separator: ".", omittingEmptySubsequences: false)
  return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
}
