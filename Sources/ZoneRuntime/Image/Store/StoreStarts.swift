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

  /// Of a root's layers those that snapshots have frozen of the zone's own, from the top: they lie above its image's.
  public func written(of root: RootRecord) throws(ZoneError) -> [Int] {
    var written: [Int] = []
    for number in root.layers {
      guard let record = try layerRecord(number) else {
        throw .refused("cannot use layer \(number): its record is gone from the store")
      }
      guard record.kind == .zone else { break }
      written.append(number)
    }
    return written
  }

  /// How the root of a zone looks that is made of an image; nil where the image is gone.
  public func top(of manifest: ContentDigest) throws(ZoneError) -> RootTop? { try start(manifest)?.top }

  private func start(_ manifest: ContentDigest) throws(ZoneError) -> RootRecord? {
    try RecordFile.read(RootRecord.self, startFile(of: manifest))
  }

  func startFile(of manifest: ContentDigest) -> String { "\(starts)/\(manifest.path)" }
  func startFile(of root: RootRecord) -> String { startFile(of: root.image?.manifest ?? .ofNothing) }
}
