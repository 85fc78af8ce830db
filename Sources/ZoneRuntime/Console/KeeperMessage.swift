/// The words between a keeper and who is attached to it: one SEQPACKET message each, a kind and what belongs to it.
/// Numbers are little endian, as on every machine we run on.
enum KeeperMessage: Equatable {
  /// From the keeper: bytes of standard output, or of the terminal.
  case output(ArraySlice<UInt8>)
  case error(ArraySlice<UInt8>)
  /// The command has ended: its code, or the signal where that is not 0; whether the OOM killer was it.
  case exit(code: Int32, signal: Int32, oomKilled: Bool)
  /// A kind that a later version speaks: passed over.
  case unknown(UInt8)

  /// nil: no message of ours (empty, or cut).
  init?(_ bytes: ArraySlice<UInt8>) {
    guard let kind = bytes.first else { return nil }
    let rest = bytes.dropFirst()
    switch kind {
    case UInt8(ascii: "O"): self = .output(rest)
    case UInt8(ascii: "R"): self = .error(rest)
    case UInt8(ascii: "X"):
      guard rest.count >= 8 else { return nil }
      self = .exit(
        code: KeeperMessage.number(rest), signal: KeeperMessage.number(rest.dropFirst(4)),
        // The count is of all processes; the command itself ended by it only where SIGKILL ended it.
        oomKilled: rest.count >= 12 && KeeperMessage.number(rest.dropFirst(8)) != 0
          && KeeperMessage.number(rest.dropFirst(4)) == 9)
    default: self = .unknown(kind)
    }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> Int32 {
    Int32(bitPattern: bytes.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) })
  }

  // To the keeper.
  static let inputKind = UInt8(ascii: "I")
  static let inputEnded = [UInt8(ascii: "E")]
  /// Who sends this gets the output from here on.
  static let attach = [UInt8(ascii: "A")]
  static func signal(_ number: Int32) -> [UInt8] {
    [UInt8(ascii: "K")] + (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
  }
  static func size(rows: UInt16, columns: UInt16) -> [UInt8] {
    [
      UInt8(ascii: "W"), UInt8(truncatingIfNeeded: rows), UInt8(rows >> 8), UInt8(truncatingIfNeeded: columns),
      UInt8(columns >> 8),
    ]
  }
  /// The most bytes of input in a message: the keeper's room (STAGE_MESSAGE_ROOM) less the kind.
  static let mostInput = (16 << 10) - 1
  /// Room for any message of a keeper (STAGE_MESSAGE_ROOM); a longer one is an error, never cut.
  static let room = 16 << 10
}
