/// What a zone of an image begins with, found without the image's record: `create` is zonectl's, to which each type of a record
/// costs some kilobytes.
extension ImageStore {
  /// Whoever makes a zone from it holds the store's lock (shared) from before this until `root.json` names the layers.
  /// - Returns: nil where no image of that name is here. A digest wins over the tag: a manifest's, or the index's that the
  ///   tag came from.
  func start(of name: ImageReference) throws(ZoneError) -> RootRecord? {
    var reference: ReferenceRecord?
    if let digest = name.digest {
      if let found = try start(digest) { return found }
      // An index's, under the name that was pulled by it, or under a tag.
      for other in [name.byDigest, name.byTag] where reference == nil {
        reference = try self.reference(other)
        if reference?.index != digest { reference = nil }
      }
    } else {
      reference = try self.reference(name)
    }
    guard let reference else { return nil }
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
