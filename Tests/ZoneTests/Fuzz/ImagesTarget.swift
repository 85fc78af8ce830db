@testable import ZoneRuntime

extension FuzzTarget {
  /// What a registry and an archive say of an image, and what a person calls it.
  static let images = FuzzTarget("images") { (bytes) throws(Finding) in
    try reference(text(bytes))
    try document(bytes)
    try challenge(text(bytes))
    try place(text(bytes))
    for status in [200, 206] {
      let answer = accepted {
        try BlobAnswer.read(status: status, asked: 4, size: 10, range: text(bytes), length: nil)
      }
      if case .bytes(let from, let count)? = answer { try hold(from + count == 10, "\(from) and \(count)") }
    }
    if let platform = accepted({ try Platform(parsing: text(bytes)) }) {
      try hold(accepted { try Platform(parsing: platform.text) } == platform, "\(platform.text) reads as another")
    }
    _ = RegistryErrors.words(bytes)
    _ = accepted { try JSON.decode(TokenAnswer.self, from: bytes, name: "x").bearer() }
    try roundTrip(JSONTree.self, bytes)
    try roundTrip(ImageConfig.self, bytes)
    try roundTrip([DockerArchiveImage].self, bytes)
    try roundTrip(LayoutMark.self, bytes)
  }

  private static func reference(_ typed: String) throws(Finding) {
    guard let reference = accepted({ try ImageReference(parsing: typed) }) else { return }
    for spelling in [reference.text, reference.familiar] {
      try hold(accepted { try ImageReference(parsing: spelling) } == reference, "\(spelling) reads as another")
    }
    let stored = ImageReference(storePath: reference.storePath)
    try hold(stored?.storePath == reference.storePath, "\(reference.storePath) is no name")
    // It becomes a part of a URL, and of a path on disk.
    let isPlain = reference.text.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "%") }
    try hold(isPlain && !reference.repository.contains(".."), "the name \(reference.text)")
  }

  private static func document(_ bytes: [UInt8]) throws(Finding) {
    switch accepted({ try ImageDocument.read(bytes, type: nil, name: "x") }) {
    case .manifest(let manifest)?:
      try roundTrip(ImageManifest.self, bytes)
      try hold(manifest.size >= 0, "a size of \(manifest.size)")
      _ = accepted { try manifest.check() }
    case .index(let index)?:
      try roundTrip(ImageIndex.self, bytes)
      if let chosen = accepted({ try index.choose(for: .ours) }) {
        try hold(index.manifests.contains(chosen), "one was chosen that is not there")
      }
    case nil: break
    }
  }

  private static func place(_ typed: String) throws(Finding) {
    guard let url = accepted({ try RegistryURL(parsing: typed) }) else { return }
    try hold(accepted { try RegistryURL(parsing: url.text) } == url, "\(url.text) reads as another")
    try hold(url.text.utf8.allSatisfy { $0 > 32 && $0 < 127 } && !url.authority.contains("@"), "the URL \(url.text)")
    guard let next = accepted({ try url.following(typed) }) else { return }
    try hold(url.isPlain || !next.isPlain, "TLS is lost")
  }

  private static func challenge(_ value: String) throws(Finding) {
    guard let chosen = accepted({ try RegistryChallenge.choose([value]) }), case .bearer(let service) = chosen else {
      return
    }
    guard let url = accepted({ try service.url(wanting: ["repository:a:pull"], plain: false) }) else { return }
    try place(url.text)
    try hold(!url.isPlain, "a token without TLS")
  }

  private static func roundTrip<Value: JSONValue>(_ type: Value.Type, _ bytes: [UInt8]) throws(Finding) {
    guard let read = accepted({ try JSON.decode(type, from: bytes, name: "x") }) else { return }
    do throws(JSONError) {
      let written = try JSON.encode(read)
      let again = try JSON.encode(JSON.decode(type, from: written, name: "written"))
      guard again == written else { throw JSONError(why: "\(text(written)) reads as \(text(again))") }
    } catch { throw Finding("\(type): \(error)") }
  }
}
