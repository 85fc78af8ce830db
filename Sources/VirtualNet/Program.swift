internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Starting one of the two programs that serve a network.
enum Program {
  struct Child: ~Copyable {
    let pid: Int32
    let process: Pidfd
  }

  /// In a session of its own, with a bare environment.
  /// - Parameters:
  ///   - command: an absolute path and its arguments.
  ///   - descriptors: what it gets as 0, 1, 2 and so on.
  ///   - userNamespace: a user namespace of the caller's, of which the program is to be root; -1 for none.
  ///   - group: where it is born; nil: with the caller.
  static func spawn(
    _ command: [String], _ descriptors: [CInt], userNamespace: CInt = -1, group: HelperGroup? = nil
  ) throws(NetworkError) -> Child {
    var tries = 16
    while true {
      do throws(NetworkError) { return try spawnOnce(command, descriptors, userNamespace, group) } catch {
        // Others have taken the group away since it was opened.
        guard case .system(_, let failure) = error, failure.errno == ENODEV, group != nil, tries > 0 else {
          throw error
        }
        tries -= 1
      }
    }
  }

  private static func spawnOnce(
    _ command: [String], _ descriptors: [CInt], _ userNamespace: CInt, _ group: HelperGroup?
  ) throws(NetworkError) -> Child {
    let directory = try group?.open() ?? -1
    defer { if directory >= 0 { close(directory) } }
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nil]
    defer { for word in arguments + environment { free(word) } }
    var pidfd: CInt = -1
    let pid = descriptors.withUnsafeBufferPointer { descriptors in
      arguments.withUnsafeMutableBufferPointer { arguments in
        environment.withUnsafeMutableBufferPointer { environment in
          var spawn = CLinuxNS.zns_spawn()
          spawn.executable = -1
          spawn.cgroup = directory
          spawn.path = UnsafePointer(arguments[0])
          spawn.argv = UnsafePointer(arguments.baseAddress)
          spawn.envp = UnsafePointer(environment.baseAddress)
          spawn.fds = descriptors.baseAddress
          spawn.fd_count = CInt(descriptors.count)
          spawn.new_session = 1
          return zns_spawn_in(userNamespace, &spawn, &pidfd)
        }
      }
    }
    guard pid > 0 else {
      throw .system("start \(command[0])", SyscallError(call: "execve", errno: CInt(-pid)))
    }
    return Child(pid: Int32(pid), process: Pidfd(OwnedFD(raw: pidfd)))
  }
}
