import Foundation
import Testing

/// The attacks of `PeerAttack.all`, each against zone-oci and against runc of Debian 12 with the same bundle. They end as
/// docs/ATTACKS.md says of both: where runc is open to one, the case is known to notice it.
@Suite(
  .serialized, .machine,
  .needs(.root, .runcOfDebian12, .cgroupV1("pids"), .program("busybox"), .program("gcc")), .timeLimit(.minutes(5)))
struct AttackPeerTests {
  private func run(_ attack: PeerAttack, _ runtime: OCIBundle.Runtime, _ way: PeerAttack.Way) throws
    -> PeerAttack.Found
  {
    try OCIBundle.with(.root, runtime) { bundle in
      bundle["linux.cgroupsPath"] = "/zones-test-peer"
      bundle["root.readonly"] = false
      let found = try attack.perform(bundle, way)
      print("\(runtime.rawValue), \(attack.attack): \(found.succeeded ? "succeeded" : "refused"): \(found.told)")
      return found
    }
  }

  @Test(arguments: PeerAttack.all, OCIBundle.Runtime.allCases)
  func anAttackEndsAsTheTableSays(attack: PeerAttack, runtime: OCIBundle.Runtime) throws {
    let found = try run(attack, runtime, .asItStands)
    let expected = runtime == .zoneOCI ? attack.ours : attack.runc
    #expect(found.succeeded == expected.succeeds, "\(expected.words), but: \(found.told)")
  }

  /// Where both refuse it: with one wall left away it succeeds, and is noticed.
  @Test(arguments: PeerAttack.all.filter { $0.control != nil })
  func anAttackIsNoticedWhereItSucceeds(attack: PeerAttack) throws {
    let found = try run(attack, .runc, .open)
    #expect(found.succeeded, "runc \(attack.control ?? ""): \(found.told)")
  }
}
