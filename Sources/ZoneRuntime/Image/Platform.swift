/// What an image was built for: Go's names of systems and processors (image-spec, image-index.md, "platform").
public struct Platform: Equatable, Sendable {
  public var os: String
  public var architecture: String
  /// `v8` of arm64, `v7` of arm, `v3` of amd64 …; nil is the architecture's first.
  public var variant: String?
  public var others: [JSONTree.Member] = []

  public init(os: String = "linux", architecture: String, variant: String? = nil) {
    self.os = os
    self.architecture = architecture
    self.variant = variant
  }

  /// `OS/ARCHITECTURE[/VARIANT]`, or an architecture of Linux alone: `linux/arm64/v8`, `arm64`.
  public init(parsing text: String) throws(SyntaxError) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let isWord = { (part: String) in
      !part.isEmpty && part.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 95 }
    }
    guard (1...3).contains(parts.count), parts.allSatisfy(isWord) else {
      throw SyntaxError(
        what: "platform", value: shortened(text), why: "not OS/ARCHITECTURE[/VARIANT], linux/arm64/v8 say")
    }
    let architecture = parts[parts.count == 1 ? 0 : 1]
    self.init(
      os: parts.count == 1 ? "linux" : parts[0], architecture: Self.names[architecture] ?? architecture,
      variant: parts.count == 3 ? parts[2] : nil)
  }

  public var text: String { "\(os)/\(architecture)" + (variant.map { "/\($0)" } ?? "") }

  /// uname(2)'s names, and those of Debian, to Go's.
  private static let names = [
    "x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armhf": "arm", "armv7l": "arm",
    "ppc64el": "ppc64le",
  ]

  #if arch(arm64)
    public static let ours = Platform(architecture: "arm64", variant: "v8")
  #else
    public static let ours = Platform(architecture: "amd64")
  #endif

  // MARK: choosing

  /// Whether an image for `self` runs on `machine`, and how well: the higher the better; nil: not at all. A processor runs
  /// what was built for its own level and for those below.
  package func fitness(on machine: Platform) -> Int? {
    guard os == machine.os, architecture == machine.architecture else { return nil }
    let (own, most) = (level, machine.level)
    guard let own, let most else { return variant == machine.variant ? 0 : nil }
    return own <= most ? own : nil
  }

  /// The number of the variant; nil where it is no `vN`.
  private var level: Int? {
    guard let variant else { return architecture == "arm64" ? 8 : architecture == "arm" ? 7 : 1 }
    guard variant.utf8.first == UInt8(ascii: "v"), (2...3).contains(variant.utf8.count),
      variant.utf8.dropFirst().allSatisfy({ (48...57).contains($0) })
    else { return nil }
    return Int(variant.dropFirst())
  }
}

extension Platform: JSONOpenObject {
  public static var blank: Platform { Platform(os: "", architecture: "") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("architecture", &architecture)
    try json.field("os", &os)
    try json.field("variant", &variant)
  }
}

extension ImageIndex {
  /// The image for a machine: of those that fit, the one built for the highest level; of equals, the first. What is no
  /// image (a signature, an attestation of `unknown/unknown`) is never chosen.
  /// - Throws: with the platforms that there are.
  public func choose(for machine: Platform) throws(ImageError) -> ImageDescriptor {
    var best: (descriptor: ImageDescriptor, fitness: Int)?
    var there: [String] = []
    for descriptor in manifests {
      guard let type = MediaType(descriptor.mediaType), type == .manifest || type == .index else { continue }
      guard let platform = descriptor.platform else {
        // Without a word about its platform it stands for all of them, as the only one.
        if manifests.count == 1 { return descriptor }
        continue
      }
      if !there.contains(platform.text), platform.os != "unknown" { there.append(platform.text) }
      guard let fitness = platform.fitness(on: machine) else { continue }
      if best.map({ fitness > $0.fitness }) ?? true { best = (descriptor, fitness) }
    }
    if let best { return best.descriptor }
    let words = there.isEmpty ? "none" : there.prefix(12).map(shortened).joined(separator: ", ")
    throw ImageError("it has no image for \(machine.text) (it has \(words); name one with --platform)")
  }
}
