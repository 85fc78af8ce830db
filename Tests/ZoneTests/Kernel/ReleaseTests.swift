import Foundation
import Glibc
import Testing

/// What scripts/release makes, put where its users put it.
@Suite(
  .serialized, .machine, .needs(.root, .ordinaryUser, .program("dpkg-deb"), .program("strip"), .program("git")),
  .timeLimit(.minutes(5)))
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
}
