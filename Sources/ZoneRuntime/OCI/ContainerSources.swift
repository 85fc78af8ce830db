internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The trees that ops attach, opened by host root before anything of the container's runs.
struct ContainerSources: ~Copyable {
  private(set) var numbers: [CInt] = []

  init(_ plan: ContainerPlan) throws(ZoneError) {
    for source in plan.sources {
      guard case .tree(let path, let recursive, let propagation, let idmap) = source else { continue }
      do throws(SyscallError) {
        let number = try HostTree.open(path, recursive: recursive, propagation).take()
        numbers.append(number)
        if let idmap {
          let space = try UserNamespace.make(NamespaceMaps.text(idmap.uids), NamespaceMaps.text(idmap.gids))
          // AT_EMPTY_PATH, AT_RECURSIVE; MOUNT_ATTR_IDMAP
          try check(
            zns_mount_setattr(number, "", 0x1000 | (idmap.isRecursive ? 0x8000 : 0), 0x0010_0000, 0, 0, space.raw),
            "mount_setattr", path)
        }
      } catch { throw .call("use \(path) for the container", error) }
    }
  }

  deinit { for number in numbers { close(number) } }
}

/// Namespaces that stand already, opened and looked at.
struct NamespaceFiles: ~Copyable {
  /// In the order in which they can be entered: an ordinary user has no power over any but by the user namespace, and host
  /// root loses his with it.
  private(set) var numbers: [CInt] = []
  /// The cgroup namespace, -1 where it is among the others. Nobody is born in a group that lies outside of his maker's where
  /// they are delegated (cgroup-v2.rst, "nsdelegate"), so the process enters it afterwards; but not in a new user namespace,
  /// which has no power over it.
  private(set) var cgroup: CInt = -1

  init(_ config: BundleConfig, isRoot: Bool) throws(ZoneError) {
    let entered = config.linux.namespaces.filter { $0.path != nil }
    let users = entered.filter { $0.flag == .user }
    let others = entered.filter { $0.flag != .user }
    for namespace in isRoot ? others + users : users + others {
      let path = namespace.path ?? ""
      try attempt("enter the \(namespace.name) namespace \(path)") { () throws(SyscallError) in
        let file = try OwnedFD.open(path, O_RDONLY)
        // ioctl_nsfs(2), NS_GET_NSTYPE
        let type = try check(zns_ioctl(file.raw, 0xb703, 0), "ioctl NS_GET_NSTYPE", path)
        guard UInt32(type) == namespace.flag.rawValue else {
          throw SyscallError(call: "ioctl NS_GET_NSTYPE", errno: EINVAL, path: path)
        }
        if namespace.flag == .cgroup, !config.linux.isNew(.user) {
          cgroup = file.take()
        } else {
          numbers.append(file.take())
        }
      }
    }
  }

  deinit {
    for number in numbers { close(number) }
    if cgroup >= 0 { close(cgroup) }
  }
}
