import LinuxNS

@testable import VirtualNet
@testable import ZoneRuntime

extension FuzzTarget {
  /// The records of networks, and what programs of ours say to each other: what was read is written, and that reads as
  /// the same again.
  static let records = FuzzTarget("records") { (bytes) throws(Finding) in
    if let leases = accepted({ try Leases(bytes, path: "x") }) { try check(leases) }
    if let state = accepted({ try NetworkState(bytes, path: "x") }) {
      let again = accepted { try NetworkState(state.bytes, path: "x") }
      try hold(again == state, "a network: \(state) reads as \(again.map { "\($0)" } ?? "nothing")")
      _ = state.elements
      _ = NameTable(state)
      try check(Leases(state))
    }
    if let note = accepted({ try Sysctls(bytes, path: "x", boot: "b") }) {
      let again = accepted { try Sysctls(note.bytes, path: "x", boot: "b") }
      try hold(again == note, "settings: \(note) reads as \(again.map { "\($0)" } ?? "nothing")")
    }
    if let message = RelayMessage(bytes) {
      let again = RelayMessage(message.bytes)
      try hold(again == message, "to the relay: \(message) reads as \(again.map { "\($0)" } ?? "nothing")")
    }
    _ = KeeperMessage(bytes[...])
    try checkKeys(bytes)
  }

  private static func check(_ leases: Leases) throws(Finding) {
    let again = accepted { try Leases(leases.bytes, path: "x") }
    try hold(again == leases, "leases: \(leases) read as \(again.map { "\($0)" } ?? "nothing")")
    var more = leases
    if let address = accepted({ try more.lease("new", network: "n") }) {
      try hold(leases.subnet.contains(address), "\(address) was leased of \(leases.subnet)")
      let holders = more.zones.values.count { $0 == address }
      try hold(holders == 1, "\(address) was leased \(holders) times")
    }
    guard let other = IPv4Subnet("192.168.128.0/24") else { return }
    more.move(to: other)
    for address in more.zones.values { try hold(other.contains(address), "\(address) was moved out of \(other)") }
  }

  /// The keys typed: what is let through is what was typed, less the keys themselves, however it is cut into pieces.
  private static func checkKeys(_ bytes: [UInt8]) throws(Finding) {
    var whole = ByteQueue()
    var matcher = DetachMatcher(.standard)
    let ended = matcher.feed(bytes, into: &whole)
    if !ended { matcher.flush(into: &whole) }
    var pieces = ByteQueue()
    var second = DetachMatcher(.standard)
    var alsoEnded = false
    for byte in bytes where !alsoEnded { alsoEnded = second.feed([byte], into: &pieces) }
    if !alsoEnded { second.flush(into: &pieces) }
    try hold(ended == alsoEnded && whole.count == pieces.count, "keys in pieces mean something else")
    if !ended { try hold(whole.count == bytes.count, "\(bytes.count - whole.count) bytes typed are lost") }
  }
}
