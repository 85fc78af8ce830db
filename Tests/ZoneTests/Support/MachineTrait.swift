import Foundation
import Glibc
import Testing

/// For cases that touch the machine: one at a time, in this process and among processes, and none may leave anything.
struct MachineTrait: TestTrait, SuiteTrait, TestScoping {
  var isRecursive: Bool { true }
  /// Seconds that the machine has to become as it was.
  var settle: Double

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let lock = open("/tmp/zones-tests.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard lock >= 0 else { throw SpawnFailed(program: "/tmp/zones-tests.lock", errno: errno) }
    defer { close(lock) }
    while flock(lock, LOCK_EX | LOCK_NB) != 0 { try await Task.sleep(for: .milliseconds(20)) }
    let before = try Machine.snapshot()
    try await function()
    try before.expectNoLeak(timeout: settle)
  }
}

extension Trait where Self == MachineTrait {
  /// The case has the machine to itself and fails where it leaks.
  static var machine: Self { MachineTrait(settle: 5 * Patience.factor) }
}
