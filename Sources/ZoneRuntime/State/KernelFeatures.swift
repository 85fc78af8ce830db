internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// What this kernel, and the caller on it, can do for zones: `zonectl features`. Looking changes nothing.
public struct KernelFeatures: Sendable {
  public struct Feature: Sendable {
    /// A word that does not change: `user-namespaces`, `cgroup`, `idmapped-mounts` …
    public var name: String
    public var available: Bool
    /// The version, layout or reason.
    public var detail: String
    /// What zones lack without it.
    public var without: String
  }

  /// uname(2)'s release.
  public var kernel: String
  /// uname(2)'s machine.
  public var machine: String
  public var uid: UInt32
  public var features: [Feature]

  public static func probe() -> KernelFeatures {
    var name = utsname()
    uname(&name)
    let text = { (bytes: UnsafeRawBufferPointer) in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
    let release = withUnsafeBytes(of: name.release, text)
    return KernelFeatures(
      kernel: release, machine: withUnsafeBytes(of: name.machine, text), uid: geteuid(),
      features: [
        userNamespaces(), subordinateIds(), cgroup(), pressure(), idmappedMounts(), overlay(), seccomp(), landlock(),
        nftables(), tun(), pasta(),
      ])
  }

  private static func feature(_ name: String, _ available: Bool, _ detail: String, without: String) -> Feature {
    Feature(name: name, available: available, detail: detail, without: without)
  }

  /// A kernel file's line; nil where there is none, which is an answer here.
  private static func line(_ path: String) -> String? { try? FileSystem.readLine(path) }

  /// statfs(2)'s type of the file system at a path; nil where there is none.
  private static func fileSystemType(_ path: String) -> Int? {
    let type = zns_filesystem_type(path)
    return type < 0 ? nil : type
  }

  // MARK: walls

  private static func userNamespaces() -> Feature {
    var why: String?
    if !FileSystem.exists("/proc/self/ns/user") {
      why = "the kernel has none (CONFIG_USER_NS)"
    } else if line("/proc/sys/user/max_user_namespaces") == "0" {
      why = "user.max_user_namespaces is 0"
    } else if geteuid() != 0 {
      if line("/proc/sys/kernel/unprivileged_userns_clone") == "0" { why = "kernel.unprivileged_userns_clone is 0" }
      if line("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        why = "kernel.apparmor_restrict_unprivileged_userns is 1"
      }
    }
    return feature("user-namespaces", why == nil, why ?? "allowed", without: "no zones of ordinary users, no id ranges")
  }

  private static func subordinateIds() -> Feature {
    let without = "an ordinary user's zone has one id only"
    if geteuid() == 0 { return feature("subordinate-ids", true, "root leases ranges of its own", without: without) }
    guard FileSystem.exists("/usr/bin/newuidmap"), FileSystem.exists("/usr/bin/newgidmap") else {
      return feature("subordinate-ids", false, "newuidmap is not installed (package uidmap)", without: without)
    }
    let name = LoginName.of(geteuid(), in: (try? FileSystem.read("/etc/passwd")) ?? [])  // without one, by number
    let listed = ["/etc/subuid", "/etc/subgid"].allSatisfy { path in
      let lines = ((try? FileSystem.read(path)) ?? []).split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
      return lines.contains { $0.hasPrefix("\(name ?? "?"):") || $0.hasPrefix("\(geteuid()):") }
    }
    return feature(
      "subordinate-ids", listed, listed ? "of /etc/subuid and /etc/subgid" : "not in /etc/subuid and /etc/subgid",
      without: without)
  }

  private static func seccomp() -> Feature {
    let mode = zns_prctl(21 /* PR_GET_SECCOMP */, 0, 0, 0, 0)
    let actions = line("/proc/sys/kernel/seccomp/actions_avail")
    return feature(
      "seccomp", mode >= 0 && actions != nil, actions ?? "the kernel has none (CONFIG_SECCOMP_FILTER)",
      without: "no zone is started")
  }

  private static func landlock() -> Feature {
    let refusal = Landlock.refusal
    return feature(
      "landlock", refusal == nil, refusal ?? "ABI \(Landlock.ofKernel().abi)",
      without: "no second wall behind a sandbox's namespaces, no sandbox without them")
  }

  // MARK: resources

  private static func cgroup() -> Feature {
    let without = "no limits, no pause"
    guard let root = fileSystemType("/sys/fs/cgroup") else {
      return feature("cgroup", false, "nothing is mounted on /sys/fs/cgroup", without: without)
    }
    if root == 0x6367_7270 {  // CGROUP2_SUPER_MAGIC
      return feature(
        "cgroup", true, "v2: \(line("/sys/fs/cgroup/cgroup.controllers") ?? "no controllers")", without: without)
    }
    let controllers = ["cpu", "cpuset", "memory", "pids", "freezer"].filter {
      fileSystemType("/sys/fs/cgroup/\($0)") == 0x27_E0EB
    }
    let layout = fileSystemType("/sys/fs/cgroup/unified") == 0x6367_7270 ? "hybrid" : "v1"
    return feature(
      "cgroup", !controllers.isEmpty, "\(layout): \(controllers.joined(separator: " "))", without: without)
  }

  private static func pressure() -> Feature {
    let there = FileSystem.exists("/proc/pressure/memory")
    return feature(
      "pressure", there, there ? "PSI" : "the kernel has none (CONFIG_PSI, psi=1)", without: "no pressure figures")
  }

  // MARK: files

  private static func idmappedMounts() -> Feature {
    // The call exists (5.12): a descriptor that is none is EBADF then, and ENOSYS otherwise. Which file systems take
    // part is told when a tree is used.
    let result = zns_mount_setattr(
      -1, "", 0x1000 /* AT_EMPTY_PATH */, 1 /* MOUNT_ATTR_RDONLY: a real wish */, 0, 0, -1)
    return feature(
      "idmapped-mounts", result == -Int(EBADF),
      result == -Int(EBADF) ? "mount_setattr" : SyscallError.describe(CInt(-result)),
      without: "volumes and trees show foreign owners")
  }

  private static func overlay() -> Feature {
    let listed = ((try? FileSystem.read("/proc/filesystems")) ?? []).split(separator: 10)
      .contains { String(decoding: $0, as: UTF8.self).hasSuffix("\toverlay") }
    return feature(
      "overlayfs", listed, listed ? "registered" : "not registered (modprobe overlay)", without: "no images in layers")
  }

  // MARK: networks

  private static func nftables() -> Feature {
    let answer = NftablesProbe.ask()
    let detail =
      switch answer {
      case 0: "answers"
      case EPERM: "only root may ask"
      default: SyscallError.describe(answer)
      }
    return feature("nftables", answer == 0, detail, without: "no nat networks")
  }

  private static func tun() -> Feature {
    let there = access("/dev/net/tun", R_OK | W_OK)
    let error = errno
    return feature(
      "tun", there == 0, there == 0 ? "/dev/net/tun" : "/dev/net/tun: \(SyscallError.describe(error))",
      without: "no user-mode networks")
  }

  private static func pasta() -> Feature {
    let path = (getenv("PATH").map { String(cString: $0) } ?? "/usr/bin").split(separator: ":")
      .map { folder in "\(folder)/pasta" }.first { (path: String) in access(path, X_OK) == 0 }
    return feature(
      "pasta", path != nil, path ?? "not on PATH (package passt)", without: "ordinary users' zones have no network")
  }
}

/// Whether nf_tables answers: its generation number is asked for (NFT_MSG_GETGEN, linux/netfilter/nf_tables.h).
private enum NftablesProbe {
  /// 0, or the errno.
  static func ask() -> CInt {
    let raw = socket(AF_NETLINK, SocketType.raw | SocketType.closeOnExec, 12)  // NETLINK_NETFILTER
    let error = errno
    guard raw >= 0 else { return error }
    let netlink = OwnedFD(raw: raw)
    // struct nlmsghdr {length, type, flags, sequence, port} and struct nfgenmsg {family, version, resource}.
    var message: [UInt8] = [20, 0, 0, 0, 16, 10, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    guard send(netlink.raw, message, message.count, 0) == message.count else { return errno }
    message = [UInt8](repeating: 0, count: 4096)
    guard (try? Poll.wait(netlink.raw, for: Int16(POLLIN), timeout: 1000)) == true else { return ETIMEDOUT }
    guard recv(netlink.raw, &message, message.count, 0) >= 20 else { return EPROTO }
    guard message[4] == 2, message[5] == 0 else { return 0 }  // not NLMSG_ERROR
    let code = Int32(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(message[16 + $1]) << UInt32($1 * 8) })
    return -code
  }
}
