internal import Glibc
internal import LinuxNS

extension Zones {
  /// Compares what the kernel says of a living zone with what a start of its spec would make. Changes nothing.
  ///
  /// Who the zone's processes are is asked of its keeper: who listens on the keeper's socket is the keeper, and the zone's
  /// processes are its child and its child's.
  public func audit(_ name: String) throws(ZoneError) -> ZoneAudit {
    let files = try files(name)
    guard files.exists, let spec = try files.readSpec() else { throw .notFound(name) }
    let state = try state(of: files)
    guard state == .running || state == .frozen || state == .shuttingDown, let record = try files.readRecord(),
      let keeper = try files.readKeeper(), let link = try link(to: files)
    else {
      let hint = state == .ready ? "its command waits at the gate; start it" : "start it first"
      throw .state(zone: name, state: state, verb: "audit", hint: hint)
    }
    // Its namespaces, or for root its first process.
    let way = try descriptors(link, .namespaces, name)
    defer { for fd in way { close(fd) } }
    do throws(ZoneError) {
      let pid = try attempt("ask who keeps zone \(name)") { () throws(SyscallError) in try link.peer() }
      return try AuditLook(self, spec, record, keeper, pid, way).audit()
    } catch {
      // What ended while we looked is not there to be compared.
      if try self.link(to: files) == nil {
        throw .refused("cannot audit zone \(name): it ended meanwhile")
      }
      throw error
    }
  }
}
