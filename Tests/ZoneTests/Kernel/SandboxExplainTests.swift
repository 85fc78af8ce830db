import Foundation
import Glibc
import Testing

/// `zonectl sandbox --explain`: what a sandbox would be, in words; nothing is run, and nothing is made in the project.
@Suite(.serialized, .machine, .needs(.root, .ordinaryUser, .program("git")), .ends(within: 3))
struct SandboxExplainTests {
  @Test(arguments: [Zonectl.Who.ordinaryUser, .root]) func eachWallAndPlaceHasItsReason(who: Zonectl.Who) throws {
    try Developer.with(who, git: true) { (me) throws in
      try me.outside("mkdir ~/lib; echo x > secret")
      let outcome = try me.run(
        [
          "--explain", "--ro", me.home + "/lib", "--hide", me.project + "/secret", "--network", "allow=example.com:443",
          "--report", "report", "--review",
        ], "touch", "made")
      #expect(outcome.status == 0 && outcome.err.isEmpty, "\(outcome)")
      for words in [
        "\n  mount: ", "\n  net: ", "\n  seccomp: ", "no walls\n", "\n  limits: nothing was limited",
        "\n  read-only \(me.home)/lib (--ro)", "\n  hidden \(me.project)/secret (--hide)",
        "\n  reviewed \(me.project) from LAYER", "\n  example.com:443", "\n  mount proc on /proc",
        "\n  filter system calls (", "\n  touch made\n",
      ] {
        #expect(("\n" + outcome.out).contains(words), "\(words): \(outcome)")
      }
      #expect(try me.files == [".git", "file", "secret"])
      let plain = try me.run(["--explain", "--network", "host", "--pids", "10"], "true")
      #expect(plain.out.contains("read-only \(me.project)/.git/hooks (protected)"), "\(plain)")
      #expect(plain.out.contains("net: --network host shares") && plain.out.contains("limits: it takes"), "\(plain)")
      #expect(try me.run(["--explain", "--rw", "/"], "true").status == 125)
    }
  }
}
