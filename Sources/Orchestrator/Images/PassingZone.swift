internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// A zone that goes with this value, also where we were killed: a process of its own waits for that, and removes it.
final class PassingZone {
  private let line: Lifeline

  /// Before it is made.
  init(_ zone: String, _ zonectl: ZonectlProgram, program: String) throws(ImageError) {
    do throws(SyscallError) {
      line = try Lifeline(
        ["remove-after", zone, zonectl.path] + (zonectl.root.map { [$0] } ?? []), program: program)
    } catch { throw ImageError("\(error)") }
    guard line.hear() == RemovalProgram.waiting else { throw ImageError("who is to remove zone \(zone) has ended") }
  }

  /// Removes it. Once more does nothing.
  func end() throws(ImageError) {
    guard let said = line.end(), said != RemovalProgram.removed else { return }
    throw ImageError(said.isEmpty ? "who was to remove the zone that it was made in has ended" : said)
  }
}

/// `orchestrator remove-after`, hidden: what `PassingZone` starts.
public enum RemovalProgram {
  static let waiting = "waiting"
  static let removed = "removed"

  /// - Parameter arguments: the zone, zonectl, and where the zone's place is.
  public static func run(_ arguments: [String]) -> Int32 {
    guard arguments.count > 1, Lifeline.begin() else { return HiddenProgram.refuse("remove-after") }
    Lifeline.tell(waiting)
    Lifeline.waitForEnd()
    do {
      let zonectl = ZonectlProgram(path: arguments[1], root: arguments.count > 2 ? arguments[2] : nil)
      try zonectl.remove(arguments[0], of: Zones(Directories.standard(root: zonectl.root)))
    } catch {
      Lifeline.tell("\(error)")
      return 1
    }
    Lifeline.tell(removed)
    return 0
  }
}
