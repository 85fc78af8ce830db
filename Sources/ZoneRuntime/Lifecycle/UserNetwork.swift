internal import Glibc
internal import LinuxNS
internal import VirtualNet

/// An ordinary user's network: pasta, one for each zone, since no bridge of the host's is his to make.
extension Zones {
  /// The zone waits at its gate; its first process still is ours, so its namespaces may be opened by path.
  func attachPasta(_ spec: ZoneSpec, _ pid: Int32, _ files: ZoneFiles, _ record: inout RunRecord) throws(ZoneError) {
    do throws(NetworkError) {
      let program = try Pasta.find(searchPath: getenv("PATH").map { String(cString: $0) })
      let target = Pasta.Target(
        networkNamespace: "/proc/\(pid)/ns/net", userNamespace: "/proc/\(pid)/ns/user", ports: spec.publish)
      record.pasta = try Pasta.start(program, target, folder: files.run)
    } catch { throw .refused("\(error)") }
    try files.writeRecord(record)
  }

  func endPasta(_ record: RunRecord) throws(ZoneError) {
    guard let pasta = record.pasta else { return }
    do throws(NetworkError) { try pasta.end() } catch { throw .refused("\(error)") }
  }

  /// Without a word an ordinary user's zone has a network where pasta is installed, and none where it is not; asked for
  /// by name, its absence is an error.
  public func networkWithoutAWord() -> NetworkChoice {
    if geteuid() == 0 { return .named("default") }
    if (try? Pasta.find(searchPath: getenv("PATH").map { String(cString: $0) })) != nil,
      access("/dev/net/tun", R_OK | W_OK) == 0
    {
      return .named("default")
    }
    notice("no network: pasta is not installed or may not open /dev/net/tun (install the package passt; --network none says so without this line)")
    return .none
  }
}
