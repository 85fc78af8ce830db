internal import Glibc
internal import LinuxNS

/// What a person does with names of images.
extension ImageStore {
  /// Gives an image one more name, or moves a name to it.
  public func tag(_ text: String, as new: String) throws(ZoneError) -> ImageReference {
    let name: ImageReference
    do throws(SyntaxError) { name = try ImageReference(parsing: new) } catch { throw .commandLine(error.description) }
    guard name.digest == nil else {
      throw .commandLine("image '\(shortened(new))': a name that is given has no digest")
    }
    let lock = try lock(.shared)
    let found = try find(text)
    var record = ReferenceRecord(
      manifest: found.record.manifest, origin: "tag", owner: geteuid(), made: Clock.realtimeNanoseconds())
    // What a registry has under the one name is what it has under the other.
    if let old = try found.name.flatMap({ (name) throws(ZoneError) in try reference(name) }),
      old.manifest == record.manifest
    {
      record.index = old.index
    }
    try put(record, as: name)
    withExtendedLifetime(lock) {}
    return name
  }

  /// Takes a name away, or all names of an image that was called by its id. What they led to goes with `prune`.
  /// - Parameters:
  ///   - force: also the last name of an image that zones have, and several names by one id.
  ///   - expired: only a name that is wanted until then, in seconds since 1970: somebody may have renewed it meanwhile.
  /// - Returns: the names.
  public func delete(_ text: String, force: Bool, expired: UInt64? = nil) throws(ZoneError) -> [ImageReference] {
    let lock = try lock(.shared)
    let namesLock = try lockNames()
    if let expired {
      guard let name = try? ImageReference(parsing: text), try reference(name)?.expires == expired else { return [] }
    }
    let (name, manifest) = try named(text)
    let all = try allReferences().filter { $0.record.manifest == manifest }.map { $0.name }
    var gone = all
    if let name {
      gone = name.digest == nil ? [name] : all.filter { $0 == name.byDigest }
      // Otherwise the digest tells which of the repository's names is meant.
      if gone.isEmpty { gone = all.filter { $0.name == name.name && $0.tag == name.tag ?? $0.tag } }
    }
    let words = shortened(text)
    guard !gone.isEmpty else {
      throw .refused("image \(words) has no such name any more (zonectl image prune removes what has none)")
    }
    if !force {
      guard gone.count == 1 else {
        let names = gone.map { $0.familiar }.joined(separator: ", ")
        throw .refused(
          "cannot delete the image \(words): it has \(gone.count) names, \(names) (name one, or use --force)")
      }
      let zones = gone.count == all.count ? try roots().filter { $0.record.manifests.contains(manifest) } : []
      if let one = zones.first {
        let more = zones.count > 1 ? " and \(zones.count - 1) more" : ""
        throw .refused(
          "cannot delete the image \(words): zone \(one.zone)\(more) was made from it, and this is its last name (use --force; the zone goes on)"
        )
      }
    }
    for name in gone { try remove(name) }
    withExtendedLifetime(namesLock) {}
    withExtendedLifetime(lock) {}
    return gone
  }

  /// A name can be taken away though what it led to is gone.
  private func named(_ text: String) throws(ZoneError) -> (ImageReference?, ContentDigest) {
    if let name = try? ImageReference(parsing: text), name.digest == nil, let record = try reference(name) {
      return (name, record.manifest)
    }
    let found = try find(text)
    return (found.name, found.record.manifest)
  }
}
