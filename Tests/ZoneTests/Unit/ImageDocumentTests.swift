import Testing

@testable import ZoneRuntime

@Suite struct ImageDocumentTests {
  private static let hex = String(repeating: "ab", count: 32)
  private static let config =
    #"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:\#(hex)","size":7}"#
  private static let layer =
    #"{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:\#(hex)","size":9,"urls":["x"],"data":"e30="}"#
  private static let manifest =
    #"{"schemaVersion":2,"config":\#(config),"layers":[\#(layer)],"subject":{"x":[1,2.5,null,true]}}"#

  private func read(_ text: String, _ type: String? = nil) throws(ImageError) -> ImageDocument {
    try ImageDocument.read(Array(text.utf8), type: type, name: "a:b")
  }

  @Test func aManifestKeepsWhatItDoesNotKnow() throws {
    guard case .manifest(let manifest) = try read(Self.manifest, "application/vnd.oci.image.manifest.v1+json") else {
      Issue.record("an index")
      return
    }
    try manifest.check()
    #expect(manifest.size == 7, "one blob twice is one")
    #expect(manifest.others.map { $0.key } == ["subject"])
    let written = try JSON.encode(manifest)
    #expect(try JSON.decode(ImageManifest.self, from: written, name: "x") == manifest)
    let text = String(decoding: written, as: UTF8.self)
    for part in [#""subject":{"x":[1,2.5,null,true]}"#, #""urls":["x"]"#, #""data":"e30=""#] {
      #expect(text.contains(part), "\(text)")
    }
    #expect(!text.contains("mediaType\":null"))
  }

  /// CVE-2021-41190: one text, two readers, two images.
  @Test(arguments: [
    (#"{"schemaVersion":2,"config":\#(config),"layers":[],"manifests":[]}"#, nil, "at once"),
    (#"{"schemaVersion":2,"layers":[],"manifests":[]}"#, nil, "at once"),
    (#"{"schemaVersion":2}"#, nil, "or neither"),
    (manifest, "application/vnd.oci.image.index.v1+json", "says that it is an index"),
    (
      #"{"schemaVersion":2,"manifests":[],"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#, nil,
      "an image, and"
    ),
    (#"{"schemaVersion":2,"schemaVersion":2,"manifests":[]}"#, nil, "twice"),
    (#"{"schemaVersion":1,"fsLayers":[]}"#, nil, "first format"),
    (manifest, "application/vnd.docker.distribution.manifest.v1+prettyjws", "first format"),
    (#"{"schemaVersion":3,"manifests":[]}"#, nil, "schema version 3"),
    (#"{"manifests":[]}"#, nil, "schema version 0"),
    (#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:12","size":1}]}"#, nil, "manifests[0].digest"),
    (#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:\#(hex)","size":-1}]}"#, nil, "size of -1"),
    (#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:\#(hex)"}]}"#, nil, "'size' is missing"),
    (#"{"schemaVersion":2,"manifests":{}}"#, nil, "expected an array"),
    ("[]", nil, "expected an object"), ("", nil, "line 1"), ("{", nil, "line 1"),
  ])
  func whatIsTwoThingsOrNoneIsRefused(_ text: String, _ type: String?, _ word: String) throws {
    let error = #expect(throws: ImageError.self) { try read(text, type) }
    #expect("\(try #require(error))".contains(word), "\(error?.why ?? "")")
  }

  @Test func aTypeThatIsNotKnownSaysNothing() throws {
    guard case .index = try read(#"{"schemaVersion":2,"manifests":[]}"#, "application/json") else {
      Issue.record("no index")
      return
    }
  }

  @Test func aManifestOfSomethingElseIsNoImage() throws {
    guard case .manifest(var manifest) = try read(Self.manifest) else { return }
    manifest.config.mediaType = "application/vnd.cncf.helm.config.v1+json"
    #expect(throws: ImageError.self) { try manifest.check() }
    guard case .manifest(var other) = try read(Self.manifest) else { return }
    other.layers.append(ImageDescriptor(mediaType: "application/x-sh", digest: .ofNothing, size: 1))
    let error = #expect(throws: ImageError.self) { try other.check() }
    #expect(try #require(error).why.hasPrefix("layer 2 is of type application/x-sh"))
    other.layers = Array(repeating: other.layers[0], count: 257)
    #expect(throws: ImageError.self) { try other.check() }
    other.layers = (0..<4).map { index in
      let digest = ContentDigest(hash: [UInt8](repeating: UInt8(index), count: 32)) ?? .ofNothing
      return ImageDescriptor(mediaType: "", digest: digest, size: .max)
    }
    #expect(other.size == .max, "sizes that are too much together")
  }

  // MARK: platforms

  private static func index(_ platforms: [String?]) -> ImageIndex {
    ImageIndex(
      manifests: platforms.enumerated().map { number, text in
        let digest = ContentDigest(hash: [UInt8](repeating: UInt8(number), count: 32)) ?? .ofNothing
        var descriptor = ImageDescriptor(mediaType: MediaType.manifest.name, digest: digest, size: 1)
        descriptor.platform = text.map { text in
          let parts = text.split(separator: "/").map(String.init)
          return Platform(os: parts[0], architecture: parts[1], variant: parts.count > 2 ? parts[2] : nil)
        }
        return descriptor
      })
  }

  struct Choice: Sendable {
    var there: [String?]
    var machine: String
    /// Which one is taken; nil: none.
    var taken: Int?
  }

  private static let choices: [Choice] = [
    Choice(there: ["linux/arm64", "linux/amd64"], machine: "amd64", taken: 1),
    Choice(there: ["linux/arm64/v8", "linux/amd64"], machine: "arm64", taken: 0),
    Choice(there: ["linux/arm64"], machine: "linux/arm64/v8", taken: 0),
    Choice(there: ["linux/arm64"], machine: "windows/arm64", taken: nil),
    Choice(there: ["windows/amd64"], machine: "amd64", taken: nil),
    // A processor runs what was built for its level and for those below.
    Choice(there: ["linux/amd64", "linux/amd64/v3", "linux/amd64/v2"], machine: "linux/amd64/v2", taken: 2),
    Choice(there: ["linux/amd64/v3", "linux/amd64"], machine: "amd64", taken: 1),
    Choice(there: ["linux/amd64/v3"], machine: "amd64", taken: nil),
    Choice(there: ["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], machine: "linux/arm/v6", taken: 2),
    Choice(there: ["linux/arm/v5", "linux/arm/v7"], machine: "arm", taken: 1),
    Choice(there: ["linux/amd64", "linux/amd64"], machine: "amd64", taken: 0),
    Choice(there: ["linux/riscv64"], machine: "riscv64", taken: 0),
    // An attestation is no image; what says nothing stands for all, alone.
    Choice(there: ["unknown/unknown", "linux/amd64"], machine: "x86_64", taken: 1),
    Choice(there: [nil], machine: "amd64", taken: 0),
    Choice(there: [nil, nil], machine: "amd64", taken: nil),
    Choice(there: [], machine: "amd64", taken: nil),
  ]

  @Test(arguments: choices) func theBestThatRunsIsTaken(_ choice: Choice) throws {
    let index = Self.index(choice.there)
    let platform = try Platform(parsing: choice.machine)
    guard let taken = choice.taken else {
      let error = #expect(throws: ImageError.self) { try index.choose(for: platform) }
      #expect("\(try #require(error))".contains("--platform"))
      return
    }
    #expect(try index.choose(for: platform) == index.manifests[taken])
  }

  @Test func aPlatformIsThreeWords() throws {
    #expect(try Platform(parsing: "linux/arm/v7") == Platform(architecture: "arm", variant: "v7"))
    #expect(try Platform(parsing: "aarch64").text == "linux/arm64")
    for text in ["", "/", "linux/", "a/b/c/d", "Linux/amd64", "linux amd64"] {
      #expect(throws: SyntaxError.self) { try Platform(parsing: text) }
    }
  }

  // MARK: configurations

  private static let docker = #"""
    {"architecture":"amd64","container":"f00","os":"linux","os.version":"1","rootfs":{"type":"layers","diff_ids":["sha256:\#(hex)"]},
    "config":{"Hostname":"","Cmd":["sh"],"Entrypoint":["/e","-x"],"Env":["PATH=/bin","A=b=c","=x","N"],"ExposedPorts":{"80/tcp":{}},
    "Volumes":{"/data":{}},"Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":30000000000},"OnBuild":null,"Labels":{"a":"b"},
    "StopSignal":"SIGQUIT","User":"www:5"},"history":[{"created_by":"x","empty_layer":true}]}
    """#

  @Test func aConfigurationIsReadWithDockersFields() throws {
    let config = try JSON.decode(ImageConfig.self, from: Array(Self.docker.utf8), name: "x")
    let run = try #require(config.config)
    #expect(run.arguments([]) == ["/e", "-x", "sh"] && run.arguments(["ls"]) == ["/e", "-x", "ls"])
    #expect(run.variables == ["PATH": "/bin", "A": "b=c"])
    #expect(run.exposedPorts?.keys == ["80/tcp"] && run.volumes?.keys == ["/data"] && run.stopSignal == "SIGQUIT")
    #expect(run.healthcheck?.test == ["CMD-SHELL", "true"] && run.healthcheck?.interval == 30_000_000_000)
    #expect(config.others.map { $0.key } == ["container", "os.version"])
    #expect(run.others.map { $0.key } == ["Hostname", "OnBuild"])
  }

  @Test func anImageOnTopKeepsAllElse() throws {
    let config = try JSON.decode(ImageConfig.self, from: Array(Self.docker.utf8), name: "x")
    let step = ImageHistory(created: "2026-01-02T03:04:05Z", createdBy: "zonectl commit")
    let next = config.adding(.ofNothing, step)
    #expect(next.rootfs.digests.count == 2 && next.history?.last?.emptyLayer == nil && next.created == step.created)
    #expect(config.adding(nil, step).history?.last?.emptyLayer == true)
    let text = String(decoding: try JSON.encode(next), as: UTF8.self)
    for part in [#""container":"f00""#, #""os.version":"1""#, #""OnBuild":null"#, #""80/tcp":{}"#] {
      #expect(text.contains(part), "\(text)")
    }
    #expect(try JSON.decode(ImageConfig.self, from: Array(text.utf8), name: "x") == next)
  }

  @Test func aConfigurationBelongsToItsManifest() throws {
    let config = try JSON.decode(ImageConfig.self, from: Array(Self.docker.utf8), name: "x")
    guard case .manifest(var manifest) = try read(Self.manifest) else { return }
    try config.check(against: manifest)
    manifest.layers = []
    #expect(throws: ImageError.self) { try config.check(against: manifest) }
  }

  /// The specification's formula; the hash is a stand-in that shows what it was given.
  @Test func aChainNamesEachStack() throws {
    let digests = [1, 2, 3].compactMap { ContentDigest(hash: [UInt8](repeating: $0, count: 32)) }
    var hashed: [String] = []
    let chain = ImageLayers(digests: digests).chain { bytes in
      hashed.append(String(decoding: bytes, as: UTF8.self))
      return .ofNothing
    }
    #expect(chain == [digests[0], .ofNothing, .ofNothing])
    #expect(hashed == ["\(digests[0].text) \(digests[1].text)", "\(ContentDigest.ofNothing.text) \(digests[2].text)"])
  }

  @Test func treesKeepTheirOrderAndHaveAnEnd() throws {
    let text = #"{"z":1,"a":[{"b":-9223372036854775808},1e300,"\u00e9"],"m":{}}"#
    let tree = try JSON.decode(JSONTree.self, from: Array(text.utf8), name: "x")
    #expect(
      String(decoding: try JSON.encode(tree), as: UTF8.self).hasPrefix(
        #"{"z":1,"a":[{"b":-9223372036854775808},1e+300,"é"]"#))
    let deep = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
    #expect(throws: JSONError.self) { try JSON.decode(JSONTree.self, from: Array(deep.utf8), name: "x") }
    #expect(try JSON.decode(JSONTree.self, from: Array(deep.utf8.dropFirst().dropLast()), name: "x") != .null)
  }

  @Test func archivesAndLayouts() throws {
    let saved = #"[{"Config":"c.json","RepoTags":null,"Layers":["a/layer.tar"],"LayerSources":{}}]"#
    let images = try JSON.decode([DockerArchiveImage].self, from: Array(saved.utf8), name: "x")
    #expect(images.first?.layers == ["a/layer.tar"] && images.first?.repositoryTags == nil)
    let mark = try JSON.decode(LayoutMark.self, from: Array(#"{"imageLayoutVersion":"2.0.0"}"#.utf8), name: "x")
    #expect(throws: ImageError.self) { try mark.check() }
    try LayoutMark().check()
  }
}
