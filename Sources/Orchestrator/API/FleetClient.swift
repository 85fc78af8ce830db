internal import Foundation
internal import Glibc
internal import LinuxNS
internal import NIOHTTP1
internal import NIOPosix

/// The commands' side of the API: finds the daemon, or starts it.
public struct FleetClient: Sendable {
  public var directories: FleetDirectories
  /// The `orchestrator` program and what a daemon of this place is started with.
  public var executable: String
  public var daemonArguments: [String]
  private let http = HTTPClient(group: MultiThreadedEventLoopGroup.singleton)

  public init(directories: FleetDirectories, executable: String, daemonArguments: [String]) {
    self.directories = directories
    self.executable = executable
    self.daemonArguments = daemonArguments
  }

  /// Whether there is anything to ask a daemon about: without state there is no fleet.
  public var hasState: Bool { FileSystem.exists(directories.database) }

  // MARK: the daemon

  /// A daemon that answers; started in the background where there is none.
  public func ensureDaemon() async throws(FleetError) {
    if try await isAnswering() { return }
    let process: Pidfd
    do {
      try directories.make()
      rotateLog()
      let log = try OwnedFD.open(directories.log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o600)
      process = try DetachedProcess.start(executable, daemonArguments, output: log)
    } catch let error as FleetError { throw error } catch { throw .failed("cannot start the daemon: \(error)") }
    let deadline = Clock.monotonicNanoseconds() + 60_000_000_000
    while !(try await isAnswering()) {
      if (try? process.waitUntilEnd(timeout: 0)) == true {
        // Another command may have started one at the same time; ours then waits for its lock and gives up.
        if try await isAnswering() { return }
        throw .failed("the daemon ended at once: \(lastLogLine())")
      }
      guard Clock.monotonicNanoseconds() < deadline else {
        throw .timedOut("the daemon does not answer within 60 s (see \(directories.log))")
      }
      do { try await Task.sleep(nanoseconds: 20_000_000) } catch { throw .failed("interrupted") }
    }
  }

  private func isAnswering() async throws(FleetError) -> Bool {
    guard FileSystem.exists(directories.socket) else { return false }
    do throws(FleetError) {
      let reply: VersionReply = try await get("/v1/version")
      guard reply.version == APIVersion.current else {
        throw FleetError.conflict(
          "the daemon (pid \(reply.pid)) speaks version \(reply.version) of the API, this command \(APIVersion.current) (end the daemon: kill \(reply.pid))"
        )
      }
      return true
    } catch {
      switch error {
      case .refused, .conflict: throw error
      default: return false
      }
    }
  }

  /// Waits until a daemon that said it would end has taken its files away.
  public func waitForEnd() async throws(FleetError) {
    let deadline = Clock.monotonicNanoseconds() + 10_000_000_000
    while FileSystem.exists(directories.lock) {
      guard Clock.monotonicNanoseconds() < deadline else { return }  // a fleet was applied meanwhile
      do { try await Task.sleep(nanoseconds: 20_000_000) } catch { throw .failed("interrupted") }
    }
  }

  private func rotateLog() {
    guard let size = try? FileOwnership.size(directories.log), size > 1 << 20 else { return }
    rename(directories.log, "\(directories.log).1")
  }

  private func lastLogLine() -> String {
    let text = (try? FileSystem.readLine(directories.log)) ?? ""
    return text.split(separator: "\n").last.map(String.init) ?? "it said nothing"
  }

  // MARK: requests

  public func get<Reply: Decodable>(_ path: String, _ query: [(String, String)] = []) async throws(FleetError) -> Reply
  {
    try decode(try await whole(HTTPCall(method: .GET, uri: Self.uri(path, query))))
  }

  public func post<Reply: Decodable>(_ path: String, _ body: some Encodable) async throws(FleetError) -> Reply {
    try decode(try await whole(HTTPCall(method: .POST, uri: path, body: try encode(body))))
  }

  /// The answer's lines as they come.
  /// - Returns: the last, `done`.
  @discardableResult
  public func stream(_ path: String, _ query: [(String, String)], onLine: (StreamLine) throws -> Void)
    async throws(FleetError) -> StreamLine.Done
  {
    try await lines(HTTPCall(method: .GET, uri: Self.uri(path, query)), onLine)
  }

  @discardableResult
  public func stream(_ path: String, _ body: some Encodable, onLine: (StreamLine) throws -> Void)
    async throws(FleetError) -> StreamLine.Done
  {
    try await lines(HTTPCall(method: .POST, uri: path, body: try encode(body)), onLine)
  }

  private func lines(_ call: HTTPCall, _ onLine: (StreamLine) throws -> Void) async throws(FleetError)
    -> StreamLine.Done
  {
    var rest: [UInt8] = []
    var last: StreamLine?
    do {
      let status = try await http.exchange(call, at: .unix(directories.socket)) { bytes in
        rest += bytes
        while let end = rest.firstIndex(of: 10) {
          let line = try JSONDecoder().decode(StreamLine.self, from: Data(rest[..<end]))
          rest.removeFirst(end + 1)
          last = line
          try onLine(line)
        }
      }
      guard status == 200 else { throw Self.error(status, rest) }
    } catch { throw Self.worded(error) }
    if let text = last?.error { throw .failed(text) }
    guard let done = last?.done else {
      throw .failed("the daemon ended in the middle of its answer (see \(directories.log))")
    }
    return done
  }

  private func whole(_ call: HTTPCall) async throws(FleetError) -> [UInt8] {
    var body: [UInt8] = []
    do {
      let status = try await http.exchange(call, at: .unix(directories.socket)) { body += $0 }
      guard status == 200 else { throw Self.error(status, body) }
      return body
    } catch { throw Self.worded(error) }
  }

  private static func error(_ status: Int, _ body: [UInt8]) -> FleetError {
    let text = (try? JSONDecoder().decode(ErrorReply.self, from: Data(body)))?.error ?? "the daemon answered \(status)"
    switch status {
    case 403: return .refused(text)
    case 404: return .notFound(text)
    case 409: return .conflict(text)
    case 504: return .timedOut(text)
    default: return .failed(text)
    }
  }

  private static func worded(_ error: any Error) -> FleetError {
    (error as? FleetError) ?? .failed("cannot speak with the daemon: \(Probe.reason(error))")
  }

  private func encode(_ value: some Encodable) throws(FleetError) -> [UInt8] {
    do { return Array(try JSONEncoder().encode(value)) } catch { throw .failed("cannot word the request: \(error)") }
  }

  private func decode<Reply: Decodable>(_ bytes: [UInt8]) throws(FleetError) -> Reply {
    do { return try JSONDecoder().decode(Reply.self, from: Data(bytes)) } catch {
      throw .failed("cannot read the daemon's answer: \(error)")
    }
  }

  static func uri(_ path: String, _ query: [(String, String)]) -> String {
    let parts = query.map { name, value in
      let safe = value.utf8.map { byte in
        isalnum(CInt(byte)) != 0 || "-._~".utf8.contains(byte)
          ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
      return "\(name)=\(safe.joined())"
    }
    return parts.isEmpty ? path : path + "?" + parts.joined(separator: "&")
  }
}
