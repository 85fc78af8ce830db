/// One item of `--network allow=…`: `HOST`, `*.HOST`, `ADDRESS` or `ADDRESS/LENGTH`, each with `:PORT` or for any port.
public struct EgressRule: Hashable, Sendable, CustomStringConvertible {
  public enum Subject: Hashable, Sendable {
    case name(String)
    /// Every name below this one, at any depth, and not the name itself.
    case subdomains(String)
    case addresses(IPPrefix)
    /// Of `learn`, which writes down what it is: no text on a command line means it.
    case everything
  }

  public static let everything = EgressRule(subject: .everything)

  private init(subject: Subject) { self.subject = subject }

  /// One of a plan's.
  init(planned text: String) throws(NetworkError) {
    self = text == Self.everything.description ? .everything : try EgressRule(text)
  }

  public var subject: Subject
  /// nil: any.
  public var port: UInt16?

  /// - Throws: `.invalid`, in one line that names the item.
  public init(_ text: String) throws(NetworkError) {
    func refuse(_ why: String) -> NetworkError {
      .invalid(
        "network 'allow=\(text)': \(why) (write HOST, *.HOST, ADDRESS or ADDRESS/LENGTH, each with :PORT or without, "
          + "IPv6 in brackets: pypi.org:443)")
    }
    var host = text[...]
    var written: Substring?
    if text.utf8.first == UInt8(ascii: "[") {
      guard let close = text.firstIndex(of: "]") else { throw refuse("the bracket is not closed") }
      let rest = text[text.index(after: close)...]
      host = text[text.index(after: text.startIndex)..<close]
      guard host.utf8.contains(UInt8(ascii: ":")), IPPrefix(host) != nil else {
        throw refuse("'\(host)' is no IPv6 address or prefix")
      }
      guard rest.isEmpty || rest.utf8.first == UInt8(ascii: ":") else {
        throw refuse("a colon must follow the address")
      }
      if !rest.isEmpty { written = rest.dropFirst() }
    } else if text.utf8.count(where: { $0 == UInt8(ascii: ":") }) == 1, let colon = text.firstIndex(of: ":") {
      host = text[..<colon]
      written = text[text.index(after: colon)...]
    }
    if let written {
      guard !written.utf8.starts(with: "//".utf8) else { throw refuse("an address of the web, and not a host's") }
      guard let number = EgressHost.port(written) else { throw refuse("'\(written)' is no port from 1 to 65535") }
      port = number
    }
    if host.utf8.starts(with: "*.".utf8) {
      guard let name = EgressHost.canonical(host.utf8.dropFirst(2)) else {
        throw refuse("'\(host.dropFirst(2))' is no host's name")
      }
      subject = .subdomains(name)
    } else if let prefix = IPPrefix(host) {
      subject = .addresses(prefix)
    } else if let name = EgressHost.canonical(host.utf8) {
      subject = .name(name)
    } else if host.utf8.contains(UInt8(ascii: "/")) {
      throw refuse("'\(host)' is no prefix: its length does not fit, or bits beyond it are set")
    } else {
      throw refuse(host == "*" ? "every host is what --network full is for" : "'\(host)' is no host's name or address")
    }
    guard port != nil || !isLoopback else {
      throw refuse(
        "every port of this machine's own loopback, which no other machine reaches, needs to be named by itself")
    }
  }

  /// Whether it opens the loopback of the machine.
  var isLoopback: Bool {
    switch subject {
    case .name(let name), .subdomains(let name): EgressHost.isLocal(name)
    case .addresses(let prefix):
      SpecialAddress.block(of: prefix.base).map { $0.use == .loopback && $0.prefix.contains(prefix) } == true
    case .everything: false
    }
  }

  func matches(name: String, port: UInt16) -> Bool {
    guard self.port == nil || self.port == port else { return false }
    return switch subject {
    case .name(let allowed): name == allowed
    case .subdomains(let parent): name.hasSuffix(".\(parent)")
    case .addresses: false
    case .everything: true
    }
  }

  /// A special address is opened by a rule for it or for its kind alone: 0.0.0.0/0 is the world, and no loopback.
  func matches(address: IPAddress, port: UInt16) -> Bool {
    if subject == .everything { return true }
    guard self.port == nil || self.port == port, case .addresses(let prefix) = subject, prefix.contains(address) else {
      return false
    }
    guard let block = SpecialAddress.block(of: address) else { return true }
    return block.prefix.contains(prefix)
  }

  /// Whether it opens this address and no other one.
  func isFor(_ address: IPAddress, port: UInt16) -> Bool {
    if subject == .everything { return true }
    return (self.port == nil || self.port == port) && subject == .addresses(IPPrefix(address, length: 128))
  }

  /// On some port.
  func opens(_ host: EgressHost) -> Bool {
    switch host {
    case .name(let name): matches(name: name, port: port ?? 1)
    case .address(let address): matches(address: address, port: port ?? 1)
    }
  }

  /// The form that is read.
  public var description: String {
    let end = port.map { ":\($0)" } ?? ""
    switch subject {
    case .name(let name): return name + end
    case .subdomains(let name): return "*.\(name)\(end)"
    case .everything: return "*"
    case .addresses(let prefix): return prefix.base.ipv4 == nil ? "[\(prefix)]\(end)" : "\(prefix)\(end)"
    }
  }
}
