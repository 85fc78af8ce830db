internal import Glibc
internal import LinuxNS
internal import ResourceControl

extension Zones {
  /// Refuses a spec that could not do what it says: everything that is known before anything is made.
  func checked(_ spec: ZoneSpec) throws(ZoneError) {
    _ = try files(spec.name)
    guard spec.name != "none", spec.name != "host" else {
      throw .usage("'\(spec.name)' is a word of ours, not a zone's name")
    }
    // Only `zonectl sandbox` makes such, and they are its caller's own rights.
    if spec.sandbox != nil, spec.brand != .sparse || !spec.ephemeral {
      throw .usage("a sandbox is of the host's own programs, and passes")
    }
    if case .directory(let path) = spec.brand {
      let status = try attempt("use the tree \(path)") { () throws(SyscallError) in try FileSystem.status(path) }
      guard status.st_mode & S_IFMT == S_IFDIR else { throw .usage("image 'dir:\(path)': not a directory") }
    }
    if spec.brand == .empty, spec.volumes.isEmpty, !spec.command.isEmpty {
      throw .usage("image 'empty': nothing would be in it to execute; mount something with --volume")
    }
    if spec.ownInit, spec.command.isEmpty {
      throw .usage("--init: the zone's own init wants a command, /sbin/init say")
    }
    for variable in spec.environment.keys where variable.isEmpty || variable.contains("=") || variable.contains("\0") {
      throw .usage("environment variable '\(variable)': not a name")
    }
    if let workdir = spec.workdir, !workdir.hasPrefix("/") {
      throw .usage("workdir '\(workdir)': not an absolute path")
    }
    if let hostname = spec.hostname {
      let labels = hostname.split(separator: ".", omittingEmptySubsequences: false)
      guard hostname.utf8.count <= 64, labels.allSatisfy({ isDNSLabel($0.lowercased()) }) else {
        throw .usage("hostname '\(hostname)': not a host's name of at most 64 characters")
      }
    }
    if spec.quota != nil {
      if spec.ephemeral { throw .usage("quota: a passing zone writes in memory (--memory bounds that)") }
      switch spec.brand {
      case .sparse, .image: break
      case .directory(let path): throw .usage("quota: the tree \(path) is not the zone's own")
      case .empty: throw .usage("quota: the zone has nothing of its own to write in")
      }
    }
    if !spec.limits.isEmpty {
      let machine: MachineResources
      do { machine = try MachineResources.read() } catch { throw .usage("\(error)") }
      do { try spec.limits.validate(on: machine) } catch { throw .usage("\(error)") }
    }
    var targets: Set<String> = []
    for volume in spec.volumes {
      guard volume.target.hasPrefix("/"), volume.target != "/", !volume.target.split(separator: "/").contains("..")
      else {
        throw .usage("volume target '\(volume.target)': not an absolute path inside")
      }
      guard targets.insert(volume.target).inserted else {
        throw .usage("volume target '\(volume.target)': given twice")
      }
      switch volume.source {
      case .path(let path):
        guard path.hasPrefix("/") else { throw .usage("volume '\(path)': not an absolute path") }
        _ = try attempt("use the volume \(path)") { () throws(SyscallError) in try FileSystem.status(path) }
        if geteuid() == 0,
          let magic = try attempt("use the volume \(path)", { () throws(SyscallError) in try IdMappable.refusal(path) })
        {
          throw .refused(
            "cannot map the ids of volume \(path): Linux \(IdMappable.kernel.0).\(IdMappable.kernel.1) has no idmapped mounts for its file system (type 0x\(String(magic, radix: 16))); keep the folder on ext4, xfs, btrfs or tmpfs"
          )
        }
      case .volume(let name):
        guard isDNSLabel(name) else {
          throw .usage("volume '\(name)': a named volume is a-z, 0-9 and hyphens; a folder is an absolute path")
        }
      case .tmpfs: break
      }
    }
    for secret in spec.secrets {
      guard !secret.name.isEmpty, !secret.name.contains("/"), secret.name != ".", secret.name != ".." else {
        throw .usage("secret '\(secret.name)': not a file name")
      }
    }
    for alias in spec.aliases where !isDNSLabel(alias) { throw .usage("alias '\(alias)': not a DNS label") }
    if !spec.publish.isEmpty {
      guard case .named = spec.network else {
        throw .usage("publish: network \(spec.network.text) has no ports to publish; use --network default")
      }
    }
    do {
      _ = try Signals.number(parsing: spec.stopSignal)
      _ = try CapabilitySet.zoneDefault.applying(
        add: spec.capAdd, drop: spec.capDrop, known: .known(last: Capability.last()))
    } catch { throw .syntax(error) }
    guard spec.stopGrace >= 0, spec.stopGrace < 1e6 else {
      throw .usage("stop-timeout \(spec.stopGrace): not from 0 to 1000000 seconds")
    }
  }
}
