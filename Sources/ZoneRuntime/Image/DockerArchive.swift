/// One image of the `manifest.json` that `docker save` puts into its archive: paths in the archive, the lowest layer first.
public struct DockerArchiveImage: Equatable, Sendable, JSONOpenObject {
  public var config: String
  public var repositoryTags: [String]?
  public var layers: [String]
  public var others: [JSONTree.Member] = []

  public static var blank: DockerArchiveImage { DockerArchiveImage(config: "", layers: []) }

  public init(config: String, repositoryTags: [String]? = nil, layers: [String]) {
    self.config = config
    self.repositoryTags = repositoryTags
    self.layers = layers
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("Config", &config)
    try json.field("RepoTags", &repositoryTags)
    try json.field("Layers", &layers)
  }
}

/// The file `oci-layout` (image-spec, image-layout.md).
public struct LayoutMark: Equatable, Sendable, JSONOpenObject {
  public var version = "1.0.0"
  public var others: [JSONTree.Member] = []

  public static var blank: LayoutMark { LayoutMark() }
  public init() {}

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("imageLayoutVersion", &version)
  }

  public func check() throws(ImageError) {
    guard version.hasPrefix("1.") else {
      throw ImageError("it is a layout of version \(shortened(version)); known is 1")
    }
  }
}
