internal import CLinuxNS
internal import Glibc
public import LinuxNS

/// Hears when a container's groups are so short of memory that the kernel ends processes.
public struct MemoryShortage: ~Copyable {
  /// memory.events of the v2 group, whose changes poll(2) tells (cgroup-v2.rst), or an eventfd(2) of the v1 group's
  /// (admin-guide/cgroup-v1/memory.rst, "OOM Control"); nil where memory is not counted.
  private var files = DescriptorList()
  private let group: String
  private let isV2: Bool
  private var kills: UInt64 = 0

  public init(_ cgroup: ContainerCgroup) throws(CgroupError) {
    isV2 = cgroup.v1["memory"] == nil
    group = cgroup.v1["memory"] ?? cgroup.unified ?? ""
    let file = isV2 ? "\(group)/memory.events" : "\(group)/memory.oom_control"
    guard FileSystem.exists(file) else { return }
    let group = group
    let isV2 = isV2
    files.append(
      try CgroupError.wrap("watch the control group") { () throws(SyscallError) in
        let open = try OwnedFD.open(file, O_RDONLY)
        if isV2 { return open }
        let event = OwnedFD(raw: CInt(try check(zns_eventfd(), "eventfd2")))
        try FileSystem.writeKernelFile("\(group)/cgroup.event_control", "\(event.raw) \(open.raw)")
        return event
      })
    _ = hear()
  }

  /// Waits for a shortage, the end of a process, or the end of the time.
  public mutating func wait(or process: borrowing Pidfd, milliseconds: CInt) throws(CgroupError) -> (
    isShort: Bool, ended: Bool
  ) {
    var polled = [pollfd(fd: process.fd.raw, events: Int16(POLLIN), revents: 0)]
    for raw in files.raw { polled.append(pollfd(fd: raw, events: Int16(isV2 ? POLLPRI : POLLIN), revents: 0)) }
    let result = poll(&polled, nfds_t(polled.count), milliseconds)
    let error = errno
    guard result >= 0 || error == EINTR else { throw Cgroup.failure("poll", error, group, "watch the control group") }
    // Whoever was killed has ended by now, and may be the process.
    return (hear(), result > 0 && polled[0].revents != 0)
  }

  /// Whether there was something since the last time. A group that is removed says so as well, and has no files any more.
  private mutating func hear() -> Bool {
    guard let raw = files.raw.first else { return false }
    guard isV2 else {
      var count: UInt64 = 0
      return read(raw, &count, 8) == 8 && FileSystem.exists("\(group)/memory.oom_control")
    }
    let before = kills
    var bytes = [UInt8](repeating: 0, count: 1024)
    // By the descriptor that is polled: the next change is the one after this reading.
    let got = pread(raw, &bytes, bytes.count, 0)
    for line in bytes.prefix(max(0, got)).split(separator: 10) {
      let words = line.split(separator: 32)
      guard words.count == 2, String(decoding: words[0], as: UTF8.self) == "oom_kill" else { continue }
      kills = UInt64(String(decoding: words[1], as: UTF8.self)) ?? kills
    }
    return kills > before
  }
}
