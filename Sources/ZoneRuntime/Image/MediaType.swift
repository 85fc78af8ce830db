/// What a blob is said to be (image-spec, media-types.md), under the names of OCI and of Docker, which mean the same.
public enum MediaType: Equatable, Sendable {
  case index
  case manifest
  case config
  case layer(Compression, isDistributable: Bool)
  /// Docker's first format: signed, of another shape, and gone from today's registries.
  case schema1

  public enum Compression: String, Sendable { case none, gzip, zstd }

  /// All that are known. The first of a kind is what we write.
  static let table: [(name: String, type: MediaType)] = [
    ("application/vnd.oci.image.index.v1+json", .index),
    ("application/vnd.docker.distribution.manifest.list.v2+json", .index),
    ("application/vnd.oci.image.manifest.v1+json", .manifest),
    ("application/vnd.docker.distribution.manifest.v2+json", .manifest),
    ("application/vnd.oci.image.config.v1+json", .config),
    ("application/vnd.docker.container.image.v1+json", .config),
    ("application/vnd.oci.image.layer.v1.tar", .layer(.none, isDistributable: true)),
    ("application/vnd.docker.image.rootfs.diff.tar", .layer(.none, isDistributable: true)),
    ("application/vnd.oci.image.layer.v1.tar+gzip", .layer(.gzip, isDistributable: true)),
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", .layer(.gzip, isDistributable: true)),
    ("application/vnd.oci.image.layer.v1.tar+zstd", .layer(.zstd, isDistributable: true)),
    ("application/vnd.docker.image.rootfs.diff.tar.zstd", .layer(.zstd, isDistributable: true)),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar", .layer(.none, isDistributable: false)),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", .layer(.gzip, isDistributable: false)),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", .layer(.zstd, isDistributable: false)),
    ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", .layer(.gzip, isDistributable: false)),
    ("application/vnd.docker.distribution.manifest.v1+json", .schema1),
    ("application/vnd.docker.distribution.manifest.v1+prettyjws", .schema1),
  ]

  /// - Parameter name: as a descriptor or a Content-Type header has it: parameters are left out, capitals count for nothing
  ///   (RFC 6838 section 4.2).
  public init?(_ name: String) {
    let bare = Self.bare(name)
    guard let row = Self.table.first(where: { $0.name == bare }) else { return nil }
    self = row.type
  }

  static func bare(_ name: String) -> String {
    var text = name.prefix { $0 != ";" }
    while let last = text.utf8.last, last == 32 || last == 9 { text.removeLast() }
    while let first = text.utf8.first, first == 32 || first == 9 { text.removeFirst() }
    return text.lowerASCII
  }

  /// OCI's; of schema1 Docker's.
  public var name: String { Self.table.first { $0.type == self }?.name ?? "" }

  /// What a GET of a manifest says it takes; without it a registry answers in the oldest format that it has.
  public static let accepted: [String] = table.filter { $0.type == .index || $0.type == .manifest }.map { $0.name }
}

extension MediaType.Compression {
  /// By the first bytes, for archives that nobody has labelled (RFC 1952 section 2.3.1, RFC 8878 section 3.1). A skippable
  /// frame may stand before zstd's own.
  public init(magic bytes: some Collection<UInt8>) {
    let first = Array(bytes.prefix(4))
    if first.starts(with: [0x1f, 0x8b]) {
      self = .gzip
    } else if first == [0x28, 0xb5, 0x2f, 0xfd] {
      self = .zstd
    } else if first.count == 4, first[0] & 0xf0 == 0x50, first[1...] == [0x2a, 0x4d, 0x18] {
      self = .zstd
    } else {
      self = .none
    }
  }
}
