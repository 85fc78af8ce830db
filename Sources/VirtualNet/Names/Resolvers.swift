internal import Glibc
internal import LinuxNS

/// A server that names we do not know are asked of.
struct Resolver: Equatable, Sendable {
  var ipv4: IPv4Address?
  /// 16 bytes, and the link for link-local ones.
  var ipv6: [UInt8]?
  var scope: UInt32 = 0

  var socketAddress: sockaddr_storage {
    if let ipv4 { return SocketAddress.ipv4(ipv4, 53) }
    return SocketAddress.ipv6(ipv6 ?? [], 53, scope: scope)
  }
}

/// The host's own resolvers (resolv.conf(5)). Loopback ones serve as well, since it is the host that asks.
enum Resolvers {
  static let path = "/etc/resolv.conf"

  static func host() -> [Resolver] {
    guard let bytes = try? FileSystem.read(path, limit: 65536) else { return [] }
    return parse(String(decoding: bytes, as: UTF8.self))
  }

  /// At most three, as the C library takes.
  static func parse(_ text: String) -> [Resolver] {
    var found: [Resolver] = []
    for line in text.split(separator: "\n") {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      guard words.count >= 2, words[0] == "nameserver", found.count < 3 else { continue }
      if let address = IPv4Address(words[1]) {
        found.append(Resolver(ipv4: address))
        continue
      }
      let parts = words[1].split(separator: "%", maxSplits: 1)
      var raw = in6_addr()
      guard let first = parts.first, inet_pton(AF_INET6, String(first), &raw) == 1 else { continue }
      let scope = parts.count > 1 ? if_nametoindex(String(parts[1])) : 0
      found.append(Resolver(ipv6: withUnsafeBytes(of: raw) { Array($0) }, scope: scope))
    }
    return found
  }
}
