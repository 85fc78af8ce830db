/// A request to an HTTP proxy: CONNECT (RFC 9110, 9.3.6), or a request in absolute form (RFC 9112, 3.2.2).
struct HTTPRequest: Equatable {
  let target: EgressTarget
  let kind: Kind

  enum Kind: Equatable {
    case tunnel
    /// The head in origin form, as it goes to the server, and the body that follows it.
    case request(head: [UInt8], body: HTTPBody)
  }

  /// Bytes of a request's line and header.
  static let most = 16384

  /// Strict, as one that stands between others has to be: what two readers could take for two requests is refused
  /// (RFC 9112, 11.2).
  static func read(_ bytes: [UInt8]) -> Reading<HTTPRequest> {
    // Another protocol has no empty line to wait for.
    guard bytes.first.map({ (65...90).contains($0) || (97...122).contains($0) }) ?? true else {
      return .wrong("no request of HTTP or SOCKS 5")
    }
    guard let end = end(of: bytes) else {
      return bytes.count < most ? .incomplete : .wrong("a header of more than \(most) bytes")
    }
    let text = bytes[..<(end - 4)]
    var lines: [ArraySlice<UInt8>] = []
    var start = text.startIndex
    for index in text.indices where text[index] == 10 {
      guard index > start, text[index - 1] == 13 else { return .wrong("a line that ends without CR LF") }
      lines.append(text[start..<index - 1])
      start = index + 1
    }
    lines.append(text[start...])
    guard lines.allSatisfy({ !$0.contains(13) }) else { return .wrong("CR within a line") }
    do throws(Wrong) { return .complete(try request(lines), length: end) } catch { return .wrong(error.why) }
  }

  private struct Wrong: Error {
    let why: String
    init(_ why: String) { self.why = why }
  }

  /// Behind the empty line.
  private static func end(of bytes: [UInt8]) -> Int? {
    var index = 3
    while index < min(bytes.count, most) {
      if bytes[index] == 10 && bytes[index - 1] == 13 && bytes[index - 2] == 10 && bytes[index - 3] == 13 {
        return index + 1
      }
      index += 1
    }
    return nil
  }

  private static func request(_ lines: [ArraySlice<UInt8>]) throws(Wrong) -> HTTPRequest {
    let words = lines[0].split(separator: 32, omittingEmptySubsequences: false)
    guard words.count == 3, isToken(words[0]), words[1].allSatisfy({ (33...126).contains($0) }),
      words[2].elementsEqual("HTTP/1.1".utf8) || words[2].elementsEqual("HTTP/1.0".utf8)
    else { throw Wrong("no request of HTTP/1") }
    let fields = try fields(lines.dropFirst())
    if words[0].elementsEqual("CONNECT".utf8) {
      guard let target = EgressTarget(authority: text(words[1])) else {
        throw Wrong("CONNECT without HOST:PORT")
      }
      return HTTPRequest(target: target, kind: .tunnel)
    }
    let scheme = Array("http://".utf8)
    guard words[1].count > scheme.count, lower(words[1].prefix(scheme.count)) == scheme else {
      throw Wrong("a proxy takes CONNECT and http://HOST/PATH")
    }
    let rest = words[1].dropFirst(scheme.count)
    let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
    guard let target = EgressTarget(authority: text(authority), defaultPort: 80), !rest.contains(UInt8(ascii: "#"))
    else {
      throw Wrong("no host that can be asked for")
    }
    let hosts = fields.filter { $0.name == "host" }
    guard hosts.count <= 1 else { throw Wrong("more than one Host") }
    if let host = hosts.first {
      guard EgressTarget(authority: text(host.value), defaultPort: 80) == target else {
        throw Wrong("a Host that is not the one asked for")
      }
    }
    var path = Array(rest.dropFirst(authority.count))
    if path.first != UInt8(ascii: "/") {
      path = (path.isEmpty && words[0].elementsEqual("OPTIONS".utf8) ? Array("*".utf8) : [UInt8(ascii: "/")]) + path
    }
    let body = try body(fields)
    var head = Array(words[0]) + [32] + path + [32] + Array(words[2]) + [13, 10]
    head += Array("Host: ".utf8) + Array(authority) + [13, 10]
    for field in kept(fields) { head += Array(field.line) + [13, 10] }
    head += Array("Connection: close\r\n\r\n".utf8)
    return HTTPRequest(target: target, kind: .request(head: head, body: body))
  }

  // MARK: fields

  private struct Field {
    /// In small letters.
    let name: String
    let value: ArraySlice<UInt8>
    let line: ArraySlice<UInt8>
  }

  private static func fields(_ lines: ArraySlice<ArraySlice<UInt8>>) throws(Wrong) -> [Field] {
    var fields: [Field] = []
    for line in lines {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")), isToken(line[..<colon]) else {
        throw Wrong("a field without a name")
      }
      var value = line[(colon + 1)...]
      guard value.allSatisfy({ $0 >= 32 && $0 != 127 || $0 == 9 }) else { throw Wrong("control characters in a field") }
      while let first = value.first, first == 32 || first == 9 { value = value.dropFirst() }
      while let last = value.last, last == 32 || last == 9 { value = value.dropLast() }
      fields.append(Field(name: text(lower(line[..<colon])), value: value, line: line))
    }
    return fields
  }

  /// Those for the server: not Host, which is written anew, and not those between client and proxy (RFC 9110, 7.6.1).
  private static func kept(_ fields: [Field]) -> [Field] {
    var dropped: Set<String> = [
      "host", "connection", "proxy-connection", "proxy-authorization", "keep-alive", "te", "upgrade",
    ]
    for field in fields where field.name == "connection" {
      for word in field.value.split(whereSeparator: { $0 == UInt8(ascii: ",") || $0 == 32 || $0 == 9 }) {
        dropped.insert(text(lower(word)))
      }
    }
    // What says where the body ends is the server's to know, whatever Connection names.
    for framing in ["content-length", "transfer-encoding"] { dropped.remove(framing) }
    return fields.filter { !dropped.contains($0.name) }
  }

  private static func body(_ fields: [Field]) throws(Wrong) -> HTTPBody {
    let lengths = fields.filter { $0.name == "content-length" }
    let encodings = fields.filter { $0.name == "transfer-encoding" }
    guard lengths.count + encodings.count <= 1 else { throw Wrong("more than one length of the body") }
    if let encoding = encodings.first {
      guard lower(encoding.value) == Array("chunked".utf8) else { throw Wrong("a transfer coding other than chunked") }
      return .chunked
    }
    guard let length = lengths.first else { return .length(0) }
    guard (1...18).contains(length.value.count), length.value.allSatisfy({ (48...57).contains($0) }),
      let count = Int(text(length.value))
    else { throw Wrong("a length of the body that is no number") }
    return .length(count)
  }

  // MARK: bytes

  private static func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
  private static func lower(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    bytes.map { (65...90).contains($0) ? $0 + 32 : $0 }
  }

  /// RFC 9110, 5.6.2.
  private static func isToken(_ bytes: ArraySlice<UInt8>) -> Bool {
    !bytes.isEmpty
      && bytes.allSatisfy {
        (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
          || "!#$%&'*+-.^_`|~".utf8.contains($0)
      }
  }
}
