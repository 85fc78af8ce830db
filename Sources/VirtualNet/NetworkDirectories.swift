/// Where the state of networks lies.
public struct NetworkDirectories: Equatable, Sendable {
  /// What outlives a restart of the machine: `DATA/networks/NAME`, the leases.
  public var data: String
  /// What does not: `RUN/networks/NAME`, who is attached.
  public var run: String
  /// Empty for the standard directories; else up to four of a-z and 0-9, which become part of the names of links and
  /// tables, so that two instances on a host do not meet.
  public var instanceTag: String

  public init(data: String, run: String, instanceTag: String) {
    self.data = data
    self.run = run
    self.instanceTag = instanceTag
  }

  /// A tag from the path of a directory: 20 bits of a hash.
  public static func tag(of path: String) -> String {
    let power4: UInt64 = 1_679_616  // 36 to the 4th
    let text = String(fnv1a(path) % power4, radix: 36)
    return String(repeating: "0", count: 4 - text.count) + text
  }

  var leaseFolder: String { "\(data)/networks" }
  var stateFolder: String { "\(run)/networks" }
  var folders: [String] { [leaseFolder, stateFolder] }
  func leases(_ network: String) -> String { "\(leaseFolder)/\(network)" }
  func state(_ network: String) -> String { "\(stateFolder)/\(network)" }
  /// Names of networks are DNS labels, so a leading dot is free for these.
  var lock: String { "\(stateFolder)/.lock" }
  var sysctls: String { "\(stateFolder)/.sysctls" }
  /// The socket of the port relay of an ordinary user's network.
  func relay(_ network: String) -> String { "\(stateFolder)/\(Self.relayName(network))" }
  static func relayName(_ network: String) -> String { ".\(network).relay" }
  /// Where pasta writes its pid; by this path in its arguments it is also found.
  func pastaPid(_ network: String) -> String { "\(stateFolder)/.\(network).pasta" }
}
