internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// Keeps a live zone frozen, by a process of its own that thaws it when this value is gone: also where we were killed.
final class ZoneHold {
  private let zone: String
  private let process: Pidfd
  /// Its end is what the other waits for.
  private var line: OwnedFD?

  /// - Parameter root: of the zone's place, as `--root` has it.
  init(_ zone: String, root: String?, program: String = "/proc/self/exe") throws(ZoneError) {
    let words = ["orchestrator", "hold", zone] + (root.map { [$0] } ?? [])
    self.zone = zone
    let line: OwnedFD
    do throws(SyscallError) {
      let pair = try DescriptorPair.sockets(SocketType.packets)
      // Out of our process group: whoever kills all of that has the zone thawed.
      let started = try spawn(
        ProgramStart(path: program, arguments: words, fds: [pair.second.raw, 2, 2], newSession: true))
      process = Pidfd(OwnedFD(raw: started.pidfd))
      line = pair.takeFirst()
    } catch { throw .call("freeze zone \(zone)", error) }
    let said = Self.hear(line)
    self.line = consume line
    guard said == HoldProgram.frozen else {
      throw .refused(said.isEmpty ? "cannot freeze zone \(zone): who was to do it ended (do it again)" : said)
    }
  }

  /// Thaws it, and waits until that is done. Once more does nothing.
  /// - Throws: where it did not stand still until now: what was read meanwhile is not of one moment.
  func end() throws(ZoneError) {
    guard let line = line.take() else { return }
    shutdown(line.raw, CInt(SHUT_WR))
    let said = Self.hear(line)
    _ = try? process.reap()
    guard said == HoldProgram.stood else {
      throw .refused(said.isEmpty ? "who kept zone \(zone) frozen was ended (do it again)" : said)
    }
  }

  private static func hear(_ line: borrowing OwnedFD) -> String {
    var room = [UInt8](repeating: 0, count: 1 << 12)
    var got = 0
    repeat { got = read(line.raw, &room, room.count) } while got < 0 && errno == EINTR
    return String(decoding: room[..<max(got, 0)], as: UTF8.self)
  }

  /// Where nobody has asked, something else has failed already.
  deinit { try? end() }
}

/// `orchestrator hold`, hidden: what `ZoneHold` starts.
public enum HoldProgram {
  static let frozen = "frozen"
  /// It was until the end.
  static let stood = "stood"

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
      tell(stood)
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
