import Glibc

extension Zonectl {
  /// What is told of a zone and is not so; nil: all is true, at the latest after a while, for a command may end while it
  /// is looked at.
  func untruth(of told: Listed) throws -> String? {
    var status: Listed? = told
    var found: String?
    _ = try eventually(timeout: 5) {
      found = status.flatMap(Self.untruth)
      if found != nil { status = try self.status(told.name) }
      return found == nil
    }
    return found
  }

  private static func untruth(_ status: Listed) -> String? {
    let lives = { (pid: Int32?) in pid.map { kill($0, 0) == 0 } == true }
    switch status.state {
    case "running", "ready", "frozen":
      if !lives(status.pid) { return "\(status.state) without a process" }
      return lives(status.keeper) ? nil : "\(status.state) without a keeper"
    case "configured", "incomplete", "installed", "down", "unavailable", "shutting_down":
      return lives(status.pid) ? "\(status.state) with a process" : nil
    default: return "the state is \(status.state)"
    }
  }
}
