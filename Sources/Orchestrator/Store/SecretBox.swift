internal import Crypto
internal import Foundation
internal import Glibc
internal import LinuxNS

/// Seals what must not be read from the database: ChaCha20-Poly1305 (RFC 8439) under a random key that lies in a
/// 0600 file of the same owner.
public struct SecretBox: Sendable {
  private let key: SymmetricKey

  /// Reads the key file, or makes it: written aside, then linked to its name, so that it is whole or not there, and
  /// two that make it at once end up with the same.
  public init(keyFile path: String) throws(FleetError) {
    do {
      if !FileSystem.exists(path) { try Self.make(path) }
      guard try FileOwnership.isPrivateFile(path) else {
        throw FleetError.refused("cannot use the key \(path): it must be a file of its owner alone (chmod 600, chown)")
      }
      let bytes = try FileSystem.read(path, limit: 4096)
      guard bytes.count == 32 else {
        throw FleetError.failed(
          "cannot use the key \(path): it has \(bytes.count) bytes, not 32 (secrets sealed with it are lost; move it away and apply again)"
        )
      }
      key = SymmetricKey(data: bytes)
    } catch let error as SyscallError {
      throw .failed("cannot use the key for secrets: \(error)")
    } catch let error as FleetError {
      throw error
    } catch { throw .failed("\(error)") }
  }

  private static func make(_ path: String) throws {
    let temporary = "\(path).\(getpid()).\(UInt64.random(in: .min ... .max)).tmp"
    do {
      let file = try OwnedFD.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      try FileSystem.write(SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }, to: file, name: temporary)
      try FileSystem.call("fsync", temporary) { fsync(file.raw) }
    }
    defer { unlink(temporary) }
    let result = link(temporary, path)
    let error = errno
    guard result == 0 || error == EEXIST else { throw SyscallError(call: "link", errno: error, path: path) }
  }

  /// - Parameter name: bound to the sealed bytes: they open only under the same name.
  func seal(_ value: [UInt8], name: String) throws(FleetError) -> [UInt8] {
    do { return Array(try ChaChaPoly.seal(value, using: key, authenticating: Array(name.utf8)).combined) } catch {
      throw .failed("cannot seal the secret '\(name)': \(error)")
    }
  }

  func open(_ sealed: [UInt8], name: String) throws(FleetError) -> [UInt8] {
    do {
      return Array(
        try ChaChaPoly.open(ChaChaPoly.SealedBox(combined: sealed), using: key, authenticating: Array(name.utf8)))
    } catch {
      throw .failed(
        "cannot open the secret '\(name)': the key is not the one it was sealed with (apply the manifest again)")
    }
  }

  /// Tells whether two contents are the same without telling anything of them: HMAC-SHA-256 (RFC 2104) under the key.
  func digest(_ value: [UInt8], name: String) -> String {
    let code = HMAC<SHA256>.authenticationCode(for: Array(name.utf8) + [0] + value, using: key)
    return code.prefix(16).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}
