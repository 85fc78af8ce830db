import Foundation
import Testing

/// The attacks of `PeerAttack.all`, each against zone-oci. They end as docs/ATTACKS.md says.
@Suite(
  .serialized, .machine, .needs(.root, .cgroupV1("pids"), .program("busybox"), .program("gcc")),
  .ends(within: 5))
struct AttackPeerTests {
  @Test(arguments: PeerAttack.all) func anAttackEndsAsTheTableSays(attack: PeerAttack) throws {
    let found = try attack.run(against: .zoneOCI, .asItStands)
    #expect(found.succeeded == attack.ours.succeeds, "\(attack.ours.words), but: \(found.told)")
  }
}

/// The same against runc of Debian 12 with the same bundles: where runc is open to one, the case is known to notice it.
@Suite(
  .serialized, .machine,
  .needs(.root, .runcOfDebian12, .cgroupV1("pids"), .program("busybox"), .program("gcc")), .ends(within: 10))
struct LongAttackPeerTests {
  @Test(arguments: PeerAttack.all) func anAttackEndsAsTheTableSays(attack: PeerAttack) throws {
    let found = try attack.run(against: .runc, .asItStands)
    #expect(found.succeeded == attack.runc.succeeds, "\(attack.runc.words), but: \(found.told)")
  }

  /// Where both refuse it: with one wall left away it succeeds, and is noticed.
  @Test(arguments: PeerAttack.all.filter { $0.control != nil })
  func anAttackIsNoticedWhereItSucceeds(attack: PeerAttack) throws {
    let found = try attack.run(against: .runc, .open)
    #expect(found.succeeded, "runc \(attack.control ?? ""): \(found.told)")
  }
}

extension PeerAttack {
  fileprivate func run(against runtime: OCIBundle.Runtime, _ way: Way) throws -> Found {
    try OCIBundle.with(.root, runtime) { bundle in
      bundle["linux.cgroupsPath"] = "/zones-test-peer"
      bundle["root.readonly"] = false
      let found = try perform(bundle, way)
      print("\(runtime.rawValue), \(attack): \(found.succeeded ? "succeeded" : "refused"): \(found.told)")
      return found
    }
  }
}
