internal import LinuxNS

/// The names that an instance's things have on the host. Two instances (two `--root`s) share none.
struct HostNames: Equatable, Sendable {
  let tag: String

  /// - Parameter tag: empty for the standard directories, else up to four of a-z and 0-9.
  init(tag: String) throws(NetworkError) {
    guard tag.utf8.count <= 4, tag.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) }) else {
      throw .invalid("instance tag '\(tag)': not up to four of a-z and 0-9")
    }
    self.tag = tag
  }

  /// The nft table's name, in the families inet and bridge.
  var table: String { tag.isEmpty ? "zones" : "zones-\(tag)" }

  /// What zones' ports begin with; no instance's prefix is the beginning of another's.
  var portPrefix: String { "dzv\(tag)-" }

  /// The name of a port: seven of 0-9 and a-z.
  func port(_ number: UInt64) -> String {
    let power7: UInt64 = 78_364_164_096  // 36 to the 7th
    let text = String(number % power7, radix: 36)
    return portPrefix + String(repeating: "0", count: 7 - text.count) + text
  }

  /// What every instance's bridges begin with.
  static let bridgePrefix = "zbr"

  /// `zbr-NAME`, or `zbr_` and a hash where that is longer than 15 bytes or the instance has a tag.
  func bridge(_ network: String) -> String {
    if tag.isEmpty && network.utf8.count <= 11 { return "\(Self.bridgePrefix)-\(network)" }
    let power11: UInt64 = 131_621_703_842_267_136  // 36 to the 11th
    let text = String(fnv1a("\(tag)/\(network)") % power11, radix: 36)
    return "\(Self.bridgePrefix)_" + String(repeating: "0", count: 11 - text.count) + text
  }

  /// What a bridge carries as its alias, so that we never take over another's.
  func mark(_ network: String) -> String { "zones network \(network)\(tag.isEmpty ? "" : " of \(tag)")" }

  /// Zone, network and alias names: DNS labels (RFC 1123), so that they are safe as file names and in answers.
  static func check(_ name: String, _ what: String) throws(NetworkError) {
    let bytes = Array(name.utf8)
    guard (1...63).contains(bytes.count), bytes.first != 45, bytes.last != 45,
      bytes.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) || $0 == 45 })
    else { throw .invalid("\(what) '\(name)': not a DNS label (1 to 63 of a-z, 0-9 and -, no - at its ends)") }
  }
}
