import Foundation
import Testing

/// docs/ATTACKS.md's table beside runc is the one of the cases.
struct AttackTableTests {
  @Test func theDocumentHasTheTable() throws {
    let text = contents(Zonectl.packageRoot + "/docs/ATTACKS.md") ?? ""
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let wanted = PeerAttack.all.map(\.row)
    let start = try #require(lines.firstIndex(of: PeerAttack.head), "docs/ATTACKS.md has no line \(PeerAttack.head)")
    let rows = lines[(start + 2)...].prefix { $0.hasPrefix("|") }
    #expect(Array(rows) == wanted, "the rows are to be:\n\(wanted.joined(separator: "\n"))")
  }

  @Test func noAttackIsZoneOCIsLoss() {
    #expect(PeerAttack.all.filter(\.ours.succeeds).map(\.attack) == [])
  }
}

/// docs/SANDBOX.md's table beside bubblewrap is the one of the cases.
struct SandboxTableTests {
  @Test func theDocumentHasTheTable() throws {
    let text = contents(Zonectl.packageRoot + "/docs/SANDBOX.md") ?? ""
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let wanted = SandboxAttempt.all.map(\.row)
    let start = try #require(
      lines.firstIndex(of: SandboxAttempt.head), "docs/SANDBOX.md has no line \(SandboxAttempt.head)")
    let rows = lines[(start + 2)...].prefix { $0.hasPrefix("|") }
    #expect(Array(rows) == wanted, "the rows are to be:\n\(wanted.joined(separator: "\n"))")
  }

  @Test func noAttemptSucceeds() {
    #expect(SandboxAttempt.all.count >= 30)
    #expect(SandboxAttempt.all.filter { $0.ours == .succeeds || $0.ours == .notCovered }.map(\.what) == [])
  }
}
