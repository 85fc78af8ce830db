internal import Foundation
internal import NIOHTTP1
internal import ZoneRuntime

/// One repository of a registry (distribution-spec), asked in somebody's name: where it is, who he is, where it sends us.
actor RegistryClient {
  nonisolated let image: ImageReference
  private let transport: RegistryTransport
  private let logins: RegistryLogins
  private let wantsPlain: Bool
  /// Logins are asked for with the right to write.
  private let isPushing: Bool
  /// Without TLS; nil: it is to be found out.
  private var isPlain: Bool?
  /// What stands in `Authorization`.
  private var authorization: String?
  /// How many logins there were: who was refused with an older one asks again with this one.
  private var logged = 0
  private var renewal: Task<Result<String, RegistryFailure>, Never>?

  static let mostRedirects = 5
  private static let mostSeconds = 120.0

  init(
    _ image: ImageReference, _ options: RegistryOptions, _ transport: RegistryTransport, _ logins: RegistryLogins,
    isPushing: Bool = false
  ) {
    self.isPushing = isPushing
    self.image = image
    self.transport = transport
    self.logins = logins
    wantsPlain = options.isPlain
  }

  // MARK: what is asked for

  struct Document: Sendable {
    var bytes: [UInt8]
    var mediaType: String?
    /// Of the answer's header, for what was asked for by its tag.
    var digest: String?
  }

  /// A manifest or an index, by tag or digest.
  func manifest(_ pointer: String) async throws(ImageError) -> Document {
    var patience = RegistryPatience()
    while true {
      do throws(RegistryFailure) { return try await manifestOnce(pointer) } catch {
        try await patience.wait(after: error)
      }
    }
  }

  private func manifestOnce(_ pointer: String) async throws(RegistryFailure) -> Document {
    do {
      return try await within(seconds: Self.mostSeconds) {
        let accept = MediaType.accepted.map { ("Accept", $0) }
        let answer = try await self.get("\(self.image.repository)/manifests/\(pointer)", accept)
        guard answer.status == 200 else { throw await answer.failure() }
        return Document(
          bytes: try await answer.bytes(limit: ImageDocument.mostBytes), mediaType: answer.value("Content-Type"),
          digest: answer.value("Docker-Content-Digest"))
      }
    } catch { throw RegistryTransport.failure(error, RegistryURL(image, "", isPlain: isPlain ?? false)) }
  }

  /// A blob, or the rest of one. Any status.
  /// - Parameter first: the byte to begin with.
  func blob(_ digest: ContentDigest, from first: Int64) async throws(RegistryFailure) -> RegistryAnswer {
    try await get(
      "\(image.repository)/blobs/\(digest.text)",
      // A proxy on the way that compresses would change what the digest is of.
      [("Accept-Encoding", "identity")] + (first > 0 ? [("Range", "bytes=\(first)-")] : []))
  }

  // MARK: how

  private func get(_ path: String, _ headers: [(String, String)]) async throws(RegistryFailure) -> RegistryAnswer {
    try await send(.GET, home(path), headers)
  }

  /// A place of the registry's API.
  func home(_ path: String) async throws(RegistryFailure) -> RegistryURL {
    RegistryURL(image, path, isPlain: try await scheme())
  }

  /// Logs in where that is asked for; goes where it is sent, but with no body.
  func send(
    _ method: HTTPMethod, _ first: RegistryURL, _ headers: [(String, String)] = [], body: RegistryBody = .none,
    silence: Int64 = RegistryTransport.mostSilence
  ) async throws(RegistryFailure) -> RegistryAnswer {
    let registry = try await home("")
    var url = first
    // An upload's `Accepted` has a Location that is no redirect.
    let isFollowing = method == .GET || method == .HEAD
    var hasLoggedIn = false
    var redirects = 0
    while true {
      // Nobody but the registry hears who we are (CVE-2020-15157).
      let isHome = url.isSamePlace(as: registry)
      let login = logged
      let own = isHome ? authorization.map { [("Authorization", $0)] } ?? [] : []
      let answer = try await transport.send(method, url, headers + own, body: body, silence: silence)
      switch answer.status {
      case 401 where isHome && !hasLoggedIn:
        hasLoggedIn = true
        try await logIn(answer.headers["WWW-Authenticate"], after: login)
      case 301, 302, 303, 307, 308:
        // Elsewhere nobody has asked us to write.
        guard isFollowing else { return answer }
        redirects += 1
        guard redirects <= Self.mostRedirects, let location = answer.value("Location") else {
          throw RegistryFailure(
            redirects > Self.mostRedirects
              ? "\(registry.authority) sends us on more than \(Self.mostRedirects) times"
              : "\(url.authority) sends us on and does not say where")
        }
        do throws(ImageError) { url = try url.following(location) } catch { throw RegistryFailure(error) }
      default: return answer
      }
    }
  }

  /// TLS, but where somebody said otherwise, and on this machine where nobody speaks it.
  private func scheme() async throws(RegistryFailure) -> Bool {
    if let isPlain { return isPlain }
    guard !wantsPlain, image.isLocal else {
      isPlain = wantsPlain
      return wantsPlain
    }
    var found = false
    do throws(RegistryFailure) {
      _ = try await transport.send(.GET, RegistryURL(image, "", isPlain: false), [])
    } catch {
      // What answers without TLS there is the registry; a certificate that is not trusted is no reason to do without one.
      guard let answer = try? await transport.send(.GET, RegistryURL(image, "", isPlain: true), []),
        [200, 401].contains(answer.status)
      else { throw error }
      found = true
    }
    isPlain = found
    return found
  }

  // MARK: login

  private func logIn(_ challenges: [String], after login: Int) async throws(RegistryFailure) {
    // Somebody else of us has logged in since.
    guard login == logged else { return }
    let task = renewal ?? Task { await self.newAuthorization(challenges) }
    renewal = task
    let result = await task.value
    if login == logged {
      logged += 1
      renewal = nil
      authorization = try? result.get()
    }
    _ = try result.get()
  }

  private func newAuthorization(_ challenges: [String]) async -> Result<String, RegistryFailure> {
    do throws(RegistryFailure) {
      let challenge: RegistryChallenge
      let found: RegistryLogins.Found
      do throws(ImageError) {
        challenge = try RegistryChallenge.choose(challenges)
        found = try logins.find(for: image)
      } catch { throw RegistryFailure(error) }
      switch challenge {
      case .basic:
        guard case .login(.password(let name, let password)) = found else { throw needsLogin(found) }
        return .success(Self.basic(name, password))
      case .bearer(let service): return .success("Bearer \(try await token(service, found))")
      }
    } catch { return .failure(error) }
  }

  private static func basic(_ name: String, _ password: String) -> String {
    "Basic \(Data("\(name):\(password)".utf8).base64EncodedString())"
  }

  private func needsLogin(_ found: RegistryLogins.Found) -> RegistryFailure {
    if case .helper(let program, let file) = found {
      return RegistryFailure(
        "\(image.registry) wants a login, and \(file) leaves it to docker-credential-\(shortened(program)), which is not run here (--login FILE with one in it)"
      )
    }
    return RegistryFailure(
      "\(image.registry) wants a login (podman login or docker login makes one, --login FILE names it)")
  }

  /// From whoever the registry sends us to.
  private func token(_ service: TokenService, _ found: RegistryLogins.Found) async throws(RegistryFailure) -> String {
    // What the challenge of a read names is too little for the writes beside it, which have the same token.
    var scopes = service.scopes
    let own = TokenService.scope(of: image, push: isPushing)
    if scopes.isEmpty || isPushing && !scopes.contains(own) { scopes.append(own) }
    let wanted = scopes
    let isPlain = isPlain ?? false
    do {
      return try await within(seconds: Self.mostSeconds) {
        let answer: RegistryAnswer
        if case .login(.identity(let refresh)) = found {
          // "OAuth2 Token Authentication" of distribution.
          let url = try TokenService(realm: service.realm, service: nil, scopes: []).url(wanting: [], plain: isPlain)
          let fields = [
            ("grant_type", "refresh_token"), ("client_id", "zones"), ("service", service.service ?? ""),
            ("scope", wanted.joined(separator: " ")), ("refresh_token", refresh),
          ]
          let form = fields.map { "\($0.0)=\(TokenService.escaped($0.1))" }.joined(separator: "&")
          answer = try await self.transport.send(
            .POST, url, [("Content-Type", "application/x-www-form-urlencoded")], body: .bytes(Array(form.utf8)))
        } else {
          var headers: [(String, String)] = []
          if case .login(.password(let name, let password)) = found {
            headers.append(("Authorization", Self.basic(name, password)))
          }
          answer = try await self.transport.send(.GET, try service.url(wanting: wanted, plain: isPlain), headers)
        }
        if [401, 403].contains(answer.status) {
          if case .login = found {
            throw RegistryFailure("\(answer.url.authority) refuses the login for \(self.image.registry)")
          }
          throw await self.needsLogin(found)
        }
        guard answer.status == 200 else { throw await answer.failure() }
        let bytes = try await answer.bytes(limit: 1 << 20)
        return try JSON.decode(TokenAnswer.self, from: bytes, name: "token").bearer()
      }
    } catch let error as ImageError { throw RegistryFailure(error) } catch let error as JSONError {
      throw RegistryFailure("\(shortened(service.realm)) answers with what is no token: \(error.why)")
    } catch { throw RegistryTransport.failure(error, RegistryURL(image, "", isPlain: isPlain)) }
  }
}
