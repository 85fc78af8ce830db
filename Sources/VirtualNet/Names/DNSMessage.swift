/// A question as it came in a datagram or a stream (RFC 1035, section 4).
struct DNSQuestion: Equatable, Sendable {
  enum Kind { static let a: UInt16 = 1, ptr: UInt16 = 12, aaaa: UInt16 = 28, opt: UInt16 = 41, any: UInt16 = 255 }

  var id: UInt16
  /// Recursion desired; it is copied into the answer.
  var recursion: Bool
  /// Labels in lower case.
  var labels: [[UInt8]]
  var type: UInt16
  var class_: UInt16
  /// The question section as it was written, for the answer and to compare a resolver's.
  var section: [UInt8]
  /// What the asker takes in a datagram: 512, or what its EDNS record says (RFC 6891), at most 1,232.
  var room: Int
  var edns: Bool

  var name: String { labels.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".") }

  enum Parsed: Equatable, Sendable {
    case question(DNSQuestion)
    /// Answer with this code: 1 malformed, 4 not implemented.
    case refuse(id: UInt16, code: UInt8)
    /// No answer: too short to have an id, or itself an answer (two servers could talk for ever).
    case ignore
  }

  static func parse(_ bytes: some RandomAccessCollection<UInt8>) -> Parsed {
    let bytes = Array(bytes)
    guard bytes.count >= 12, bytes[2] & 0x80 == 0 else { return .ignore }
    let id = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    func count(_ at: Int) -> Int { Int(bytes[at]) << 8 | Int(bytes[at + 1]) }
    guard bytes[2] & 0x78 == 0 else { return .refuse(id: id, code: 4) }
    guard count(4) == 1, count(6) == 0, count(8) == 0, let (labels, end) = name(in: bytes, at: 12),
      end + 4 <= bytes.count
    else { return .refuse(id: id, code: 1) }
    var question = DNSQuestion(
      id: id, recursion: bytes[2] & 1 != 0, labels: labels, type: UInt16(count(end)), class_: UInt16(count(end + 2)),
      section: Array(bytes[12..<end + 4]), room: 512, edns: false)
    var at = end + 4
    for _ in 0..<count(10) {
      guard let (owner, next) = name(in: bytes, at: at), next + 10 <= bytes.count,
        next + 10 + count(next + 8) <= bytes.count
      else { return .refuse(id: id, code: 1) }
      if owner.isEmpty, count(next) == Int(Kind.opt) {
        question.edns = true
        question.room = min(max(count(next + 2), 512), 1232)
      }
      at = next + 10 + count(next + 8)
    }
    return .question(question)
  }

  /// The labels at an offset and where what is written there ends.
  ///
  /// A pointer may lead only to before the place it stands at, so every step goes back and the walk ends; a name has at
  /// most 255 bytes.
  static func name(in bytes: [UInt8], at start: Int) -> (labels: [[UInt8]], end: Int)? {
    var labels: [[UInt8]] = []
    var at = start
    var end: Int?
    var limit = start
    var size = 1
    while at < bytes.count {
      let length = Int(bytes[at])
      switch length & 0xc0 {
      case 0:
        if length == 0 { return (labels, end ?? at + 1) }
        guard at + 1 + length <= bytes.count else { return nil }
        size += length + 1
        guard size <= 255 else { return nil }
        labels.append(bytes[at + 1..<at + 1 + length].map { (65...90).contains($0) ? $0 + 32 : $0 })
        at += 1 + length
      case 0xc0:
        guard at + 1 < bytes.count else { return nil }
        let target = (length & 0x3f) << 8 | Int(bytes[at + 1])
        guard target < limit, target >= 12 else { return nil }
        end = end ?? at + 2
        limit = target
        at = target
      default: return nil
      }
    }
    return nil
  }
}

/// Answers of our own making.
enum DNSAnswer {
  /// Seconds an asker may keep an answer: addresses of a shared name come and go with its zones.
  static let timeToLive: UInt32 = 5

  /// - Parameters:
  ///   - code: 0 fine, 2 server failure, 3 no such name.
  ///   - records: type and data of each answer; their name is the question's.
  ///   - room: bytes the asker takes; records that do not fit are left out and the answer says so (TC).
  static func bytes(
    _ question: DNSQuestion, code: UInt8, authoritative: Bool = true, records: [(type: UInt16, data: [UInt8])] = [],
    room: Int
  ) -> [UInt8] {
    var answers: [UInt8] = []
    var count: UInt16 = 0
    var truncated = false
    let option: [UInt8] = question.edns ? [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0] : []
    for record in records {
      var entry: [UInt8] = [0xc0, 12]
      for number in [record.type, 1] { entry += [UInt8(number >> 8), UInt8(number & 0xff)] }
      entry += (0..<4).map { UInt8(truncatingIfNeeded: timeToLive >> (24 - 8 * $0)) }
      entry += [UInt8(record.data.count >> 8), UInt8(record.data.count & 0xff)] + record.data
      if 12 + question.section.count + answers.count + entry.count + option.count > room {
        truncated = true
        break
      }
      answers += entry
      count += 1
    }
    var result: [UInt8] = [
      UInt8(question.id >> 8), UInt8(question.id & 0xff),
      0x80 | (authoritative ? 4 : 0) | (truncated ? 2 : 0) | (question.recursion ? 1 : 0), 0x80 | code,
      0, 1, UInt8(count >> 8), UInt8(count & 0xff), 0, 0, 0, question.edns ? 1 : 0,
    ]
    result += question.section + answers + option
    return result
  }

  /// A header alone, for what could not be read.
  static func refusal(id: UInt16, code: UInt8) -> [UInt8] {
    [UInt8(id >> 8), UInt8(id & 0xff), 0x80, 0x80 | code, 0, 0, 0, 0, 0, 0, 0, 0]
  }

  /// Whether bytes from a resolver answer what was asked of it: the id, the answer bit, and the same question.
  static func matches(_ bytes: ArraySlice<UInt8>, id: UInt16, question: DNSQuestion) -> Bool {
    let bytes = Array(bytes)
    guard bytes.count >= 12, bytes[0] == UInt8(id >> 8), bytes[1] == UInt8(id & 0xff), bytes[2] & 0x80 != 0 else {
      return false
    }
    if bytes[4] == 0 && bytes[5] == 0 { return bytes[3] & 0x0f != 0 }  // some leave the question out of an error
    return bytes[4] == 0 && bytes[5] == 1
      && bytes.dropFirst(12).prefix(question.section.count).elementsEqual(question.section)
  }
}
