internal import Foundation
internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// Who we are to a registry.
enum RegistryLogin: Equatable, Sendable {
  case password(name: String, password: String)
  /// What a registry gave in place of a password (`identitytoken`), good for tokens alone.
  case identity(String)
}

/// The logins that Podman and Docker keep (containers-auth.json(5), docker-login(1)). Read, never written.
struct RegistryLogins: Sendable {
  /// What was found for an image.
  enum Found: Equatable, Sendable {
    case nothing
    case login(RegistryLogin)
    /// A program of Docker's keeps it, which we do not run.
    case helper(String, file: String)
  }

  /// In the order in which they are looked at.
  let files: [String]
  /// Named by a person: it has to be there.
  let isNamed: Bool

  /// - Parameter named: `--login`; otherwise `$REGISTRY_AUTH_FILE`; otherwise Podman's and Docker's own places.
  init(named: String?, environment: [String: String], user: UInt32) {
    let variable = { (name: String) in environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    if let named = named ?? variable("REGISTRY_AUTH_FILE") {
      files = [named]
      isNamed = true
      return
    }
    isNamed = false
    let run = variable("XDG_RUNTIME_DIR").map { "\($0)/containers" } ?? "/run/containers/\(user)"
    var files = ["\(run)/auth.json"]
    if let home = variable("HOME") {
      files.append("\(variable("XDG_CONFIG_HOME") ?? "\(home)/.config")/containers/auth.json")
      files.append("\(variable("DOCKER_CONFIG") ?? "\(home)/.docker")/config.json")
    }
    self.files = files
  }

  /// - Throws: for a file that was named and is not there, and for one that cannot be read.
  func find(for image: ImageReference) throws(ImageError) -> Found {
    for path in files {
      switch try read(path)?.find(for: image) {
      case .entry(let entry)?:
        guard let login = Self.login(entry) else {
          throw ImageError("cannot read the login for \(image.registry) in \(path): it is no base64 of NAME:PASSWORD")
        }
        return .login(login)
      case .helper(let program)?: return .helper(program, file: path)
      case .nothing?, nil: continue
      }
    }
    return .nothing
  }

  private static func login(_ entry: LoginDocument.Entry) -> RegistryLogin? {
    if let identity = entry.identity, !identity.isEmpty { return .identity(identity) }
    if let name = entry.name, let password = entry.password, !name.isEmpty {
      return .password(name: name, password: password)
    }
    guard let bytes = entry.auth.flatMap({ Data(base64Encoded: $0) }),
      let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
    else { return nil }
    // Docker pads with NULs.
    let password = bytes[(colon + 1)...].prefix { $0 != 0 }
    return .password(
      name: String(decoding: bytes[..<colon], as: UTF8.self), password: String(decoding: password, as: UTF8.self))
  }

  private static let mostBytes = 1 << 20

  private func read(_ path: String) throws(ImageError) -> LoginDocument? {
    let bytes: [UInt8]
    do throws(SyscallError) { bytes = try FileSystem.read(path, limit: Self.mostBytes) } catch {
      if !isNamed, [ENOENT, ENOTDIR, EACCES].contains(error.errno) { return nil }
      throw ImageError("cannot read the logins in \(path): \(error)")
    }
    do throws(JSONError) { return try JSON.decode(LoginDocument.self, from: bytes, name: path) } catch {
      throw ImageError("\(error)")
    }
  }
}
