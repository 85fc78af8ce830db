internal import Glibc
public import LinuxNS

/// A zone's control groups: one in the v2 tree, and on v1 one for each controller that a limit needs.
///
/// A value that knows where they are; every call opens what it needs, so one process may make it and another end it.
public struct Cgroup: Sendable {
  public internal(set) var record: CgroupRecord

  /// Groups that another process made. Whether they are still there is told by the first call.
  public init(opening record: CgroupRecord) { self.record = record }

  /// Does the plan; where a step fails, those before it are undone in reverse and the step's error is thrown.
  public static func create(_ plan: CgroupPlan) throws(CgroupError) -> Cgroup {
    try again { () throws(CgroupError) in try attempt(plan) }
  }

  /// The last zone of others may take a group that is above many away between our making it and our reading its files, or
  /// making a group in it. Whatever else is missing is missing once more.
  static func again<Made>(_ body: () throws(CgroupError) -> Made) throws(CgroupError) -> Made {
    for turn in 1...32 {
      do { return try body() } catch {
        guard case .call(let cause, _) = error, [ENOENT, ENODEV].contains(cause.errno) else { throw error }
      }
      // Who is in our way may be trying again as well: not in step with us.
      usleep(UInt32.random(in: 0...UInt32(turn * 50)))
    }
    return try body()
  }

  private static func attempt(_ plan: CgroupPlan) throws(CgroupError) -> Cgroup {
    var done: [CgroupPlan.Step] = []
    do {
      for step in plan.steps {
        try execute(step)
        done.append(step)
      }
    } catch {
      for step in done.reversed() { undo(step) }
      throw error
    }
    return Cgroup(opening: plan.record)
  }

  /// The v2 group's directory for clone3(2) with CLONE_INTO_CGROUP; nil where there is no v2 tree.
  /// - Parameter executing: for a process that comes to those that are there.
  public func openDirectory(executing: Bool = false) throws(CgroupError) -> OwnedFD? {
    guard let path = executing ? record.executions : record.beginning else { return nil }
    return try CgroupError.wrap("open the control group") { () throws(SyscallError) in
      try OwnedFD.open(path, O_RDONLY | O_DIRECTORY)
    }
  }

  /// The v1 groups' `tasks` files, open for writing: a process of one thread joins by writing `0` to each (0.02 ms,
  /// where `cgroup.procs` waits for other CPUs, 4 to 12 ms).
  public func openJoinFiles() throws(CgroupError) -> DescriptorList {
    var files = DescriptorList()
    for path in Set(record.v1.values).sorted() {
      let file = try CgroupError.wrap("open the control group") { () throws(SyscallError) in
        try OwnedFD.open("\(path)/tasks", O_WRONLY)
      }
      files.append(file)
    }
    return files
  }

  // MARK: steps

  static func execute(_ step: CgroupPlan.Step) throws(CgroupError) {
    switch step {
    case .shared(let path):
      if mkdir(path, 0o755) == 0 { return }
      let error = errno
      guard error == EEXIST else { throw failure("mkdir", error, path, "make the control group of all zones") }
    case .own(let path):
      if mkdir(path, 0o755) == 0 { return }
      let error = errno
      guard error == EEXIST else { throw failure("mkdir", error, path, "make the zone's control group") }
      // Of a start that was cut; whose processes are alive, it is in use.
      guard try CgroupTree.processes(below: path).isEmpty else { throw .busy(path: path) }
      try CgroupTree.remove(path, deadline: Clock.monotonicNanoseconds() + 1_000_000_000)
      guard mkdir(path, 0o755) == 0 else { throw failure("mkdir", errno, path, "make the zone's control group") }
    case .delegate(let path, let owner):
      // What a delegatee is given (cgroup-v2.rst, "Model of Delegation"): the values stay ours.
      for name in ["", "/cgroup.procs", "/cgroup.threads", "/cgroup.subtree_control"] {
        guard lchown(path + name, owner.uid, owner.gid) == 0 else {
          throw failure("chown", errno, path + name, "hand the control group over")
        }
      }
    case .inheritCpuset(let path):
      for name in ["cpuset.cpus", "cpuset.mems"] {
        guard try read("\(path)/\(name)").isEmpty else { continue }
        try write(read("\(FileSystem.parent(of: path))/\(name)"), to: "\(path)/\(name)")
      }
    case .enable(let controllers, let required, let path):
      try enable(controllers, required, path)
    case .write(let text, let file):
      try write(text, to: file)
    case .writeIfPresent(let text, let file):
      do {
        try write(text, to: file)
      } catch {
        guard case .call(let cause, _) = error, cause.errno == ENOENT else { throw error }
      }
    }
  }

  /// Best effort: the error that led here is the one to report.
  private static func undo(_ step: CgroupPlan.Step) {
    switch step {
    case .shared(let path), .own(let path): rmdir(path)
    case .inheritCpuset, .enable, .write, .writeIfPresent, .delegate: break
    }
  }

  private static func enable(_ controllers: [CgroupController], _ required: [CgroupController], _ path: String)
    throws(CgroupError)
  {
    let file = "\(path)/cgroup.subtree_control"
    let enabled = CgroupHierarchy.controllers(try read(file))
    let there = CgroupHierarchy.controllers(try read("\(path)/cgroup.controllers"))
    for controller in controllers where !enabled.contains(controller) {
      let isRequired = required.contains(controller)
      let whyNot: String
      if !there.contains(controller) {
        whyNot = "\(path) was not given the controller"
      } else if try hasProcesses(path) {
        // The kernel would refuse memory, and for the others make a threaded tree in which no zone can be started
        // (cgroup-v2.rst, "No Internal Process Constraint" and "Threads").
        whyNot = "\(path) has processes of its own, so no controller can be let down; move them into a group below it"
      } else {
        // One by one: a write that names several does none of them if one is refused.
        do { try write("+\(controller.rawValue)", to: file) } catch { if isRequired { throw error } }
        continue
      }
      if isRequired { throw .missing(controller: controller, why: whyNot) }
    }
  }

  /// Whether a group has processes in itself; the top of all groups may, and has no type.
  private static func hasProcesses(_ path: String) throws(CgroupError) -> Bool {
    guard FileSystem.exists("\(path)/cgroup.type") else { return false }
    return try !read("\(path)/cgroup.procs").isEmpty
  }

  static func failure(_ call: String, _ errno: CInt, _ path: String, _ doing: String) -> CgroupError {
    .call(SyscallError(call: call, errno: errno, path: path), doing: doing)
  }

  static func write(_ text: String, to file: String) throws(CgroupError) {
    try CgroupError.wrap("write \(text.split(separator: "\n").first ?? "an empty line") to the control group") {
      () throws(SyscallError) in try FileSystem.writeKernelFile(file, text)
    }
  }

  static func read(_ file: String) throws(CgroupError) -> String {
    try CgroupError.wrap("read the control group") { () throws(SyscallError) in try FileSystem.readLine(file) }
  }
}

/// Open descriptors that are closed together.
public struct DescriptorList: ~Copyable, Sendable {
  /// Numbers to hand to a child; they stay this list's.
  public private(set) var raw: [CInt] = []

  public init() {}
  deinit { for number in raw { close(number) } }
  mutating func append(_ file: consuming OwnedFD) { raw.append(file.take()) }
}
