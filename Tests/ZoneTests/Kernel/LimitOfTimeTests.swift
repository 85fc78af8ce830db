import Foundation
import Testing

/// The limits of time and memory that scripts/bench measures: a start against the kernel's floor and runc, the keeper's
/// memory, and the last of a hundred zones against the first.
@Suite(.serialized, .machine, .needs(.root, .program("gcc"), .program("runc"), .program("jq")))
struct LongLimitOfTimeTests {
  @Test(.timeLimit(.minutes(15))) func theBenchKeepsItsLimits() throws {
    var bench = Command(Zonectl.packageRoot + "/scripts/bench", "--check", "--no-build", "--zones", "100")
    bench.environment["ZONECTL"] = Zonectl.program
    bench.environment["PATH"] = ProcessInfo.processInfo.environment["PATH"]
    bench.timeout = 600
    let outcome = try bench.run()
    #expect(outcome.status == 0, "\(outcome)")
  }
}
