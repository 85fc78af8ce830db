internal import Foundation
internal import ZoneRuntime

/// Which requests go by a proxy: what the environment says, as curl(1) and Go's programs read it.
struct ProxyRules: Equatable, Sendable {
  struct Proxy: Hashable, Sendable {
    var host: String
    var port: Int
    /// `NAME:PASSWORD`
    var login: String?
  }

  private let plain: Proxy?
  private let secure: Proxy?
  private let exceptions: [String]

  /// - Throws: for a variable that names no proxy of HTTP.
  init(_ environment: [String: String]) throws(ImageError) {
    let variable = { (name: String) in
      // HTTP_PROXY in capitals is what a web server makes of a visitor's header (CVE-2016-5385).
      (environment[name] ?? (name == "http_proxy" ? nil : environment[name.uppercased()])).flatMap {
        $0.isEmpty ? nil : $0
      }
    }
    plain = try variable("http_proxy").map { (text) throws(ImageError) in try Self.proxy(text, "http_proxy") }
    secure = try variable("https_proxy").map { (text) throws(ImageError) in try Self.proxy(text, "https_proxy") }
    exceptions = (variable("no_proxy") ?? "").lowercased().split { $0 == "," || $0 == " " }.map(String.init)
  }

  func proxy(for url: RegistryURL) -> Proxy? {
    guard let proxy = url.isPlain ? plain : secure, !isLoopback(url.host), !isExcepted(url) else { return nil }
    return proxy
  }

  private func isLoopback(_ host: String) -> Bool {
    host == "localhost" || host == "[::1]" || (host.hasPrefix("127.") && host.utf8.allSatisfy { $0 < 58 })
  }

  /// `*`, `HOST`, `.DOMAIN`, each with `:PORT` or without; a name stands for what ends in it, too.
  private func isExcepted(_ url: RegistryURL) -> Bool {
    exceptions.contains { exception in
      if exception == "*" { return true }
      var name = Substring(exception)
      if let colon = name.lastIndex(of: ":"), !name.hasSuffix("]"), name.filter({ $0 == ":" }).count == 1 {
        guard UInt16(name[name.index(after: colon)...]) == url.port ?? (url.isPlain ? 80 : 443) else { return false }
        name = name[..<colon]
      }
      if name.hasPrefix("*.") { name = name.dropFirst() }
      if name.hasPrefix(".") { return url.host.hasSuffix(name) || url.host == name.dropFirst() }
      return url.host == name || url.host == "[\(name)]" || url.host.hasSuffix(".\(name)")
    }
  }

  private static func proxy(_ text: String, _ variable: String) throws(ImageError) -> Proxy {
    var rest = Substring(text)
    if let scheme = text.range(of: "://") {
      guard text[..<scheme.lowerBound].lowercased() == "http" else {
        throw ImageError("\(variable) names a proxy of \(shortened(String(text[..<scheme.lowerBound]))); known is http")
      }
      rest = text[scheme.upperBound...]
    }
    rest = rest.prefix { $0 != "/" }
    var login: String?
    if let at = rest.lastIndex(of: "@") {
      login = String(rest[..<at]).removingPercentEncoding ?? String(rest[..<at])
      rest = rest[rest.index(after: at)...]
    }
    guard let url = try? RegistryURL(parsing: "http://\(rest)/") else {
      throw ImageError("\(variable) is no HOST:PORT of a proxy")
    }
    return Proxy(host: url.host, port: Int(url.port ?? 80), login: login)
  }
}
