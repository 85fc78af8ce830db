internal import Glibc
internal import LinuxNS
internal import VirtualNet

/// Network devices of the host's that a container gets (config-linux.md, "Network Devices").
extension Containers {
  /// Its process waits in its namespaces, and no hook has run: those may look for the devices.
  /// - Parameter moved: is set before the first one is moved, for who undoes it.
  func moveNetworkDevices(_ config: BundleConfig, to pid: Int32, _ moved: inout DeviceMove?) throws(ZoneError) {
    let devices = config.linux.networkDevices
    guard !devices.isEmpty else { return }
    let namespace = try attempt("open the container's network namespace") { () throws(SyscallError) in
      try OwnedFD.open("/proc/\(pid)/ns/net", O_RDONLY)
    }
    var move: DeviceMove
    do throws(NetworkError) { move = try DeviceMove(into: namespace) } catch {
      throw .refused("config.json: linux.netDevices: \(error)")
    }
    for device in devices {
      do throws(NetworkError) { try move.move(device.name, as: device.inside) } catch {
        moved = consume move
        throw .refused("config.json: linux.netDevices.\(device.name): \(error)")
      }
    }
    moved = consume move
  }
}
