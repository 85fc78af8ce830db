import Foundation

/// Work that goes on in a thread of its own, beside the case.
final class Beside<Value: Sendable>: @unchecked Sendable {
  // `result` is touched with `done` locked alone.
  private let done = NSCondition()
  private var result: Result<Value, any Error>?

  init(_ body: @escaping @Sendable () throws -> Value) {
    Thread.detachNewThread {
      let result = Result { try body() }
      self.done.lock()
      self.result = result
      self.done.broadcast()
      self.done.unlock()
    }
  }

  /// Waits for its end.
  func value() throws -> Value {
    done.lock()
    defer { done.unlock() }
    while result == nil { done.wait() }
    return try result!.get()
  }
}

/// Something has happened.
final class Happened: @unchecked Sendable {
  // `value` is touched with `lock` held alone.
  private let lock = NSLock()
  private var value = false

  func set() { lock.withLock { value = true } }
  var isSet: Bool { lock.withLock { value } }
}
