import Foundation
import Glibc
import Testing

/// What scripts/release makes, put where its users put it.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("dpkg-deb"), .program("strip"), .program("git")),
  .ends(within: 5))
struct LongReleaseTests {
  private func release(into folder: String) throws -> [String] {
    var command = Command(Zonectl.packageRoot + "/scripts/release", "--no-build", "--out", folder)
    command.environment["ZONECTL"] = Zonectl.program
    command.timeout = 120
    let outcome = try command.run()
    try #require(outcome.status == 0, "\(outcome)")
    return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map { "\(folder)/\($0)" }
  }

  @Test func anArchiveIsAllThereIsToInstall() throws {
    try Developer.with { (me) throws in
      let files = try release(into: me.zones.folder + "/dist")
      #expect(files.count == 2 && files[0].hasSuffix(".tar.gz") && files[1].hasSuffix(".deb"), "\(files)")
      let prefix = me.zones.folder + "/local"
      mkdir(prefix, 0o755)
      try Command.text("tar", "-C", prefix, "--strip-components=1", "-xzf", files[0])
      #expect(try Command.text(prefix + "/bin/zonectl", "version").hasPrefix("zonectl "))
      #expect(try Command.text(prefix + "/bin/zone-oci", "--version").contains("spec"))
      for verb in ["run", "sandbox", "changes", "audit"] {
        #expect(access("\(prefix)/share/man/man1/zonectl-\(verb).1.gz", F_OK) == 0, "no manual page of \(verb)")
      }
      for file in [
        "bash-completion/completions/zonectl", "zsh/site-functions/_zonectl", "fish/vendor_completions.d/zonectl.fish",
      ] {
        #expect(contents("\(prefix)/share/\(file)")?.contains("sandbox") == true, "\(file)")
      }
      var command = me.command([], ["id", "-un"])
      let at = try #require(command.argv.firstIndex { $0.hasSuffix("/zonectl") })
      command.argv[at] = prefix + "/bin/zonectl"
      #expect(try command.run().text == OrdinaryUser.name)
    }
  }

  @Test func aPackageNamesItsOwnPlaces() throws {
    let folder = try makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let package = try #require(try release(into: folder + "/dist").last)
    try Command.text("dpkg-deb", "-x", package, folder + "/root")
    #expect(try Command.text("dpkg-deb", "-f", package, "Package") == "zonectl")
    for unit in ["system/zones.service", "user/zones-user.service"] {
      let text = try #require(contents("\(folder)/root/usr/lib/systemd/\(unit)"))
      #expect(text.contains("ExecStart=/usr/bin/zonectl") && !text.contains("/usr/local"), "\(unit)")
    }
    #expect(contents(folder + "/root/usr/share/doc/zonectl/copyright")?.contains("Apache License") == true)
    // The same commit gives the same bytes.
    let again = try #require(try release(into: folder + "/again").last)
    try Command.text("cmp", package, again)
  }

  /// The package on a Debian that has nothing else: what an operator and a developer do first. In the guest that is the
  /// machine; here a tree that mmdebstrap(1) makes, as the root of a private mount namespace.
  @Test func installedItWorks() throws {
    let folder = try makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let package = try #require(try release(into: folder + "/dist").last)
    let isGuest = access("/run/guest", F_OK) == 0
    let tree = isGuest ? "" : folder + "/tree"
    if !isGuest {
      var make = Command(
        "bash", "-c",
        """
        . scripts/common.sh; need_packages mmdebstrap debian-archive-keyring; find_debian
        mmdebstrap --quiet --variant=minbase "$release" \(tree) "deb [signed-by=$debian_keyring] $debian $release main"
        """)
      make.directory = Zonectl.packageRoot
      make.timeout = 280
      let outcome = try make.run()
      try #require(outcome.status == 0, "\(outcome)")
    }
    try FileManager.default.copyItem(atPath: package, toPath: tree + "/zonectl.deb")
    try Self.script.write(toFile: tree + "/zonectl-installed", atomically: true, encoding: .utf8)
    defer { for name in ["zonectl.deb", "zonectl-installed"] { unlink("\(tree)/\(name)") } }
    let enter =
      """
      mount --bind \(tree) \(tree)
      for place in proc sys dev; do mount --rbind /$place \(tree)/$place; done
      mkdir -p \(tree)/old; cd \(tree); pivot_root . old; umount -l /old
      """
    var run = Command(
      isGuest
        ? ["sh", "-eu", "/zonectl-installed"]
        : ["unshare", "--mount", "--propagation", "private", "sh", "-ec", enter + "\nexec sh -eu /zonectl-installed"])
    run.timeout = 240
    let outcome = try run.run()
    #expect(outcome.status == 0 && outcome.lines.last == "all of it", "\(outcome)")
  }

  private static let script =
    #"""
    exec 2>&1
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    leave() {
      zonectl --root /zones-installed delete --force --yes a 2>/dev/null || true; dpkg -r zonectl >/dev/null; rm -rf /zones-installed
      # Where systemd is init his manager outlives what he did.
      ! command -v loginctl >/dev/null || loginctl terminate-user installed 2>/dev/null || true
      tries=0
      until userdel -r installed 2>/dev/null || [ $tries -ge 300 ]; do tries=$((tries + 1)); sleep 0.1; done
      if id installed >/dev/null 2>&1; then echo the user is left; exit 1; fi
    }
    trap leave EXIT
    dpkg -i /zonectl.deb >/dev/null
    zonectl version; zone-oci --version >/dev/null; test -e /usr/share/man/man1/zonectl-sandbox.1.gz || test -e /etc/dpkg/dpkg.cfg.d
    # An operator.
    zonectl --root /zones-installed create --network none --memory 64M a -- sleep 1000
    zonectl --root /zones-installed start a
    zonectl --root /zones-installed exec a true
    zonectl --root /zones-installed audit a
    zonectl --root /zones-installed delete --force --yes a
    # A developer.
    useradd -m -s /bin/bash installed
    cat >/home/installed/script <<'S'
    set -eu
    mkdir -p ~/p ~/.ssh; echo key > ~/.ssh/id; cd ~/p; export XDG_RUNTIME_DIR=~
    test "$(zonectl sandbox sh -c 'id -un; echo made > made; cat ~/.ssh/id')" = installed || test "$(cat made)" = made
    test ! -e .git
    zonectl sandbox --pids 50 --require limits,net --report report sh -c 'exit 7' || test $? = 7
    grep -q '"status": 7' report
    zonectl sandbox --review sh -c 'echo two > made'
    test "$(cat made)" = made; zonectl changes apply -q; test "$(cat made)" = two
    zonectl sandbox --id egress --network allow=one.example:443 perl -e 'use IO::Socket::INET;
      $s = IO::Socket::INET->new("127.0.0.1:3128"); print $s "CONNECT two.example:443 HTTP/1.1\r\n\r\n"; print scalar <$s>' | grep -q 403
    zonectl events egress | grep -q 'denied  two.example:443'
    zonectl sandbox --profile agent sh -c 'echo lasts > ~/file'
    test "$(zonectl sandbox --profile agent sh -c 'cat ~/file')" = lasts
    zonectl run --rm --network none -- id -u | grep -qx 0
    echo all of it
    S
    su -l installed -c 'sh ~/script'
    """#
}
