internal import Dispatch
internal import NIOConcurrencyHelpers
internal import ZoneRuntime

/// Blocks its thread until a task has ended: what unpacks begins with a process that has one thread's worth of state; what
/// fetches needs tasks.
func waiting<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) -> Value {
  let done = DispatchSemaphore(value: 0)
  let value = NIOLockedValueBox<Value?>(nil)
  Task {
    let result = await body()
    value.withLockedValue { $0 = result }
    done.signal()
  }
  done.wait()
  return value.withLockedValue { $0! }  // it was set before the signal
}

/// The same for what may fail.
func waiting<Value: Sendable>(_ body: @escaping @Sendable () async -> Result<Value, ImageError>) throws(ImageError)
  -> Value
{
  let result: Result<Value, ImageError> = waiting(body)
  return try result.get()
}

/// Jobs beside each other, so many at a time. One that fails ends all.
func beside<Job: Sendable>(
  _ most: Int, _ jobs: [Job], _ work: @escaping @Sendable (Job) async throws(ImageError) -> Void
) async throws(ImageError) {
  let failure = await withTaskGroup(of: ImageError?.self) { group in
    var next = 0
    var failure: ImageError?
    let add = { (group: inout TaskGroup<ImageError?>) in
      guard next < jobs.count else { return }
      let job = jobs[next]
      next += 1
      group.addTask {
        do throws(ImageError) { try await work(job) } catch { return error }
        return nil
      }
    }
    for _ in 0..<most { add(&group) }
    for await ended in group {
      if let ended, failure == nil {
        failure = ended
        group.cancelAll()
      }
      if failure == nil { add(&group) }
    }
    return failure
  }
  if let failure { throw failure }
}
