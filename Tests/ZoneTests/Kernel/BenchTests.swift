import Foundation
import Testing

/// The bench itself: that it measures every kind, and what it counts. Times are no test's to assert: whoever changes the
/// way of a start reads its ratios.
@Suite(.serialized, .machine, .needs(.root, .program("gcc"), .program("runc"), .program("jq")))
struct LongBenchTests {
  @Test(.ends(within: 15)) func theBenchMeasuresAndLeavesNothing() throws {
    var bench = Command(Zonectl.packageRoot + "/scripts/bench", "--no-build", "--zones", "100")
    bench.environment["ZONECTL"] = Zonectl.program
    bench.environment["PATH"] = ProcessInfo.processInfo.environment["PATH"]
    bench.timeout = 600
    let outcome = try bench.run()
    #expect(outcome.status == 0, "\(outcome)")
    for kind in ["fork+exec", "floor", "zonectl", "runc", "bwrap", "zone-oci", "zone-oci@v2", "floor-full@v2"] {
      #expect(outcome.out.contains("\n\(kind) "), "no line of \(kind): \(outcome)")
    }
    // Debian's mirror may be out of reach, which is to be said then.
    #expect(outcome.out.contains("\ncrun@v2 ") || outcome.out.contains("left out: crun: "), "\(outcome)")
    let memory = outcome.out.split(separator: "\n").first { $0.hasPrefix("unshared memory (USS) of a keeper") }
    #expect(memory?.contains("kept") == true, "\(outcome)")
    for line in [
      "zone-oci (run) against runc", "last ten of 100 zones against the first ten",
      "USS of the keeper and init of a zone, most of a sample, MB", "zonectl list of 100 zones, median of 11, ms",
    ] { #expect(outcome.out.contains("\n\(line) "), "no line of \(line): \(outcome)") }
    let traces = outcome.out.split(separator: "\n").first { $0.hasPrefix("traces of 100 zones") }
    #expect(traces?.contains("kept") == true, "\(outcome)")
  }
}
