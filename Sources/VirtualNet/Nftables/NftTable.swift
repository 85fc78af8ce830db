/// A table as a value, from which the messages that make it come.
struct NftTable: Equatable, Sendable {
  enum Family: UInt8, Sendable {
    case ipv4 = 2
    case inet = 1
    case bridge = 7
  }

  struct Set: Equatable, Sendable {
    var name: String
    /// The key's fields, in order.
    var key: [NftType]
    /// A map's value, empty for a set.
    var value: [NftType] = []
  }

  struct Chain: Equatable, Sendable {
    var name: String
    var base: Base?
    var rules: [[NftExpression]]

    init(_ name: String, _ base: Base? = nil, _ rules: [[NftExpression]]) {
      self.name = name
      self.base = base
      self.rules = rules
    }
  }

  /// Where a chain is hooked in; the policy is always accept, since these tables see the host's own packets too.
  struct Base: Equatable, Sendable {
    enum Hook: UInt32, Sendable {
      case prerouting = 0
      case input, forward, output, postrouting
    }
    var type: String
    var hook: Hook
    var priority: Int32
  }

  var family: Family
  var name: String
  var sets: [Set]
  var chains: [Chain]
}

/// The types of nft(8) that our keys have: its number (by which `nft list` prints it) and bytes.
enum NftType: UInt32, Sendable {
  case ipv4 = 7
  case ethernet = 9
  case transport = 12
  case port = 13
  case interfaceIndex = 20
  case interfaceName = 41

  var length: Int {
    switch self {
    case .ipv4, .interfaceIndex: 4
    case .ethernet: 6
    case .transport: 1
    case .port: 2
    case .interfaceName: 16
    }
  }

  /// nft(8) keeps names and indices in the host's byte order, all else in the network's.
  var isHostOrder: Bool { self == .interfaceName || self == .interfaceIndex }

  /// In a concatenation every field is filled to a multiple of four bytes.
  static func length(_ fields: [NftType]) -> Int {
    fields.count == 1 ? fields[0].length : fields.reduce(0) { $0 + ($1.length + 3) & ~3 }
  }

  static func number(_ fields: [NftType]) -> UInt32 { fields.reduce(0) { $0 << 6 | $1.rawValue } }
}

/// The key of an element (and a map's value), and their set.
struct NftElement: Hashable, Sendable {
  var family: NftTable.Family
  var set: String
  var key: [UInt8]
  var value: [UInt8] = []

  /// Fields side by side, each filled to a multiple of four.
  static func concatenate(_ fields: [[UInt8]]) -> [UInt8] {
    fields.flatMap { $0 + [UInt8](repeating: 0, count: -$0.count & 3) }
  }

  static func name(_ interface: String) -> [UInt8] {
    let bytes = Array(interface.utf8.prefix(15))
    return bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
  }

  static func bytes(big number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }
  static func bytes(host number: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: number) { Array($0) } }
}
