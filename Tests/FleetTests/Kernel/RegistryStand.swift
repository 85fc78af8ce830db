import Foundation
import Glibc
import LinuxNS
import Testing

/// A program that runs beside a case, and ends with it. It inherits nothing: what it held open would keep others waiting.
final class SideProcess {
  let pid: Int32
  private let process: Pidfd

  init(_ program: String, _ arguments: [String]) throws {
    let nowhere = try OwnedFD.open("/dev/null", O_RDWR)
    let started = try spawn(
      ProgramStart(
        path: program, arguments: [program] + arguments, environment: Environment.all,
        fds: [nowhere.raw, nowhere.raw, nowhere.raw]))
    pid = started.pid
    process = Pidfd(OwnedFD(raw: started.pidfd))
  }

  deinit {
    try? process.signal(SIGKILL)
    _ = try? process.reap()
  }

  func kill(_ number: CInt = SIGKILL) throws { try process.signal(number) }
}

/// Tests/images/registry.py: a registry of this machine that is bad in as many ways as there are names.
final class BadRegistry {
  private let process: SideProcess
  let folder: String
  let port: Int
  var authority: String { "localhost:\(port)" }

  /// - Parameter other: where one of them sends for blobs.
  init(_ stand: ImageStand, layout: String = "box", other: String? = nil) throws {
    folder = "\(stand.folder)/registry\(UInt32.random(in: 0 ... .max))"
    mkdir(folder, 0o755)
    process = try SideProcess(
      "/usr/bin/python3",
      ["\(Command.root)/Tests/images/registry.py", "\(stand.made)/\(layout)", folder] + (other.map { [$0] } ?? []))
    let path = "\(folder)/port"
    let begun = eventually(20) { FileSystem.exists(path) }
    guard begun, let port = Int(try FileSystem.readLine(path)) else { throw FailedToStart() }
    self.port = port
  }

  struct FailedToStart: Error {}

  /// What it was asked, a line each: METHOD PATH RANGE AUTHORIZATION.
  func log() throws -> [String] {
    FileSystem.exists("\(folder)/log")
      ? String(decoding: try FileSystem.read("\(folder)/log"), as: UTF8.self).split(separator: "\n").map(String.init)
      : []
  }

  func forget() { unlink("\(folder)/log") }
}

/// Debian's docker-registry, in a folder of its own.
final class RealRegistry {
  private let process: SideProcess
  let port: Int
  /// With TLS the certificate is for this name.
  var authority: String { "localhost:\(port)" }

  /// - Parameters:
  ///   - certificate: the paths of one and its key: it speaks TLS.
  ///   - passwords: a file of htpasswd's: it wants a login.
  init(_ stand: ImageStand, certificate: (String, String)? = nil, passwords: String? = nil) throws {
    port = try Self.freePort()
    let folder = "\(stand.folder)/real\(port)"
    mkdir(folder, 0o755)
    var text = """
      version: 0.1
      log: {level: error}
      storage: {filesystem: {rootdirectory: \(folder)/store}}
      http:
        addr: 127.0.0.1:\(port)

      """
    if let certificate { text += "  tls: {certificate: \(certificate.0), key: \(certificate.1)}\n" }
    if let passwords { text += "auth: {htpasswd: {realm: here, path: \(passwords)}}\n" }
    try text.write(toFile: "\(folder)/config.yml", atomically: true, encoding: .utf8)
    process = try SideProcess("/usr/bin/docker-registry", ["serve", "\(folder)/config.yml"])
    let port = port
    guard eventually(20, { Self.answers(port) }) else { throw BadRegistry.FailedToStart() }
  }

  private static func socket() -> CInt { Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }

  private static func withAddress<Value>(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port)).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  private static func freePort() throws -> Int {
    let socket = socket()
    defer { close(socket) }
    try #require(withAddress(0) { bind(socket, $0, $1) } == 0)
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &size) }
    }
    try #require(result == 0)
    return Int(UInt16(bigEndian: address.sin_port))
  }

  private static func answers(_ port: Int) -> Bool {
    let socket = socket()
    defer { close(socket) }
    return withAddress(port) { connect(socket, $0, $1) } == 0
  }
}
