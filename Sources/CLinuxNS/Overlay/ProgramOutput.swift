internal import Glibc

public enum ProgramOutput {
  /// What a program writes to its standard output; its errors go where ours go.
  /// - Parameter arguments: with its name.
  /// - Throws: also where it ends with another status than 0.
  public static func read(_ path: String, _ arguments: [String]) throws(SyscallError) -> String {
    let (status, text) = try run(path, arguments, errors: 2)
    guard status == .exited(0) else { throw SyscallError(call: "execve", errno: EIO, path: path) }
    return text
  }

  /// How a program ends, and what it writes to both of its outputs.
  /// - Parameter environment: beside PATH.
  public static func all(_ path: String, _ arguments: [String], _ environment: [String]) throws(SyscallError)
    -> (ended: ExitStatus, text: String)
  { try run(path, arguments, environment, errors: nil) }

  /// - Parameter errors: a descriptor for its errors; nil: where its output goes.
  private static func run(_ path: String, _ arguments: [String], _ environment: [String] = [], errors: CInt?)
    throws(SyscallError) -> (ended: ExitStatus, text: String)
  {
    let pipe = try OwnedFD.pipe()
    let null = try OwnedFD.open("/dev/null", O_RDWR)
    let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] + environment
    let started = try spawn(
      ProgramStart(
        path: path, arguments: arguments, environment: environment,
        fds: [null.raw, pipe.second.raw, errors ?? pipe.second.raw]))
    let process = Pidfd(OwnedFD(raw: started.pidfd))
    let reading = pipe.takeFirst()
    let text = try FileSystem.read(reading, name: path)
    return (try process.reap(), String(decoding: text, as: UTF8.self))
  }
}
