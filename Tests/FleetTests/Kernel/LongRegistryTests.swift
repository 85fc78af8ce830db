import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// `zonectl image pull` from Debian's own registry, whose package begins a service where there is a systemd.
@Suite(.serialized, .enabled(if: geteuid() == 0, "files of others are root's to make"), .ends(within: 10))
struct LongRegistryTests {
  /// Debian's registry, skopeo's pushes: TLS by an authority of our own, a login by bcrypt.
  @Test func aRealRegistryOfOthersWithTLSAndLogin() throws {
    let stand = try ImageStand()
    try stand.sh(
      """
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=here \
        -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2>/dev/null
      perl -e 'print "me:", crypt("se:cret", q($2b$05$abcdefghijklmnopqrstuu)), "\\n"' >passwords
      """)
    let registry = try RealRegistry(
      stand, certificate: ("\(stand.folder)/cert.pem", "\(stand.folder)/key.pem"),
      passwords: "\(stand.folder)/passwords")
    let name = "\(registry.authority)/a/box:v1"
    let expected = try stand.imported(as: name)
    try stand.sh(
      """
      push() { skopeo copy -q --insecure-policy --dest-tls-verify=false --dest-creds me:se:cret "$@"; }
      push --preserve-digests oci:made/box docker://\(registry.authority)/a/box:v1
      push --format v2s2 oci:made/box docker://\(registry.authority)/a/box:docker
      skopeo login --tls-verify=false --authfile logins -u me -p se:cret \(registry.authority) >/dev/null
      """)
    let (ca, logins) = ("\(stand.folder)/cert.pem", "\(stand.folder)/logins")
    #expect(try stand.refusal("image", "pull", name).contains("--ca FILE"))
    #expect(try stand.refusal("image", "pull", "--ca", ca, name).contains("wants a login"))
    #expect(try stand.refusal("image", "pull", "--plain-http", name).contains("400"))
    try #"{"auths":{"\#(registry.authority)":{"auth":"bWU6eA=="}}}"#.write(
      toFile: "\(stand.folder)/wrong", atomically: true, encoding: .utf8)
    #expect(try stand.refusal("image", "pull", "--ca", ca, "--login", "\(stand.folder)/wrong", name).contains("401"))
    #expect(
      try stand.ok("image", "pull", "--ca", ca, "--login", logins, name) == "\(name)@\(stand.digest())\n")
    #expect(try stand.contents() == expected)
    // Docker's form of it: other documents, the same layers.
    let other = "\(registry.authority)/a/box:docker"
    try stand.ok("image", "pull", "--ca", ca, "--login", logins, other)
    let image = try #require(try stand.store().resolve(ImageReference(parsing: other)))
    let first = try #require(try stand.store().resolve(ImageReference(parsing: name)))
    #expect(image.manifest != first.manifest && image.layers.map(\.number) == first.layers.map(\.number))
    #expect(
      try stand.refusal("image", "pull", "--ca", ca, "--login", logins, "\(registry.authority)/a/box:no").contains(
        "404: manifest unknown"))
  }
}
