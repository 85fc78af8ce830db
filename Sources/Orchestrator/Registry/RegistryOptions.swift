internal import Foundation
internal import ZoneRuntime

/// How registries are to be spoken to.
public struct RegistryOptions: Sendable {
  /// HTTP without TLS: whoever is on the way can read and change what is not known by its digest.
  public var isPlain = false
  /// A file of certificates (PEM) that are trusted beside the machine's own authorities.
  public var authorities: String?
  /// A file of logins; otherwise those of Podman and Docker are looked at (`RegistryLogins`).
  public var logins: String?
  /// How many blobs are fetched beside each other, 1 to 64.
  public var jobs = 4

  public init() {}
}

/// What did not come, and whether it may come if it is asked for once more.
struct RegistryFailure: Error {
  var error: ImageError
  /// It passes: a connection that broke, a server that is busy.
  var isPassing = false
  /// Seconds, as the registry said.
  var wait: Double?

  init(_ why: String, isPassing: Bool = false, wait: Double? = nil) {
    error = ImageError(why)
    self.isPassing = isPassing
    self.wait = wait
  }

  init(_ error: ImageError) { self.error = error }
}

/// Tries again, with growing pauses, what fails for a while.
struct RegistryPatience {
  /// Tries without any progress between them.
  static let most = 5
  private var failures = 0

  /// Something came: the next failure is the first one.
  mutating func progressed() { failures = 0 }

  /// - Throws: the failure, where it is of no use to wait.
  mutating func wait(after failure: RegistryFailure) async throws(ImageError) {
    failures += 1
    guard failure.isPassing, failures < Self.most else { throw failure.error }
    // 0.1, 0.4, 1.6 and 6.4 s, and a little that others who failed with us do not have.
    let pause = failure.wait.map { min($0, 60) } ?? 0.025 * Double(1 << (2 * failures)) * .random(in: 0.9...1.1)
    do { try await Task.sleep(nanoseconds: UInt64(pause * 1e9)) } catch { throw failure.error }
  }
}
