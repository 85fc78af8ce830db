internal import Glibc
internal import LinuxNS
internal import VirtualNet

/// A zone's place on its network.
extension AuditLook {
  func network() throws(ZoneError) -> [AuditFinding] {
    let found: NetworkAudit
    do throws(NetworkError) {
      switch spec.network {
      case .host:
        return [
          AuditFinding(name: "network", seen: "the host's, as asked for", differences: []),
          AuditFinding(name: "firewall", seen: "the host's", differences: []),
        ]
      case .none:
        found = try Networks.auditWithout(netns: namespace(), ofUser: !byHost, mayChange: mayNetwork)
      case .named(let network):
        let request = AttachRequest(zone: spec.name, network: network, aliases: spec.aliases, ports: spec.publish)
        found = try zones.networks().audit(request, netns: namespace(), mayChange: mayNetwork)
      }
    } catch { throw .refused("\(error)") }
    let differences = { (list: [NetworkAudit.Difference]) in
      list.map { AuditDifference($0.what, wanted: $0.wanted, found: $0.found) }
    }
    return [
      AuditFinding(name: "network", seen: found.seen, differences: differences(found.links)),
      AuditFinding(
        name: "firewall", seen: spec.network == .none ? "none is needed" : "the rules and the zone's elements",
        differences: differences(found.walls)),
    ]
  }

  /// The zone's network namespace.
  private func namespace() throws(NetworkError) -> OwnedFD {
    do throws(SyscallError) {
      if byHost { return try OwnedFD.open("/proc/\(first)/ns/net", O_RDONLY) }
      for fd in way where try FileSystem.readLink("/proc/self/fd/\(fd)").hasPrefix("net:") {
        return try OwnedFD.open("/proc/self/fd/\(fd)", O_RDONLY)
      }
      throw SyscallError(call: "open", errno: ENOENT, path: "the zone's network namespace")
    } catch { throw .system("open the zone's network namespace", error) }
  }
}
