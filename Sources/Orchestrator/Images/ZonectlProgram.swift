internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// `zonectl`, for what it does with a zone's processes.
struct ZonectlProgram: Sendable {
  let path: String
  /// Of the zones' place, as `--root` has it.
  let root: String?

  /// What it prints is for nobody.
  func run(_ words: [String]) throws(ImageError) { _ = try output(of: words, limit: nil) }

  /// - Parameter limit: of what it prints, in bytes; nil: that is for nobody.
  func output(of words: [String], limit: Int?) throws(ImageError) -> [UInt8] {
    let arguments = ["zonectl"] + (root.map { ["--root", $0] } ?? []) + words
    let status: ExitStatus
    var said: [UInt8] = []
    do throws(SyscallError) {
      let null = try OwnedFD.open("/dev/null", O_RDWR)
      if let limit {
        let pipe = try OwnedFD.pipe()
        let started = try spawn(
          ProgramStart(
            path: path, arguments: arguments, environment: Environment.all, fds: [null.raw, pipe.second.raw, 2]))
        said = try FileSystem.read(pipe.takeFirst(), limit: limit, name: "answer")
        status = try Pidfd(OwnedFD(raw: started.pidfd)).reap()
      } else {
        let started = try spawn(
          ProgramStart(path: path, arguments: arguments, environment: Environment.all, fds: [null.raw, null.raw, 2]))
        status = try Pidfd(OwnedFD(raw: started.pidfd)).reap()
      }
    } catch { throw ImageError("\(error)") }
    guard status == .exited(0) else {
      throw ImageError(
        "zonectl \(words.prefix(2).joined(separator: " ")) ended with status \(status.shellCode) (see above)")
    }
    return said
  }

  /// A zone that may be gone already, or go meanwhile.
  func remove(_ zone: String, of zones: Zones) throws(ImageError) {
    let isThere = { () throws(ImageError) -> Bool in
      try stored { () throws(ZoneError) in try zones.listNames().contains(zone) }
    }
    guard try isThere() else { return }
    do throws(ImageError) { try run(["delete", "--force", "--yes", zone]) } catch {
      if try isThere() { throw error }
    }
  }
}
