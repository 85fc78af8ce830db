internal import Glibc

public enum ProgramOutput {
  /// What a program writes to its standard output; its errors go where ours go.
  /// - Parameter arguments: with its name.
  /// - Throws: also where it ends with another status than 0.
  public static func read(_ path: String, _ arguments: [String]) throws(SyscallError) -> String {
    let pipe = try OwnedFD.pipe()
    let null = try OwnedFD.open("/dev/null", O_RDWR)
    let process: Pidfd
    let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    do {
      let started = try spawn(
        ProgramStart(path: path, arguments: arguments, environment: environment, fds: [null.raw, pipe.second.raw, 2]))
      process = Pidfd(OwnedFD(raw: started.pidfd))
    }
    let reading = pipe.takeFirst()
    let text = try FileSystem.read(reading, name: path)
    guard try process.reap() == .exited(0) else { throw SyscallError(call: "execve", errno: EIO, path: path) }
    return String(decoding: text, as: UTF8.self)
  }
}
