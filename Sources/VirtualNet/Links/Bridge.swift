internal import Glibc

/// The switch of a `nat` network (linux/if_link.h, IFLA_BR_*).
///
/// A bridge takes 1,023 ports (BR_MAX_PORTS); a network's prefix holds 253 zones, so it is full before its bridge.
enum Bridge {
  private enum Option {
    static let forwardDelay: UInt16 = 1  // IFLA_BR_FORWARD_DELAY
    static let spanningTree: UInt16 = 5  // IFLA_BR_STP_STATE
    static let multicastSnooping: UInt16 = 23  // IFLA_BR_MCAST_SNOOPING
    static let switches: UInt16 = 46  // IFLA_BR_MULTI_BOOLOPT
    static let portKind: UInt16 = 4  // IFLA_INFO_SLAVE_KIND
    static let portData: UInt16 = 5  // IFLA_INFO_SLAVE_DATA
    static let portHairpin: UInt16 = 4  // IFLA_BRPORT_MODE
  }

  /// `ip link add NAME address MAC alias ALIAS type bridge forward_delay 0 stp_state 0 mcast_snooping 0 no_linklocal_learn 1`
  ///
  /// Its own MAC, since a bridge without one takes its lowest port's and changes it as zones come and go.
  /// Without snooping the cost of a port does not grow with their number; without learning from link-local frames
  /// a zone cannot poison the forwarding table past the rules.
  static func make(_ name: String, mac: MACAddress) -> NetlinkMessage {
    var message = Link.message(
      Link.newLink, flags: NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.exclusive)
    message.attribute(Link.Attribute.name, string: name)
    message.attribute(Link.Attribute.address, mac.bytes)
    message.nested(Link.Attribute.info) {
      $0.attribute(Link.Attribute.infoKind, string: "bridge")
      $0.nested(Link.Attribute.infoData) {
        $0.attribute(Option.forwardDelay, number: UInt32(0))
        $0.attribute(Option.spanningTree, number: UInt32(0))
        $0.attribute(Option.multicastSnooping, number: UInt8(0))
        // struct br_boolopt_multi: values, mask; bit 0 is BR_BOOLOPT_NO_LL_LEARN.
        $0.attribute(Option.switches, number: UInt64(0x0000_0001_0000_0001))
      }
    }
    return message
  }

  /// `ip link set dev PORT type bridge_slave hairpin on; ip link set dev PORT up`
  ///
  /// Where br_netfilter is on, the bridge itself sends a zone's use of its own published port back to where it came from.
  static func openPort(_ index: UInt32) -> NetlinkMessage {
    var message = Link.setUp(index)
    message.nested(Link.Attribute.info) {
      $0.attribute(Option.portKind, string: "bridge")
      $0.nested(Option.portData) { $0.attribute(Option.portHairpin, number: UInt8(1)) }
    }
    return message
  }

  /// `ip link set dev INDEX alias TEXT`: by it we know a bridge for ours.
  static func mark(_ index: UInt32, _ text: String) -> NetlinkMessage {
    var message = Link.message(Link.setLink, flags: NetlinkFlag.acknowledge, index: index)
    message.attribute(Link.Attribute.alias, Array(text.utf8))
    return message
  }
}
