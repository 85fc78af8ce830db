internal import NIOHTTP1
internal import ZoneRuntime

/// Brings blobs from the store to a registry (distribution-spec, "Pushing Blobs"): those that it has not.
struct BlobPusher: Sendable {
  let store: ImageStore
  let client: RegistryClient
  /// Of each blob the other repositories of this registry that may have it.
  let neighbours: [ContentDigest: [String]]
  let tell: @Sendable (FetchNews) -> Void

  private static let octets = ("Content-Type", "application/octet-stream")

  /// - Parameter words: which of the image's blobs it is.
  func push(_ blob: ImageDescriptor, _ words: String) async throws(ImageError) {
    do throws(ImageError) {
      var news = FetchNews(words: words, digest: blob.digest, state: .fetching, have: 0, size: blob.size)
      if try await isThere(blob.digest) == false, try await isMounted(blob.digest) == false {
        try await upload(try BlobIntake(store: store).blob(blob), blob, news)
      }
      (news.state, news.have) = (.done, blob.size)
      tell(news)
    } catch {
      throw ImageError("\(words) (\(blob.digest.algorithm.rawValue):\(blob.digest.short)…): \(error.why)")
    }
  }

  // MARK: what is there

  private func isThere(_ digest: ContentDigest) async throws(ImageError) -> Bool {
    try await patiently { () async throws(RegistryFailure) in try await look(for: digest) }
  }

  private func look(for digest: ContentDigest) async throws(RegistryFailure) -> Bool {
    let answer = try await client.send(.HEAD, client.home("\(client.image.repository)/blobs/\(digest.text)"))
    guard answer.status == 200 || answer.status == 404 else { throw await answer.failure() }
    return answer.status == 200
  }

  /// Has the registry take it from another of its repositories. One that does not want to begins an upload, which is left
  /// to run out.
  private func isMounted(_ digest: ContentDigest) async throws(ImageError) -> Bool {
    for other in neighbours[digest] ?? [] where other != client.image.repository {
      let place = try await patiently { () async throws(RegistryFailure) in try await uploads() }
      let url = place.adding("mount", digest.text).adding("from", other)
      // Whatever else is answered, it can be sent.
      guard let answer = try? await client.send(.POST, url), answer.status == 201 else { continue }
      return true
    }
    return false
  }

  // MARK: sending

  private func uploads() async throws(RegistryFailure) -> RegistryURL {
    try await client.home("\(client.image.repository)/blobs/uploads/")
  }

  /// Where an upload goes on, and with which byte.
  private struct Upload {
    var place: RegistryURL
    var have: Int64 = 0
  }

  private func upload(_ file: ImportFile, _ blob: ImageDescriptor, _ news: FetchNews) async throws(ImageError) {
    var patience = RegistryPatience()
    var begun: Upload?
    // The furthest that the registry has had it: one that says less and more in turns is not waited for without end.
    var furthest: Int64 = 0
    while true {
      do throws(RegistryFailure) {
        var upload: Upload
        if let begun, let left = try await resumed(begun) {
          upload = left
        } else {
          // Forgotten may be an upload that was ended, and whose answer was lost.
          if begun != nil, try await look(for: blob.digest) { return }
          upload = try await begin()
        }
        if upload.have > furthest {
          patience.progressed()
          furthest = upload.have
        }
        begun = upload
        upload.place = try await send(file, blob, upload, news)
        return try await finish(blob, upload)
      } catch { try await patience.wait(after: error) }
    }
  }

  private func begin() async throws(RegistryFailure) -> Upload {
    let answer = try await client.send(.POST, try await uploads(), [("Content-Length", "0")])
    guard answer.status == 202 else { throw await answer.failure() }
    return Upload(place: try place(answer))
  }

  /// How far it came, as the registry says; nil where it has forgotten it.
  private func resumed(_ upload: Upload) async throws(RegistryFailure) -> Upload? {
    let answer = try await client.send(.GET, upload.place)
    guard [202, 204].contains(answer.status), let have = UploadRange.end(answer.value("Range")) else {
      return nil
    }
    return Upload(place: (try? place(answer)) ?? upload.place, have: have)
  }

  private func send(_ file: ImportFile, _ blob: ImageDescriptor, _ upload: Upload, _ news: FetchNews)
    async throws(RegistryFailure) -> RegistryURL
  {
    guard upload.have < blob.size else { return upload.place }
    let tell = tell
    let chunks = FileChunks(file: file, start: upload.have, end: blob.size) { at in
      var news = news
      news.have = at
      tell(news)
    }
    let range = upload.have > 0 ? [("Content-Range", "\(upload.have)-\(blob.size - 1)")] : []
    let answer = try await client.send(.PATCH, upload.place, [Self.octets] + range, body: .file(chunks))
    guard [201, 202, 204].contains(answer.status) else { throw await answer.failure() }
    return try place(answer)
  }

  /// Seconds in which a registry may hash what it got, or move it to where it keeps it.
  private static let mostFinishing: Int64 = 600

  private func finish(_ blob: ImageDescriptor, _ upload: Upload) async throws(RegistryFailure) {
    let url = upload.place.adding("digest", blob.digest.text)
    let answer = try await client.send(.PUT, url, [Self.octets], body: .bytes([]), silence: Self.mostFinishing)
    guard answer.status == 201 || answer.status == 204 else { throw await answer.failure() }
  }

  private func place(_ answer: RegistryAnswer) throws(RegistryFailure) -> RegistryURL {
    guard let location = answer.value("Location") else {
      throw RegistryFailure("\(answer.url.authority) takes an upload and does not say where")
    }
    do throws(ImageError) { return try answer.url.following(location) } catch { throw RegistryFailure(error) }
  }

  // MARK: trying again

  private func patiently<Value: Sendable>(_ body: () async throws(RegistryFailure) -> Value) async throws(ImageError)
    -> Value
  {
    var patience = RegistryPatience()
    while true {
      do throws(RegistryFailure) { return try await body() } catch { try await patience.wait(after: error) }
    }
  }
}
