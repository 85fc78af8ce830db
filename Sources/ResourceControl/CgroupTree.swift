internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// Work on a group and the groups that a zone made in it.
enum CgroupTree {
  /// Every process in a group and below, each once; none for a group that is gone.
  static func processes(below path: String) throws(CgroupError) -> Set<Int32> {
    var found: Set<Int32> = []
    for group in try groups(below: path) {
      do {
        let text = String(decoding: try FileSystem.read("\(group)/cgroup.procs"), as: UTF8.self)
        // 0 is a process outside of our pid namespace: none that we could name.
        found.formUnion(text.split(separator: "\n").compactMap { Int32($0) }.filter { $0 > 0 })
      } catch {
        // EOPNOTSUPP: a threaded group; its processes are those of the group above it.
        guard [ENOENT, ENODEV, EOPNOTSUPP].contains(error.errno) else {
          throw .call(error, doing: "read the control group")
        }
      }
    }
    return found
  }

  /// The group and all below, the deepest last; none if it is gone.
  static func groups(below path: String) throws(CgroupError) -> [String] {
    var found: [String] = []
    var waiting = [path]
    while let next = waiting.popLast() {
      do {
        let names = try FileSystem.list(next)
        found.append(next)
        for name in names {
          let child = "\(next)/\(name)"
          // One that has gone meanwhile is none; one whose name is no text is left to who removes or kills.
          guard let status = try? FileSystem.status(child, followingLinks: false) else { continue }
          if status.st_mode & S_IFMT == S_IFDIR { waiting.append(child) }
        }
      } catch {
        guard [ENOENT, ENODEV].contains(error.errno) else { throw .call(error, doing: "read the control group") }
      }
    }
    return found
  }

  /// rmdir(2) from the deepest group up; one that is gone is fine. The kernel says EBUSY until the last process has
  /// been reaped in full, which is a little after its end was told.
  /// - Parameter deadline: by the monotonic clock, nanoseconds.
  static func remove(_ path: String, deadline: UInt64) throws(CgroupError) {
    while true {
      // By descriptor and byte: the names are the zone's.
      let result = zns_remove_groups(path)
      if result == 0 { return }
      let error = CInt(-result)
      guard error == EBUSY || error == ENOTEMPTY else {
        throw Cgroup.failure("rmdir", error, path, "remove the control group")
      }
      guard Clock.monotonicNanoseconds() < deadline else {
        throw .timedOut(doing: "remove the control group", path: path)
      }
      try waitUntilEmpty(path, deadline: deadline)
      pause(milliseconds: 1)
    }
  }

  /// - Returns: at the deadline too; the caller looks again.
  static func waitUntilEmpty(_ path: String, deadline: UInt64) throws(CgroupError) {
    let events = "\(path)/cgroup.events"
    if FileSystem.exists(events) {
      _ = try wait(events, for: "populated 0", deadline: deadline)
    } else {
      while try !processes(below: path).isEmpty, Clock.monotonicNanoseconds() < deadline { pause(milliseconds: 2) }
    }
  }

  /// Waits until a file of events has one of the lines (cgroup-v2.rst: such files tell a change by poll(2)).
  /// - Returns: false where the deadline came first; true also where the group is gone.
  static func wait(_ file: String, for lines: String..., deadline: UInt64) throws(CgroupError) -> Bool {
    do {
      let events = try OwnedFD.open(file, O_RDONLY)
      while true {
        lseek(events.raw, 0, SEEK_SET)
        let text = String(decoding: try FileSystem.read(events, name: file), as: UTF8.self)
        if text.split(separator: "\n").contains(where: { (found) in lines.contains { $0 == found } }) { return true }
        let now = Clock.monotonicNanoseconds()
        guard now < deadline else { return false }
        let left = CInt(min(60_000, (deadline - now + 999_999) / 1_000_000))
        _ = try Poll.wait(events.raw, for: Int16(POLLPRI), timeout: left)
      }
    } catch {
      if [ENOENT, ENODEV].contains(error.errno) { return true }
      throw .call(error, doing: "wait for the control group")
    }
  }

  /// Between two looks at a v1 file, which tells no changes.
  static func pause(milliseconds: CInt) { poll(nil, 0, milliseconds) }
}
