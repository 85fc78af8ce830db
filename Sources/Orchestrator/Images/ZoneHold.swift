internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// Keeps a live zone frozen, by a process of its own that thaws it when this value is gone: also where we were killed.
final class ZoneHold {
  private let zone: String
  private let line: Lifeline

  /// - Parameter root: of the zone's place, as `--root` has it.
  init(_ zone: String, root: String?, program: String = "/proc/self/exe") throws(ZoneError) {
    self.zone = zone
    do throws(SyscallError) {
      line = try Lifeline(["hold", zone] + (root.map { [$0] } ?? []), program: program)
    } catch { throw .call("freeze zone \(zone)", error) }
    let said = line.hear()
    guard said == HoldProgram.frozen else {
      throw .refused(said.isEmpty ? "cannot freeze zone \(zone): who was to do it ended (do it again)" : said)
    }
  }

  /// Thaws it, and waits until that is done. Once more does nothing.
  /// - Throws: where it did not stand still until now: what was read meanwhile is not of one moment.
  func end() throws(ZoneError) {
    guard let said = line.end(), said != HoldProgram.stood else { return }
    throw .refused(said.isEmpty ? "who kept zone \(zone) frozen was ended (do it again)" : said)
  }
}

/// `orchestrator hold`, hidden: what `ZoneHold` starts.
public enum HoldProgram {
  static let frozen = "frozen"
  /// It was until the end.
  static let stood = "stood"

  /// - Parameter arguments: the zone, and where its place is.
  public static func run(_ arguments: [String]) -> Int32 {
    guard let zone = arguments.first, Lifeline.begin() else { return HiddenProgram.refuse("hold") }
    do throws(ZoneError) {
      let directories = try Directories.standard(root: arguments.count > 1 ? arguments[1] : nil)
      try Zones(directories).hold(zone) {
        Lifeline.tell(frozen)
        Lifeline.waitForEnd()
      }
      Lifeline.tell(stood)
      return 0
    } catch {
      Lifeline.tell(error.description)
      return 1
    }
  }
}
