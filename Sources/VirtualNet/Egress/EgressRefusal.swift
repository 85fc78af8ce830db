internal import Glibc
internal import LinuxNS

/// Why a connection through the egress did not come about, and how the client hears of it.
enum EgressRefusal: Error, Equatable {
  case denied(EgressDenial)
  /// What the client sent is no request.
  case malformed(String)
  /// getaddrinfo(3) knows no address; its words.
  case unresolved(EgressTarget, String)
  case unreachable(EgressTarget, CInt)
  /// The client or the server took too long.
  case late
  /// The client has gone.
  case gone

  /// One line, printable.
  var words: String {
    switch self {
    case .denied(let denial): "\(denial.name): \(denial.rule)"
    case .malformed(let why): "not understood: \(why)"
    case .unresolved(let target, let why): "cannot resolve \(target.host): \(why)"
    case .unreachable(let target, let errno): "cannot connect to \(target): \(SyscallError.describe(errno))"
    case .late: "took too long"
    case .gone: "gone"
    }
  }

  var socksReply: UInt8 {
    switch self {
    case .denied: SocksRequest.Reply.notAllowed
    case .unresolved: SocksRequest.Reply.hostUnreachable
    case .unreachable(_, ECONNREFUSED): SocksRequest.Reply.connectionRefused
    case .unreachable(_, ETIMEDOUT), .late: SocksRequest.Reply.expired
    case .unreachable: SocksRequest.Reply.hostUnreachable
    case .malformed, .gone: SocksRequest.Reply.failure
    }
  }

  /// RFC 9110, 15.5 and 15.6; the words are the body.
  var httpAnswer: [UInt8] {
    let status =
      switch self {
      case .denied: "403 Forbidden"
      case .malformed: "400 Bad Request"
      case .unreachable(_, ETIMEDOUT): "504 Gateway Timeout"
      case .unresolved, .unreachable, .gone: "502 Bad Gateway"
      case .late: "408 Request Timeout"
      }
    let body = "zonectl: \(words)\n"
    return Array(
      ("HTTP/1.1 \(status)\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: \(body.utf8.count)\r\n"
        + "Connection: close\r\n\r\n" + body).utf8)
  }
}
