internal import ZoneRuntime

/// Which names imported images get.
struct ImportNaming {
  /// What was asked for.
  private let wanted: ImageReference?
  /// It has a tag of its own, and so is one image's.
  private let isWhole: Bool

  /// The repository of what is called by the digest of its archive.
  private let byDigest: String?

  var isByDigest: Bool { byDigest != nil }

  /// - Parameter repository: what comes is a plain archive, and its tag is the beginning of its digest.
  init(byDigestIn repository: String) {
    (wanted, isWhole, byDigest) = (nil, false, repository)
  }

  init(_ name: String?) throws(ImageError) {
    byDigest = nil
    guard let name else {
      wanted = nil
      isWhole = false
      return
    }
    do throws(SyntaxError) { wanted = try ImageReference(parsing: name) } catch { throw ImageError("\(error)") }
    guard wanted?.digest == nil else {
      throw ImageError("the name \(shortened(name)) has a digest, which nobody can give")
    }
    // One more tag is too much for it.
    isWhole = (try? ImageReference(parsing: name + ":x")) == nil
  }

  /// Of an image that has none of its own.
  /// - Parameter archive: its digest.
  func only(_ archive: ContentDigest? = nil) throws(ImageError) -> ImageReference {
    if let byDigest, let archive, let name = try? ImageReference(parsing: "\(byDigest):\(archive.short)") {
      return name
    }
    guard let wanted else {
      throw ImageError("it has no name of its own; give it one (zonectl image import FILE NAME)")
    }
    return wanted
  }

  /// containerd's, which has the whole name.
  static let fullName = "io.containerd.image.name"

  /// - Parameter others: all of its index.
  func name(ofLayout image: ImageDescriptor, among others: [ImageDescriptor]) throws(ImageError) -> ImageReference {
    let tag = image.annotations?[ImageDescriptor.refName]
    if let wanted {
      let tags = Set(others.map { $0.annotations?[ImageDescriptor.refName] })
      if tags.count == 1 { return wanted }
      guard !isWhole else {
        throw ImageError("it has \(tags.count) images; give a name without a tag, and each keeps its own")
      }
      guard let tag, let name = try? ImageReference(parsing: "\(wanted.name):\(tag)") else {
        throw ImageError("an image of it has no tag that '\(wanted.name)' could be given")
      }
      return name
    }
    for text in [image.annotations?[Self.fullName], tag] {
      // A tag alone is no name.
      guard let text, text.utf8.contains(UInt8(ascii: "/")) || text.utf8.contains(UInt8(ascii: ":")) else { continue }
      do throws(SyntaxError) {
        let name = try ImageReference(parsing: text)
        if name.digest == nil { return name }
      } catch { throw ImageError("an image of it is called what is no name: \(error)") }
    }
    return try only()
  }

  /// - Parameter count: of the images in the archive.
  func names(ofSaved image: DockerArchiveImage, among count: Int) throws(ImageError) -> [ImageReference] {
    if let wanted {
      guard count == 1 else { throw ImageError("it has \(count) images, which keep their own names; give none") }
      return [wanted]
    }
    var names: [ImageReference] = []
    for text in image.repositoryTags ?? [] {
      do throws(SyntaxError) { names.append(try ImageReference(parsing: text)) } catch {
        throw ImageError("an image of it is called what is no name: \(error)")
      }
    }
    return names.isEmpty ? [try only()] : names
  }
}
