internal import Glibc
internal import LinuxNS

/// The named Unix sockets of this network namespace that are listened on, by the files they are bound to (sock_diag(7),
/// unix_diag).
///
/// One look at all, where connecting to each would wake who listens there. It is a proof for those it has and none
/// against others: a listener of another network namespace is not in it, nor any where the kernel lacks unix_diag.
public struct ListeningSockets: Sendable {
  private struct File: Hashable {
    let device: UInt32
    let inode: UInt32
  }

  private enum Diagnosis {
    static let byFamily: UInt16 = 20  // SOCK_DIAG_BY_FAMILY
    static let listening: UInt32 = 1 << 10  // TCP_LISTEN
    static let showFile: UInt32 = 2  // UDIAG_SHOW_VFS
    static let file: UInt16 = 1  // UNIX_DIAG_VFS
    static let headerLength = 16  // struct unix_diag_msg
  }

  private var files: Set<File> = []

  /// None of them.
  public init() {}

  /// Those there are now.
  /// - Throws: where the kernel does not answer.
  public static func look() throws(NetworkError) -> ListeningSockets {
    var socket = try NetlinkSocket(.socketDiagnosis)
    // struct unix_diag_req
    var request = NetlinkMessage(type: Diagnosis.byFamily, flags: NetlinkFlag.request | NetlinkFlag.dump)
    request.append(UInt8(AF_UNIX))
    request.append([0, 0, 0] as [UInt8])
    request.append(Diagnosis.listening)
    request.append(UInt32(0))
    request.append(Diagnosis.showFile)
    request.append(UInt64.max)  // no cookie
    var found = ListeningSockets()
    for reply in try socket.dump(request, "list the listening sockets") {
      guard let file = reply.attributes(after: Diagnosis.headerLength)[Diagnosis.file],
        let inode = file.number(UInt32.self, at: 0), let device = file.number(UInt32.self, at: 4)
      else { continue }
      found.files.insert(File(device: device, inode: inode))
    }
    return found
  }

  /// Whether the socket at this path is one of them.
  /// - Parameter folder: a descriptor that a relative path begins at.
  public func contain(_ path: String, in folder: CInt? = nil) -> Bool {
    var status = stat()
    // The kernel tells 32 bits of an inode's number.
    guard !files.isEmpty, fstatat(folder ?? AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) == 0,
      let inode = UInt32(exactly: status.st_ino)
    else { return false }
    // As the kernel has it within: 12 bits of major, 20 of minor number (MKDEV).
    let number = UInt64(status.st_dev)
    let major = UInt32(truncatingIfNeeded: number >> 8 & 0xfff)
    let minor = UInt32(truncatingIfNeeded: number & 0xff | number >> 12 & 0xfff00)
    return files.contains(File(device: major << 20 | minor, inode: inode))
  }
}
