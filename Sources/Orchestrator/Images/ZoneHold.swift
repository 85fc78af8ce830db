internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// Keeps a running zone frozen, by a process of its own that thaws it when this value is gone: also where we were killed.
final class ZoneHold {
  private let process: Pidfd
  /// Its end is what the other waits for.
  private var line: OwnedFD?

  /// - Parameter root: of the zone's place, as `--root` has it.
  init(_ zone: String, root: String?, program: String = "/proc/self/exe") throws(ZoneError) {
    let words = ["orchestrator", "hold", zone] + (root.map { [$0] } ?? [])
    let line: OwnedFD
    do throws(SyscallError) {
      let pair = try DescriptorPair.sockets(SocketType.packets)
      // Out of our process group: whoever kills all of that has the zone thawed.
      let started = try spawn(
        ProgramStart(path: program, arguments: words, fds: [pair.second.raw, 2, 2], newSession: true))
      process = Pidfd(OwnedFD(raw: started.pidfd))
      line = pair.takeFirst()
    } catch { throw .call("freeze zone \(zone)", error) }
    var room = [UInt8](repeating: 0, count: 1 << 12)
    var got = 0
    repeat { got = read(line.raw, &room, room.count) } while got < 0 && errno == EINTR
    let said = String(decoding: room[..<max(got, 0)], as: UTF8.self)
    self.line = consume line
    guard said == HoldProgram.frozen else {
      let why = said.isEmpty ? "cannot freeze zone \(zone): who was to do it ended" : said
      throw .refused("\(why); or stop it first, and it need not be frozen")
    }
  }

  /// Thaws it, and waits until that is done. Once more does nothing.
  func end() {
    guard line != nil else { return }
    line = nil
    _ = try? process.reap()
  }

  deinit { end() }
}

/// `orchestrator hold`, hidden: what `ZoneHold` starts.
public enum HoldProgram {
  static let frozen = "frozen"

  /// - Parameter arguments: the zone, and where its place is.
  public static func run(_ arguments: [String]) -> Int32 {
    var type: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    guard let zone = arguments.first, getsockopt(0, SOL_SOCKET, SO_TYPE, &type, &size) == 0 else {
      return HiddenProgram.refuse("hold")
    }
    // What ends our caller from a terminal would end us too, and the zone would stay as it is.
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE] { signal(number, SIG_IGN) }
    do throws(ZoneError) {
      let directories = try Directories.standard(root: arguments.count > 1 ? arguments[1] : nil)
      try Zones(directories).hold(zone) {
        tell(frozen)
        var byte: UInt8 = 0
        while read(0, &byte, 1) < 0, errno == EINTR {}
      }
      return 0
    } catch {
      tell(error.description)
      return 1
    }
  }

  private static func tell(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(0, bytes, bytes.count)
  }
}
