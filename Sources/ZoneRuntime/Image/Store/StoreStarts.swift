/// What a zone of an image begins with, found without the image's record: `create` is zonectl's, to which each type of a record
/// costs some kilobytes.
extension ImageStore {
  /// Whoever makes a zone from it holds the store's lock (shared) from before this until `root.json` names the layers.
  /// - Returns: nil where no image of that name is here. A digest wins over the tag: a manifest's, or the index's that the
  ///   tag came from.
  func start(of name: ImageReference) throws(ZoneError) -> RootRecord? {
    if let digest = name.digest, let found = try start(digest) { return found }
    let tagged = ImageReference(
      host: name.host, port: name.port, repository: name.repository, tag: name.tag ?? ImageReference.latest)
    guard let reference = try reference(tagged), name.digest == nil || name.digest == reference.index else {
      return nil
    }
    guard let found = try start(reference.manifest) else {
      throw .refused(
        "cannot use the image \(name.familiar): its record \(reference.manifest.text) is gone (pull or import it again)"
      )
    }
    return found
  }

  private func start(_ manifest: ContentDigest) throws(ZoneError) -> RootRecord? {
    try RecordFile.read(RootRecord.self, "\(starts)/\(manifest.path)")
  }
}
