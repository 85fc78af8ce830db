internal import CLinuxNS
internal import Glibc
internal import LinuxNS
internal import VirtualNet

/// An ordinary user's networks: the same as root's, in namespaces of his own, with pasta as their way out.
extension Zones {
  func userNetworks() throws(NetworkError) -> Networks {
    // Links and tables are in namespaces of their own, where no other place's can be met: they need no tag.
    try Networks(
      NetworkDirectories(data: directories.shared, run: directories.sharedRun, instanceTag: ""),
      // The helper is root of its user namespace: where things lie it could not tell by who it is.
      helper: [zonectl, "user-network", directories.shared, directories.sharedRun], group: helperGroup,
      user: UserNetworks(
        searchPath: getenv("PATH").map { String(cString: $0) }, lives: { keeperLives($0) },
        namespace: { networkNamespace(of: $0) }),
      notice: notice)
  }

  /// A keeper that answers is alive, and its zone with it.
  private func keeperLives(_ name: String) -> Bool {
    guard let files = try? files(name), let link = try? KeeperLink.connect(files) else { return false }
    _ = consume link
    return true
  }

  /// A living zone's network namespace, which its keeper opened while the first process still was ours.
  private func networkNamespace(of name: String) -> CInt? {
    guard let files = try? files(name), let link = try? KeeperLink.connect(files),
      let all = try? descriptors(link, .namespaces, name)
    else { return nil }
    // ioctl_nsfs(2), NS_GET_NSTYPE
    var network: CInt?
    for fd in all {
      if network == nil, zns_ioctl(fd, 0xb703, 0) == 0x4000_0000 /* CLONE_NEWNET */ { network = fd } else { close(fd) }
    }
    return network
  }

  /// Without a word an ordinary user's zone has a network where pasta is installed, and none where it is not; asked for
  /// by name, its absence is an error.
  public func networkWithoutAWord() -> NetworkChoice {
    if geteuid() == 0 { return .named("default") }
    do {
      try UserNetworks.check(searchPath: getenv("PATH").map { String(cString: $0) })
      return .named("default")
    } catch {
      notice(
        "no network: pasta is not installed or may not open /dev/net/tun (install the package passt; --network none says so without this line)"
      )
      return .none
    }
  }
}
