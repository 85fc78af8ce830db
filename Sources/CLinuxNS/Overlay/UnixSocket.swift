internal import CLinuxNS
internal import Glibc

/// unix(7) sockets by path.
public enum UnixSocket {
  /// Connects to whoever listens at `path`.
  /// - Parameter type: a ``SocketType``.
  public static func connect(_ path: String, _ type: CInt) throws(SyscallError) -> OwnedFD {
    let socket = try make(type)
    if path.utf8.count < mostBytes {
      try at(path, path, "connect") { Glibc.connect(socket.raw, $0, $1) }
      return socket
    }
    let folder = try OwnedFD.open(FileSystem.parent(of: path), O_PATH | O_DIRECTORY)
    let name = path.split(separator: "/").last.map(String.init) ?? ""
    try at("/proc/self/fd/\(folder.raw)/\(name)", path, "connect") { Glibc.connect(socket.raw, $0, $1) }
    return socket
  }

  /// A new socket `name` in a directory, listening; only its owner may connect (0600). One that is there is replaced.
  public static func listen(_ directory: String, _ name: String) throws(SyscallError) -> OwnedFD {
    let socket = try make(SocketType.packets)
    let folder = try OwnedFD.open(directory, O_PATH | O_DIRECTORY)
    unlinkat(folder.raw, name, 0)  // most often there is none
    let before = umask(0o177)
    defer { umask(before) }
    try at("/proc/self/fd/\(folder.raw)/\(name)", "\(directory)/\(name)", "bind") { Glibc.bind(socket.raw, $0, $1) }
    try FileSystem.call("listen", directory) { Glibc.listen(socket.raw, 8) }
    return socket
  }

  private static func make(_ type: CInt) throws(SyscallError) -> OwnedFD {
    let raw = Glibc.socket(AF_UNIX, type | SocketType.closeOnExec, 0)
    let error = errno
    guard raw >= 0 else { throw SyscallError(call: "socket", errno: error) }
    return OwnedFD(raw: raw)
  }

  /// What an address has room for, with the 0 behind it. A longer path is made one by its directory's descriptor.
  private static let mostBytes = 108

  /// - Parameters:
  ///   - name: the address.
  ///   - path: what it stands for, in errors.
  private static func at(
    _ name: String, _ path: String, _ call: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
  ) throws(SyscallError) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let text = Array(name.utf8)
    guard text.count < mostBytes else { throw SyscallError(call: call, errno: ENAMETOOLONG, path: path) }
    withUnsafeMutableBytes(of: &address.sun_path) { room in
      for (index, byte) in text.enumerated() { room[index] = byte }
    }
    try FileSystem.call(call, path) {
      withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
      }
    }
  }
}
