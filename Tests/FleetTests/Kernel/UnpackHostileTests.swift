import Foundation
import Glibc
import LinuxNS
import Testing

/// Archives that somebody made to do harm, through the real process, as root and as an ordinary user.
@Suite(
  .enabled(
    if: geteuid() == 0 && getpwnam("zonestest") != nil,
    "needs root (to become an ordinary user) and the user zonestest that scripts/test makes"))
struct UnpackHostileTests {
  private static let corpus = Command.root + "/Tests/corpora/archive"

  /// Nothing beside the layer is read, made or changed, whatever the archive says and whoever unpacks it.
  @Test(arguments: ["root", "zonestest"]) func noArchiveReachesWhatIsBesideIt(_ user: String) throws {
    let stand = try UnpackStand(user: user)
    try FileManager.default.copyItem(atPath: Self.corpus, toPath: "\(stand.folder)/corpus")
    try stand.run("chmod -R a+rX corpus")
    let outcome = try stand.run(
      as: user,
      """
      mkdir -p a/b/etc; echo canary >a/b/etc/passwd; echo canary >a/canary; ln -s ../etc a/b/link; mkdir a/b/e a/b/x
      look() {
        find a -path a/b/layer -prune -o -printf '%p %y %m %U %G %n %i %l\\n' | sort; find a -path a/b/layer -prune -o -type f -exec cat {} +
      }
      before=$(look)
      for archive in corpus/*; do
        name=${archive#corpus/}; mkdir a/b/layer
        $unpack 3<$archive 4<a/b/layer 5>report; status=$?
        echo "$name $status $(cat report)"
        ./orchestrator unpack --remove 4<a/b/layer 5>report && rmdir a/b/layer || echo "$name stays: $(cat report)"
        [ "$(look)" = "$before" ] || echo "$name touched what is beside it: $(look)"
      done
      """, timeout: 280)
    #expect(outcome.status == 0, "\(outcome.errors)")
    var (taken, refused) = (0, 0)
    for line in outcome.output.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 2)
      let isOurs = ["ok-", "reader-", "plan-"].contains { words[0].hasPrefix($0) }
      switch words.count > 1 ? words[1] : "" {
      case "0":
        // A thousand folders are nothing evil by themselves.
        #expect(!isOurs || words[0].hasPrefix("ok-") || words[0] == "plan-deep", "\(line)")
        #expect(words.count == 3 && words[2].hasPrefix("{\"layer\":{\"bytes\":"), "\(line)")
        taken += 1
      case "1":
        #expect(!words[0].hasPrefix("ok-"), "\(line)")
        #expect(words.count == 3 && words[2].hasPrefix("{\"error\":\""), "\(line)")
        refused += 1
      default: Issue.record("\(line)")
      }
    }
    #expect(taken > 20 && refused > 80, "\(taken) were taken, \(refused) refused\n\(outcome.errors)")
  }

  /// On disk they are his subordinate ids, inside of his namespace what the archive says.
  @Test func aUsersFilesAreHisSubordinateIds() throws {
    let stand = try UnpackStand(user: "zonestest")
    try stand.run(
      """
      mkdir t; cd t; for id in 0 1 1000 65535; do echo $id >$id; chown $id:$id $id; done; chmod 4755 1000; mkdir -m 0 d; touch d/f
      chown -R 7:7 d; python3 -c "
      import os, struct
      os.setxattr('0', 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 10, 0, 0, 0))"
      chown 5 .; chmod 0 .; tar --format=posix --xattrs --xattrs-include='*' -cf ../a.tar .
      """)
    let outcome = try stand.run(
      as: "zonestest",
      """
      set -e; mkdir layer; $unpack 3<a.tar 4<layer 5>report; stat -c '%n %u %a' layer
      grep ^zonestest: /etc/subuid | cut -d: -f2
      """)
    #expect(outcome.status == 0, "\(outcome) \((try? stand.run("cat report")) ?? "")")
    let lines = outcome.output.split(separator: "\n")
    let first = try #require(lines.last.flatMap { Int($0) })
    #expect(lines.first == "layer \(first + 4) 0", "\(lines)")
    let mine = Int(try #require(getpwnam("zonestest")).pointee.pw_uid)
    let expected = [
      ("0", mine, "644"), ("1", first, "644"), ("1000", first + 999, "4755"), ("65535", first + 65534, "644"),
    ]
    for (name, id, mode) in expected {
      #expect(try stand.run("stat -c '%u %a' layer/\(name)") == "\(id) \(mode)\n")
    }
    // He cannot enter it any more, and neither empty nor remove it by himself.
    let removed = try stand.run(as: "zonestest", "\(Self.remove) layer && rmdir layer")
    #expect(removed.status == 0, "\(removed) \((try? stand.run("cat report")) ?? "")")
  }

  /// Opens with O_PATH, for which a shell has no word.
  private static let remove = """
    python3 -c "
    import fcntl, os, sys
    layer, report = os.open(sys.argv[1], os.O_PATH), os.open('report', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number, fd in zip((4, 5), [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (layer, report)]): os.dup2(fd, number)
    os.execv('./orchestrator', ['orchestrator', 'unpack', '--remove'])"
    """

  @Test func whoHasOneIdIsToldOfTheOthers() throws {
    try #require(!(try String(contentsOfFile: "/etc/subuid", encoding: .utf8)).contains("nobody:"))
    let stand = try UnpackStand(user: "nobody")
    try stand.run(
      """
      mkdir t; cd t; echo a >a; echo b >b; chown 0:0 a b; tar -cf ../mine.tar .; chown 12 b; tar -cf ../user.tar a b
      chown 0:34 b; tar -cf ../group.tar a b; chown 70000 b; tar -cf ../far.tar a b
      """)
    let script = """
      for name in mine user group far; do
        mkdir layer; $unpack 3<$name.tar 4<layer 5>report; echo "$name $? $(cat report)"; stat -c '%u %n' layer/* >owners-$name
        $unpack --remove 4<layer 5>report && rmdir layer || echo "stays: $(cat report)"
      done
      """
    let outcome = try Command.run(
      "/usr/bin/setpriv",
      [
        "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--", "sh", "-c",
        "cd \(stand.folder); unpack='./orchestrator unpack'\n\(script)",
      ])
    let lines = outcome.output.split(separator: "\n").map(String.init)
    try #require(lines.count == 4, "\(outcome)")
    #expect(lines[0].hasPrefix("mine 0 "), "\(lines)")
    #expect(try stand.run("cat owners-mine") == "65534 layer/a\n65534 layer/b\n")
    let mend = "and you have no subordinate ids (as root: usermod --add-subuids 100000-165535 --add-subgids"
    #expect(lines[1].hasPrefix("user 1 {\"error\":\"entry b: it belongs to user 12, \(mend)"), "\(lines)")
    #expect(lines[2].hasPrefix("group 1 {\"error\":\"entry b: it belongs to group 34, \(mend)"), "\(lines)")
    #expect(lines[3].contains("user 70000, and a zone has ids below 65536"), "\(lines)")
  }
}
