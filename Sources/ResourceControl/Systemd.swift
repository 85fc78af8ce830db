internal import Glibc
internal import LinuxNS

/// systemd's manager, the machine's or the calling user's: who makes and removes groups where systemd has the tree
/// (org.freedesktop.systemd1(5), systemd's "Control Group APIs and Delegation").
///
/// It is asked through busctl(1), a program of systemd's own that every systemd has: D-Bus is a protocol with
/// authentication and marshalling of its own, and libsystemd has no static form that a static program could link. That of
/// 252 writes all signatures that are needed, a(sv) among them. A question costs some 5 ms.
public struct Systemd: Sendable {
  /// The manager of the calling user's.
  public let isUser: Bool
  private let environment: [String]

  /// Milliseconds for what systemd has to do, which on a loaded machine is a while.
  private static let patience: UInt64 = 30_000

  /// - Throws: `unavailable`, with what to do, where systemd is not this machine's init, or the user has no bus.
  public static func find() throws(CgroupError) -> Systemd {
    // sd_booted(3)
    guard let status = try? FileSystem.status("/run/systemd/system", followingLinks: false) else {
      throw .unavailable(
        why: "systemd does not run this machine (no /run/systemd/system); leave --systemd-cgroup out (podman "
          + "--cgroup-manager=cgroupfs, dockerd --exec-opt native.cgroupdriver=cgroupfs)")
    }
    // Whose is it? Podman calls an ordinary user's runtime as root of a user namespace, where host root's files are
    // nobody's; in a container with a systemd of its own they are that root's.
    if geteuid() == 0, status.st_uid == 0 { return Systemd(isUser: false, environment: []) }
    var environment: [String] = []
    for name in ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"] {
      guard let value = getenv(name) else { continue }
      environment.append("\(name)=\(String(cString: value))")
    }
    if environment.isEmpty {
      let usual = "/run/user/\(geteuid())"
      guard FileSystem.exists("\(usual)/bus") else {
        throw .unavailable(
          why: "this user's manager has no bus: DBUS_SESSION_BUS_ADDRESS and XDG_RUNTIME_DIR are not set; log in "
            + "through systemd, or leave --systemd-cgroup out")
      }
      environment.append("XDG_RUNTIME_DIR=\(usual)")
    }
    return Systemd(isUser: true, environment: environment)
  }

  // MARK: units

  /// Makes a transient unit and waits until systemd has started it.
  /// - Throws: `unit`; nothing was made where systemd refused.
  public func start(_ unit: String, _ properties: [SystemdProperty]) throws(CgroupError) {
    let words = [unit, "replace"] + Self.words(properties) + ["0"]
    var answer = try ask("StartTransientUnit", "ssa(sv)a(sa(sv))", words)
    // One of that name that has failed is kept by systemd until somebody resets it.
    if case .refused = answer, case .answer = try ask("ResetFailedUnit", "s", [unit]) {
      answer = try ask("StartTransientUnit", "ssa(sv)a(sa(sv))", words)
    }
    switch answer {
    case .refused(let why): throw .unit(unit, doing: "start", why: why)
    // o "/org/freedesktop/systemd1/job/1"
    case .answer(let text): try waitForJob(Self.quoted(text), of: unit)
    }
  }

  /// systemd answers in its own turn, so each answer comes after what it had to do before: no sleep is needed, and most
  /// often the first question finds the job gone.
  private func waitForJob(_ job: String, of unit: String) throws(CgroupError) {
    let deadline = Clock.monotonicNanoseconds() + Self.patience * 1_000_000
    while case .answer = try property(job, "Job", "State") {
      guard Clock.monotonicNanoseconds() < deadline else {
        throw .unit(
          unit, doing: "start", why: "systemd has not done it within \(Self.patience / 1000) s; see systemctl list-jobs"
        )
      }
    }
  }

  /// - Returns: false where systemd knows no such unit.
  public func isLoaded(_ unit: String) throws(CgroupError) -> Bool {
    if case .answer = try ask("GetUnit", "s", [unit]) { true } else { false }
  }

  /// Ends a unit with all of its processes, and has systemd forget it; one that is not there is fine.
  public func remove(_ unit: String) throws(CgroupError) {
    let deadline = Clock.monotonicNanoseconds() + Self.patience * 1_000_000
    var stopped = false
    // Only a unit that is loaded can be reset, and one that has failed goes by nothing else.
    while case .answer = try ask("ResetFailedUnit", "s", [unit]) {
      if !stopped {
        // Its processes would have a minute and a half to end by themselves.
        _ = try ask("KillUnit", "ssi", [unit, "all", "\(SIGKILL)"])
        _ = try ask("StopUnit", "ss", [unit, "replace"])
        stopped = true
      }
      guard Clock.monotonicNanoseconds() < deadline else {
        throw .unit(unit, doing: "remove", why: "systemd has not done it within \(Self.patience / 1000) s")
      }
    }
  }

  /// Changes properties until the unit ends. Returns when systemd has written what they say into the unit's group.
  public func set(_ unit: String, _ properties: [SystemdProperty]) throws(CgroupError) {
    guard !properties.isEmpty else { return }
    let answer = try ask("SetUnitProperties", "sba(sv)", [unit, "true"] + Self.words(properties))
    if case .refused(let why) = answer { throw .unit(unit, doing: "change", why: why) }
    // It answers first and writes next; the answer to another question comes after that.
    _ = try isLoaded(unit)
  }

  /// Moves a process into a delegated unit's group: by the machine's manager where the user's has no power over the group
  /// that it leaves (a login's, say).
  public func attach(_ process: Int32, to unit: String) throws(CgroupError) {
    let answer = try ask("AttachProcessesToUnit", "ssau", [unit, "", "1", "\(process)"])
    if case .refused(let why) = answer { throw .unit(unit, doing: "move a process into", why: why) }
  }

  /// A unit's property that is a text; nil where there is no such unit.
  /// - Parameter type: `Unit`, `Slice`, …
  public func text(_ unit: String, _ type: String, _ name: String) throws(CgroupError) -> String? {
    guard case .answer(let path) = try ask("GetUnit", "s", [unit]) else { return nil }
    guard case .answer(let value) = try property(Self.quoted(path), type, name) else { return nil }
    return Self.quoted(value)
  }

  /// 252, say; 0 where it does not tell.
  public func version() throws(CgroupError) -> Int {
    guard case .answer(let text) = try property("/org/freedesktop/systemd1", "Manager", "Version") else { return 0 }
    return Int(Self.quoted(text).prefix { ("0"..."9").contains($0) }) ?? 0
  }

  // MARK: busctl

  enum Answer {
    case answer(String)
    /// systemd's words.
    case refused(String)
  }

  private func ask(_ method: String, _ signature: String, _ words: [String]) throws(CgroupError) -> Answer {
    try call(
      ["call", "--", Self.service, "/org/freedesktop/systemd1", "\(Self.service).Manager", method, signature] + words)
  }

  private func property(_ object: String, _ type: String, _ name: String) throws(CgroupError) -> Answer {
    try call(["get-property", "--", Self.service, object, "\(Self.service).\(type)", name])
  }

  private static let service = "org.freedesktop.systemd1"

  private func call(_ words: [String]) throws(CgroupError) -> Answer {
    let options = ["env", "busctl", isUser ? "--user" : "--system", "--no-pager", "--timeout=\(Self.patience / 1000)"]
    let (ended, output) = try CgroupError.wrap("ask systemd by busctl") { () throws(SyscallError) in
      try ProgramOutput.all("/usr/bin/env", options + words, ["LC_ALL=C"] + environment)
    }
    // One line is told; its first is the one that says what was wrong.
    let line = output.split(separator: "\n").first.map(String.init) ?? ""
    if ended == .exited(0) { return .answer(line) }
    // An answer that says no, by either verb: the bus and systemd are there.
    for beginning in ["Call failed: ", "Failed to get property \(words.last ?? "") on interface "]
    where line.hasPrefix(beginning) {
      return .refused(String(line.dropFirst(beginning.utf8.count)))
    }
    // env(1)'s word for a program that is not there
    if ended == .exited(127) { throw .unavailable(why: "there is no busctl, which is a part of systemd; install it") }
    throw .unavailable(
      why: "systemd cannot be asked: \(line.isEmpty ? "busctl was killed" : line) (is dbus installed, and running?)")
  }

  /// The text of `s "…"` and `o "…"`.
  static func quoted(_ answer: String) -> String {
    let parts = answer.split(separator: "\"", omittingEmptySubsequences: false)
    return parts.count == 3 ? String(parts[1]) : ""
  }

  private static func words(_ properties: [SystemdProperty]) -> [String] {
    ["\(properties.count)"] + properties.flatMap { [$0.name, $0.signature] + $0.words }
  }
}
