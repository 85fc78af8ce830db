/// One expression of a rule, as the kernel's register machine has them (linux/netfilter/nf_tables.h).
///
/// Registers: 1 and 2 hold sixteen bytes each; 8 to 15 are the same bytes by fours, so that the fields of a
/// concatenated key stand side by side.
enum NftExpression: Equatable, Sendable {
  enum Meta: UInt32 { case interfaceIn = 4, nameIn = 6, nameOut = 7, family = 15, transport = 16 }
  enum Conntrack: UInt32 { case state = 0, direction = 1, status = 2, portDestination = 12, addressDestination = 20 }
  enum Base: UInt32 { case link = 0, network = 1, transport = 2 }
  enum Verdict: Equatable, Sendable { case accept, drop, jump(String), goto(String) }

  case meta(Meta, UInt32)
  /// A value of the flow; `original` reads it from the direction in which the flow began.
  case conntrack(Conntrack, original: Bool, UInt32)
  case payload(Base, offset: UInt32, length: UInt32, UInt32)
  case compare(UInt32, equal: Bool, [UInt8])
  case and(UInt32, [UInt8])
  /// Goes on where the key is in the set (or, inverted, is not); a map's value goes to `into`.
  case lookup(String, UInt32, inverted: Bool = false, into: UInt32? = nil)
  /// The kind of the destination address, a route type of rtnetlink; 2 is one of the host's own.
  case destinationKind(UInt32)
  case destinationNAT(address: UInt32, port: UInt32)
  case masquerade
  case verdict(Verdict)

  private var name: String {
    switch self {
    case .meta: "meta"
    case .conntrack: "ct"
    case .payload: "payload"
    case .compare: "cmp"
    case .and: "bitwise"
    case .lookup: "lookup"
    case .destinationKind: "fib"
    case .destinationNAT: "nat"
    case .masquerade: "masq"
    case .verdict: "immediate"
    }
  }

  /// Appends NFTA_LIST_ELEM { NFTA_EXPR_NAME, NFTA_EXPR_DATA }.
  func append(to message: inout NetlinkMessage) {
    message.nested(1) {
      $0.attribute(1, string: name)
      $0.nested(2) { appendData(to: &$0) }
    }
  }

  private func appendData(to message: inout NetlinkMessage) {
    switch self {
    case .meta(let key, let register):
      message.attribute(1, big: register)
      message.attribute(2, big: key.rawValue)
    case .conntrack(let key, let original, let register):
      message.attribute(1, big: register)
      message.attribute(2, big: key.rawValue)
      if original { message.attribute(3, big: UInt8(0)) }
    case .payload(let base, let offset, let length, let register):
      message.attribute(1, big: register)
      message.attribute(2, big: base.rawValue)
      message.attribute(3, big: offset)
      message.attribute(4, big: length)
    case .compare(let register, let equal, let value):
      message.attribute(1, big: register)
      message.attribute(2, big: UInt32(equal ? 0 : 1))
      message.nested(3) { $0.attribute(1, value) }
    case .and(let register, let mask):
      message.attribute(1, big: register)
      message.attribute(2, big: register)
      message.attribute(3, big: UInt32(mask.count))
      message.nested(4) { $0.attribute(1, mask) }
      message.nested(5) { $0.attribute(1, [UInt8](repeating: 0, count: mask.count)) }
    case .lookup(let set, let register, let inverted, let into):
      message.attribute(1, string: set)
      message.attribute(2, big: register)
      if let into { message.attribute(3, big: into) }
      if inverted { message.attribute(5, big: UInt32(1)) }
    case .destinationKind(let register):
      message.attribute(1, big: register)
      message.attribute(2, big: UInt32(3))  // NFT_FIB_RESULT_ADDRTYPE
      message.attribute(3, big: UInt32(2))  // NFTA_FIB_F_DADDR
    case .destinationNAT(let address, let port):
      message.attribute(1, big: UInt32(1))  // NFT_NAT_DNAT
      message.attribute(2, big: UInt32(2))  // NFPROTO_IPV4
      message.attribute(3, big: address)
      message.attribute(5, big: port)
    case .masquerade: break
    case .verdict(let verdict):
      message.attribute(1, big: UInt32(0))  // NFT_REG_VERDICT
      message.nested(2) {
        $0.nested(2) {
          switch verdict {
          case .drop: $0.attribute(1, big: Int32(0))
          case .accept: $0.attribute(1, big: Int32(1))
          case .jump(let chain):
            $0.attribute(1, big: Int32(-3))
            $0.attribute(2, string: chain)
          case .goto(let chain):
            $0.attribute(1, big: Int32(-4))
            $0.attribute(2, string: chain)
          }
        }
      }
    }
  }
}
