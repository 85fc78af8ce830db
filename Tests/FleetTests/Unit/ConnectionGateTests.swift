import Synchronization
import Testing

@testable import Orchestrator

@Suite struct ConnectionGateTests {
  @Test func whoComesWhenAllAreTakenWaitsForOneToLeave() {
    let gate = ConnectionGate(descriptors: ConnectionGate.reserve + 5)
    #expect(gate.most == 2)
    let calls = Atomic<Int>(0)
    let again: @Sendable () -> Void = { calls.add(1, ordering: .relaxed) }
    for _ in 0..<2 {
      #expect(gate.hasRoom(again))
      gate.enter()
    }
    #expect(!gate.hasRoom(again))
    #expect(calls.load(ordering: .relaxed) == 0)
    gate.leave()
    #expect(calls.load(ordering: .relaxed) == 1)
    #expect(gate.hasRoom(again))
    gate.leave()
    #expect(calls.load(ordering: .relaxed) == 1, "called twice")
  }

  @Test func fewDescriptorsAreEnoughForOne() {
    #expect(ConnectionGate(descriptors: 10).most == 1)
    #expect(ConnectionGate(descriptors: .max).most == ((1 << 20) - ConnectionGate.reserve) / 2)
  }
}
