internal import Foundation
internal import Glibc
internal import LinuxNS

/// The daemon's side of the balancers: starts, finds again, feeds and ends them. Every call blocks.
struct BalancerControl: Sendable {
  let directories: FleetDirectories
  /// The `orchestrator` program.
  let executable: String

  private func path(_ fleet: String, _ service: String) -> String { "\(directories.balancers(fleet))/\(service).json" }

  /// The living balancers of a fleet, by service.
  func living(_ fleet: String) -> [String: Balancer] {
    guard let names = try? FileSystem.list(directories.balancers(fleet)) else { return [:] }
    var living: [String: Balancer] = [:]
    for name in names where name.hasSuffix(".json.pid") {
      guard let identity = identity("\(directories.balancers(fleet))/\(name)"), identity.process.open() != nil else {
        continue
      }
      living[identity.balancer.service] = identity.balancer
    }
    return living
  }

  func start(_ balancer: Balancer, _ backends: [[Endpoint]]) throws(FleetError) {
    let path = path(balancer.fleet, balancer.service)
    try FleetDirectories.makePrivate("\(directories.runDirectory)/balance")
    try FleetDirectories.makePrivate(directories.balancers(balancer.fleet))
    try stop(fleet: balancer.fleet, service: balancer.service)
    try BalancerFile(balancer: balancer, backends: backends).write(path)
    do {
      let output = try OwnedFD.open("\(path).err", O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
      let process = try DetachedProcess.start(executable, ["balance", path], output: output)
      // Whether it ended is seen at once; a machine without a processor to spare takes its time.
      let deadline = Clock.monotonicNanoseconds() + 60_000_000_000
      while !FileSystem.exists("\(path).pid") {
        if try process.waitUntilEnd(timeout: 10) {
          _ = try process.reap()
          var words = (try? FileSystem.readLine("\(path).err")) ?? ""
          if words.hasPrefix("orchestrator: ") { words.removeFirst("orchestrator: ".count) }
          try? remove(path)  // best effort: the process's own words are the error
          throw FleetError.failed(
            "cannot balance \(balancer.service): \(words.isEmpty ? "the balancer ended at once" : words)")
        }
        guard Clock.monotonicNanoseconds() < deadline else {
          try process.signal(SIGKILL)
          throw FleetError.timedOut("cannot balance \(balancer.service): the balancer did not listen within 60 s")
        }
      }
    } catch let error as FleetError { throw error } catch {
      throw .failed("cannot start the balancer of \(balancer.service): \(error)")
    }
  }

  /// What a balancer was told last; nil where there is none.
  func file(of balancer: Balancer) -> BalancerFile? { try? BalancerFile.read(path(balancer.fleet, balancer.service)) }

  /// Tells a balancer where its ports lead now; nothing where nothing changed.
  func feed(_ balancer: Balancer, _ backends: [[Endpoint]]) throws(FleetError) {
    let path = path(balancer.fleet, balancer.service)
    let file = BalancerFile(balancer: balancer, backends: backends)
    guard FileSystem.exists(path), self.file(of: balancer) != file else { return }
    try file.write(path)
  }

  func stop(fleet: String, service: String) throws(FleetError) {
    let path = path(fleet, service)
    do {
      try identity("\(path).pid")?.process.end(grace: 2)
      try remove(path)
    } catch { throw .failed("cannot end the balancer of \(service): \(error)") }
  }

  /// Ends every balancer of a fleet.
  func stopAll(_ fleet: String) throws(FleetError) {
    for service in living(fleet).keys { try stop(fleet: fleet, service: service) }
    do { try FileSystem.removeTree(directories.balancers(fleet)) } catch {
      throw .failed("cannot remove the balancers of '\(fleet)': \(error)")
    }
    _ = rmdir("\(directories.runDirectory)/balance")  // only the last fleet's removal finds it empty
  }

  private func remove(_ path: String) throws(SyscallError) {
    for name in [path, "\(path).pid", "\(path).err"] { try FileSystem.removeTree(name) }
  }

  private func identity(_ path: String) -> BalancerIdentity? {
    guard let bytes = try? FileSystem.read(path) else { return nil }
    return try? JSONDecoder().decode(BalancerIdentity.self, from: Data(bytes))
  }
}
