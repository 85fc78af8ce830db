import Testing

@testable import ZoneRuntime

@Suite struct ImageReferenceTests {
  private static let hex = String(repeating: "0123456789abcdef", count: 4)

  /// What is typed, and what it means in full.
  @Test(arguments: [
    ("debian", "docker.io/library/debian:latest", "debian:latest"),
    ("debian:12", "docker.io/library/debian:12", "debian:12"),
    ("grafana/grafana", "docker.io/grafana/grafana:latest", "grafana/grafana:latest"),
    ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
    ("index.docker.io/library/debian", "docker.io/library/debian:latest", "debian:latest"),
    ("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
    ("localhost/box", "localhost/box:latest", "localhost/box:latest"),
    ("localhost:5000/box:v1", "localhost:5000/box:v1", "localhost:5000/box:v1"),
    ("Quay.IO/a/b:X_1.2-3", "quay.io/a/b:X_1.2-3", "quay.io/a/b:X_1.2-3"),
    ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest", "127.0.0.1:5000/a:latest"),
    ("[::1]:5000/a__b/c-d--e.f_g", "[::1]:5000/a__b/c-d--e.f_g:latest", "[::1]:5000/a__b/c-d--e.f_g:latest"),
    ("[2001:db8::1]/a", "[2001:db8::1]/a:latest", "[2001:db8::1]/a:latest"),
    ("a.b/c", "a.b/c:latest", "a.b/c:latest"),
    ("docker.io:443/x", "docker.io:443/x:latest", "docker.io:443/x:latest"),
    ("a@sha256:\(hex)", "docker.io/library/a@sha256:\(hex)", "a@sha256:\(hex)"),
    ("a:t@sha256:\(hex)", "docker.io/library/a:t@sha256:\(hex)", "a:t@sha256:\(hex)"),
  ])
  func aNameIsReadInFull(_ typed: String, _ full: String, _ familiar: String) throws {
    let reference = try ImageReference(parsing: typed)
    #expect(reference.text == full)
    #expect(reference.familiar == familiar)
    #expect(try ImageReference(parsing: full) == reference)
    #expect(try ImageReference(parsing: familiar) == reference)
  }

  @Test(arguments: [
    "", "Debian", "a/B", "A/b", "LOCALHOST/b", "a//b", "/a", "a/", "a:", "a:-x", "a:.x", "a: b",
    "-a", "a-", "a._b", "a___b", "a..b", "a@",
    "a@b",
    "a@sha256:12", "a@md5:\(hex)", "a@sha256:\(hex)x", "a@sha256:\(hex.uppercased())", "a@sha256:\(hex)@sha256:\(hex)",
    "a.b:0/c", "a.b:65536/c", "a.b:x/c", "a.b:/c", "[::1/c", "[]/c", "[::1]x/c", "a.b.:5/c", "-a.b/c", "a b", "a\n",
    "a:\(String(repeating: "t", count: 129))", "https://a.b/c", "\(hex)", "ä",
    "a.b/\(String(repeating: "x", count: 256))", "a/../b", "a/./b", "a%2fb",
  ])
  func whatIsNoNameIsRefused(_ text: String) {
    #expect(throws: SyntaxError.self) { try ImageReference(parsing: text) }
  }

  /// A name without a slash is never a registry.
  @Test func aWordAloneIsAName() throws {
    #expect(try ImageReference(parsing: "localhost").text == "docker.io/library/localhost:latest")
    #expect(try ImageReference(parsing: "a.b:5").text == "docker.io/library/a.b:5")
  }

  @Test func whereAnImageIsAskedFor() throws {
    let debian = try ImageReference(parsing: "debian")
    #expect(debian.endpoint.host == "registry-1.docker.io" && debian.pointer == "latest" && !debian.isLocal)
    let pinned = try ImageReference(parsing: "localhost:5000/a:b@sha256:\(Self.hex)")
    #expect(pinned.endpoint == ("localhost", 5000) && pinned.pointer == "sha256:\(Self.hex)" && pinned.isLocal)
    #expect(try ImageReference(parsing: "127.1.2.3/a").isLocal)
    #expect(try !ImageReference(parsing: "127.evil.example/a").isLocal)
  }

  @Test(arguments: [
    ("debian:12", "docker.io/library/debian/:12"), ("localhost:5000/a/b", "localhost:5000/a/b/:latest"),
    ("a@sha256:\(hex)", "docker.io/library/a/:@sha256-\(hex)"), ("[::1]/a:t@sha256:\(hex)", "[::1]/a/:t"),
  ])
  func aNameHasItsFile(_ typed: String, _ path: String) throws {
    let reference = try ImageReference(parsing: typed)
    #expect(reference.storePath == path)
    #expect(ImageReference(storePath: path)?.storePath == path)
  }

  @Test(arguments: [
    "", "/", "a", "docker.io/library/a", "docker.io/a/:12", "docker.io/library/a/:", "A/:x", "a/../:x", ":x",
  ])
  func whatIsNoNamesFileIsLeftAlone(_ path: String) { #expect(ImageReference(storePath: path) == nil) }

  @Test func aRefusalIsOneLineWhateverIsTyped() throws {
    let typed = "A\u{1b}[2J\n" + String(repeating: "x", count: 500)
    let error = #expect(throws: SyntaxError.self) { try ImageReference(parsing: typed) }
    let words = "\(try #require(error))"
    #expect(!words.contains("\u{1b}") && !words.contains("\n") && words.count < 400, "\(words)")
  }

  @Test func aDigestIsAHashOfItsLength() throws {
    let digest = try ContentDigest(parsing: "sha256:\(Self.hex)")
    #expect(digest.path == "sha256/\(Self.hex)" && digest.short == "0123456789ab")
    #expect(try ContentDigest(parsing: "sha512:\(Self.hex)\(Self.hex)").algorithm == .sha512)
    for text in ["", "sha256", "sha256:", "sha256:../../etc", "SHA256:\(Self.hex)", "sha1:\(Self.hex)", ":\(Self.hex)"]
    {
      #expect(throws: SyntaxError.self) { try ContentDigest(parsing: text) }
    }
    let hash = (0..<32).map { UInt8($0) << 3 | 7 }
    #expect(ContentDigest(hash: hash)?.hex.hasPrefix("070f171f") == true)
    #expect(ContentDigest(hash: Array(hash.dropLast())) == nil)
  }

  @Test(arguments: [
    ("application/vnd.oci.image.index.v1+json", MediaType.index),
    ("application/vnd.docker.distribution.manifest.v2+json; charset=utf-8", .manifest),
    (" Application/VND.oci.image.config.v1+json", .config),
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", .layer(.gzip, isDistributable: true)),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", .layer(.zstd, isDistributable: false)),
  ])
  func aTypeHasTwoNames(_ name: String, _ type: MediaType) {
    #expect(MediaType(name) == type)
    #expect(MediaType(type.name) == type)
  }

  @Test func typesThatAreNotOurs() {
    #expect(MediaType("application/json") == nil && MediaType("") == nil)
    #expect(MediaType.accepted.count == 4)
    #expect(MediaType.Compression(magic: [0x1f, 0x8b, 8]) == .gzip)
    #expect(MediaType.Compression(magic: [0x28, 0xb5, 0x2f, 0xfd]) == .zstd)
    #expect(MediaType.Compression(magic: [0x5a, 0x2a, 0x4d, 0x18]) == .zstd)
    #expect(MediaType.Compression(magic: [0x1f]) == .none && MediaType.Compression(magic: []) == .none)
  }
}
