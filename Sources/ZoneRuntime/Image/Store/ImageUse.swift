/// How an image is to be run, checked and in the words of a spec: what `create` takes where the spec says nothing.
public struct ImageUse: Equatable, Sendable {
  public var entrypoint: [String] = []
  public var command: [String] = []
  public var environment: [String: String] = [:]
  /// As `--user` has it; looked up in the image's own passwd. nil is root.
  public var user: String?
  /// Absolute; made where the image has none. nil is `/`.
  public var workdir: String?
  public var labels: [String: String] = [:]
  /// Absolute paths, each an anonymous volume that is filled from the image.
  public var volumes: [String] = []
  /// `80/tcp`: told, and published only where that is asked for.
  public var ports: [String] = []
  /// signal(7).
  public var stopSignal: Int32?
  /// Seconds.
  public var stopTimeout: Int64?
  public var health: ImageHealth?

  public init() {}

  /// What is run: words of the caller's replace the image's command, and follow its entrypoint.
  public func arguments(_ words: [String]) -> [String] { entrypoint + (words.isEmpty ? command : words) }
}

/// A command that asks how a zone is. Times are nanoseconds; nil is the orchestrator's own.
public struct ImageHealth: Equatable, Sendable, JSONObject {
  /// Not empty. Of a shell's line `/bin/sh -c LINE`.
  public var command: [String]
  public var interval: Int64?
  public var timeout: Int64?
  public var startPeriod: Int64?
  public var retries: Int64?

  public static var blank: ImageHealth { ImageHealth(command: []) }
  public init(command: [String]) { self.command = command }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("command", &command)
    try json.field("interval", &interval)
    try json.field("retries", &retries)
    try json.field("startPeriod", &startPeriod)
    try json.field("timeout", &timeout)
  }
}

extension ImageUse: JSONObject {
  public static var blank: ImageUse { ImageUse() }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("command", &command)
    try json.field("entrypoint", &entrypoint)
    try json.field("environment", &environment)
    try json.field("health", &health)
    try json.field("labels", &labels)
    try json.field("ports", &ports)
    try json.field("stopSignal", &stopSignal)
    try json.field("stopTimeout", &stopTimeout)
    try json.field("user", &user)
    try json.field("volumes", &volumes)
    try json.field("workdir", &workdir)
  }

  /// Beside what is refused here, a text holds no NUL (`JSON.decode`), and a number fits its type.
  public var unsound: String? {
    for name in environment.keys where name.isEmpty || name.utf8.contains(UInt8(ascii: "=")) {
      return "a variable named '\(shortened(name))'"
    }
    for path in volumes + (workdir.map { [$0] } ?? []) where !Self.isPlain(path: path) {
      return "'\(shortened(path))' is no path of a zone"
    }
    for port in ports where Self.port(port) != port { return "'\(shortened(port))' is no port" }
    if let user, user.isEmpty || user.utf8.count > 256 { return "a user of \(user.utf8.count) bytes" }
    if let stopSignal, !(1...64).contains(stopSignal) { return "the stop signal \(stopSignal)" }
    if let stopTimeout, !(0...1_000_000).contains(stopTimeout) { return "a stop timeout of \(stopTimeout) seconds" }
    guard let health else { return nil }
    if health.command.isEmpty { return "a health check without a command" }
    for time in [health.interval, health.timeout, health.startPeriod, health.retries]
    where time.map({ $0 < 0 }) ?? false {
      return "a health check of \(time!)"
    }
    return nil
  }

  /// Absolute, without an empty part, `.` or `..`; the top itself is one.
  static func isPlain(path: String) -> Bool {
    guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count < 4096 else { return false }
    if path.utf8.count == 1 { return true }
    for part in path.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
      if part.isEmpty || part.elementsEqual([46]) || part.elementsEqual([46, 46]) { return false }
    }
    return true
  }

  /// `80` and `80/TCP` as `80/tcp`; nil for what is none.
  static func port(_ text: String) -> String? {
    let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), let number = StrictNumber.number(parts[0].map { $0 }),
      (1...65535).contains(number)
    else { return nil }
    let transport = parts.count == 1 ? "tcp" : String(decoding: parts[1].map { $0 }, as: UTF8.self).lowerASCII
    guard ["tcp", "udp", "sctp"].contains(transport) else { return nil }
    return "\(number)/\(transport)"
  }
}
