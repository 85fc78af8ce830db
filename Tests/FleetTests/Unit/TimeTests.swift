import Testing

@testable import ZoneRuntime

@Suite struct TimeTests {
  /// An earlier release took any `timeout` of a check, and its records are read.
  @Test func noTimeIsTooLongForAnExec() {
    #expect(Execution.milliseconds(-1) == 0)
    #expect(Execution.milliseconds(1.5) == 1500)
    #expect(Execution.milliseconds(600 * 3600) == CInt.max)
    #expect(Execution.milliseconds(.infinity) == CInt.max)
  }
}
