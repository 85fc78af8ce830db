internal import AsyncHTTPClient
internal import Foundation
internal import LinuxNS
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import ZoneRuntime

/// One answer. Its body is still to come.
struct RegistryAnswer: Sendable {
  let status: Int
  let headers: HTTPHeaders
  let body: HTTPClientResponse.Body
  /// Who gave it.
  let url: RegistryURL

  /// All of the body.
  /// - Parameter limit: bytes; one more is a failure.
  func bytes(limit: Int) async throws(RegistryFailure) -> [UInt8] {
    var bytes: [UInt8] = []
    do {
      for try await buffer in body {
        guard bytes.count + buffer.readableBytes <= limit else {
          throw RegistryFailure("\(url.authority) answers with more than \(limit) bytes, which such a document has not")
        }
        bytes.append(contentsOf: buffer.readableBytesView)
      }
    } catch let failure as RegistryFailure { throw failure } catch { throw RegistryTransport.failure(error, url) }
    return bytes
  }

  /// A header's value, where it was sent once.
  func value(_ name: String) -> String? {
    let values = headers[name]
    return values.count == 1 ? values[0] : nil
  }

  /// An answer that brings nothing of what was asked for: in the registry's own words, if it has any.
  func failure() async -> RegistryFailure {
    let said = try? await within(seconds: 10) { try await self.bytes(limit: 64 << 10) }
    let words = said.flatMap { RegistryErrors.words($0) }.map { ": \($0)" } ?? ""
    let isPassing = [408, 425, 429, 500, 502, 503, 504].contains(status)
    return RegistryFailure(
      "\(url.authority) answers \(status)\(words)", isPassing: isPassing,
      wait: value("Retry-After").flatMap(Double.init).flatMap { $0.isFinite && $0 >= 0 ? $0 : nil })
  }
}

/// What a request brings along. It can be sent again.
enum RegistryBody: Sendable {
  case none
  case bytes([UInt8])
  case file(FileChunks)
}

/// Bytes of a file, a piece at a time.
struct FileChunks: AsyncSequence, Sendable {
  let file: ImportFile
  let (start, end): (Int64, Int64)
  /// Is told how far it is.
  let tell: @Sendable (Int64) -> Void

  func makeAsyncIterator() -> Iterator { Iterator(chunks: self, at: start) }

  struct Iterator: AsyncIteratorProtocol {
    let chunks: FileChunks
    var at: Int64

    mutating func next() async throws -> ByteBuffer? {
      guard at < chunks.end else { return nil }
      var buffer = ByteBuffer()
      let (file, place) = (chunks.file, at)
      let wanted = Int(Swift.min(1 << 18, chunks.end - at))
      let got = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { room in
        try file.read(at: place, into: UnsafeMutableRawBufferPointer(rebasing: room[..<wanted]))
      }
      chunks.tell(at)
      at += Int64(got)
      return buffer
    }
  }
}

/// Requests of HTTP, one at a time or beside each other: connections, TLS, proxies. Nothing is followed and nothing is sent
/// along that its caller does not know of.
final class RegistryTransport: Sendable {
  private let rules: ProxyRules
  private let tls: TLSConfiguration
  private let clients = NIOLockedValueBox<[Kind: AsyncHTTPClient.HTTPClient]>([:])

  /// What a client is made for, and cannot be told later.
  private struct Kind: Hashable {
    var proxy: ProxyRules.Proxy?
    var silence: Int64
  }

  /// Seconds without a byte, and to a connection.
  static let mostSilence: Int64 = 60
  private static let mostConnecting: Int64 = 10

  /// - Throws: for authorities that cannot be read.
  init(_ options: RegistryOptions, environment: [String: String]) throws(ImageError) {
    rules = try ProxyRules(environment)
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.minimumTLSVersion = .tlsv12
    if let path = options.authorities {
      do { tls.additionalTrustRoots = [.certificates(try NIOSSLCertificate.fromPEMFile(path))] } catch {
        throw ImageError("cannot read the certificates in \(path): it is missing, or no PEM")
      }
    }
    self.tls = tls
  }

  /// To be called once, after the last request.
  func end() async {
    let all = clients.withLockedValue { clients in
      defer { clients = [:] }
      return Array(clients.values)
    }
    for client in all { try? await client.shutdown() }  // the process ends anyway
  }

  private func client(for url: RegistryURL, silence: Int64) -> AsyncHTTPClient.HTTPClient {
    let kind = Kind(proxy: rules.proxy(for: url), silence: silence)
    return clients.withLockedValue { clients in
      if let client = clients[kind] { return client }
      var configuration = AsyncHTTPClient.HTTPClient.Configuration(
        tlsConfiguration: tls, redirectConfiguration: .disallow,
        timeout: .init(connect: .seconds(Self.mostConnecting), read: .seconds(silence)),
        decompression: .disabled)
      // Big answers are what there is, and HTTP/2 stops them each 64 KB.
      configuration.httpVersion = .http1Only
      configuration.connectionPool.retryConnectionEstablishment = false
      configuration.proxy = kind.proxy.map { proxy in
        .server(
          host: proxy.host, port: proxy.port,
          authorization: proxy.login.map { .basic(credentials: Data($0.utf8).base64EncodedString()) })
      }
      let client = AsyncHTTPClient.HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
      clients[kind] = client
      return client
    }
  }

  /// - Parameter silence: seconds without a byte, after which there is no answer.
  /// - Throws: where no answer came; one of any status is an answer.
  func send(
    _ method: HTTPMethod, _ url: RegistryURL, _ headers: [(String, String)], body: RegistryBody = .none,
    silence: Int64 = mostSilence
  ) async throws(RegistryFailure) -> RegistryAnswer {
    var request = HTTPClientRequest(url: url.text)
    request.method = method
    request.headers.add(name: "User-Agent", value: "zones")
    request.headers.add(contentsOf: headers)
    switch body {
    case .none: break
    case .bytes(let bytes): request.body = .bytes(ByteBuffer(bytes: bytes))
    case .file(let chunks): request.body = .stream(chunks, length: .known(chunks.end - chunks.start))
    }
    do {
      let response = try await client(for: url, silence: silence).execute(request, deadline: .distantFuture)
      return RegistryAnswer(
        status: Int(response.status.code), headers: response.headers, body: response.body, url: url)
    } catch { throw Self.failure(error, url, silence: silence) }
  }

  // MARK: what went wrong

  /// In a line's words. Libraries tell of TLS in OpenSSL's names.
  static func failure(_ error: any Error, _ url: RegistryURL, silence: Int64 = mostSilence) -> RegistryFailure {
    if let failure = error as? RegistryFailure { return failure }
    let place = url.authority
    let text = "\(error)"
    if text.contains("CERTIFICATE_VERIFY_FAILED") || text.contains("unableToValidateCertificate") {
      return RegistryFailure("the certificate of \(place) is nobody's whom we trust (--ca FILE names who signed it)")
    }
    if text.contains("failedToValidateHostname") {
      return RegistryFailure("the certificate of \(place) is for another name")
    }
    if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") {
      return RegistryFailure("\(place) does not speak TLS (--plain-http, where nobody else is on the way)")
    }
    let broken = { (why: String) in RegistryFailure("\(place): \(why)", isPassing: true) }
    switch error {
    case is CancellationError: return RegistryFailure("\(place): it took too long")
    case let error as NIOConnectionError:
      if let failed = error.connectionErrors.first?.error { return Self.failure(failed, url) }
      return RegistryFailure("no machine is called \(url.host)")
    case let error as IOError: return broken(SyscallError.describe(error.errnoCode))
    case is SocketAddressError: return RegistryFailure("no machine is called \(url.host)")
    case let error as HTTPClientError:
      switch error {
      case .connectTimeout, .tlsHandshakeTimeout, .httpProxyHandshakeTimeout:
        return broken("no connection within \(mostConnecting) s")
      case .readTimeout: return broken("not a byte in \(silence) s")
      case .remoteConnectionClosed: return broken("it closed the connection in the middle")
      default: return broken(error.shortDescription)
      }
    case is NIOSSLError: return broken("TLS: \(shortened(text))")
    case HTTPParserError.invalidEOFState: return broken("it closed the connection in the middle")
    case is HTTPParserError: return RegistryFailure("\(place) answers with what is no HTTP")
    default: return broken(shortened(text))
    }
  }
}

/// What does not take longer than that.
func within<Value: Sendable>(
  seconds: Double, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value?.self) { group in
    group.addTask { try await body() }
    group.addTask {
      try await Task.sleep(nanoseconds: UInt64(seconds * 1e9))
      return nil
    }
    defer { group.cancelAll() }
    guard let first = try await group.next(), let value = first else { throw CancellationError() }
    return value
  }
}
