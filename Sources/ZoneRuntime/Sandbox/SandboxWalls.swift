internal import LinuxNS
internal import ResourceControl

/// The walls of a sandbox by name: `--require`, and what `--verbose`, `--explain` and `audit` tell.
public enum SandboxWalls {
  /// Those that every sandbox with namespaces has.
  static let always = ["user", "mount", "pid", "ipc", "uts", "cgroup", "seccomp", "capabilities", "no-new-privs"]
  /// Those that one without has.
  static let bare = ["landlock", "seccomp", "capabilities", "no-new-privs"]
  /// Every name, with what stands behind it.
  public static let table: [(name: String, why: String)] = [
    ("user", "its ids and powers end at its own user namespace"),
    ("mount", "it sees a file tree of its own, put together from the places below"),
    ("pid", "it sees and signals its own processes alone, and they end with it"),
    ("net", "it has no network device but its own lo"),
    ("ipc", "shared memory and message queues of others are out of its sight"),
    ("uts", "a host name of its own"),
    ("cgroup", "it sees no control group but its own"),
    ("landlock", "what lies outside of its tree cannot be opened, however it is led to"),
    ("seccomp", "calls that it does not need, and new ones, do not get into the kernel"),
    ("capabilities", "it holds none, and none can come to it"),
    ("no-new-privs", "no program that it executes gives it privileges"),
    ("limits", "it takes no more of the machine than this"),
  ]
  static let known = table.map { $0.name }

  /// - Throws: where a sandbox that was asked for so does not have it.
  public static func require(_ wall: String, _ wish: SandboxWish) throws(ZoneError) {
    guard known.contains(wall) else {
      throw .commandLine("--require '\(wall)': the walls are \(known.joined(separator: " "))")
    }
    switch wall {
    case "net":
      guard wish.network != .host else { throw .refused("cannot give the wall 'net': --network host takes it away") }
    case "limits":
      guard !wish.limits.isEmpty else {
        throw .refused("cannot give the wall 'limits': nothing is limited (--memory, --cpus, --pids)")
      }
    case "landlock":
      if let why = Landlock.refusal { throw .refused("cannot give the wall 'landlock': \(why)") }
      guard !wish.nesting else {
        throw .refused("cannot give the wall 'landlock': with --nesting mounts can be made inside, which it forbids")
      }
    default:
      guard let why = wish.bare, !bare.contains(wall) else { return }
      throw .refused("cannot give the wall '\(wall)': \(why), and Landlock has none of that kind")
    }
  }

  /// Those that stand around it, in the table's order.
  /// - Parameter landlock: of the running kernel.
  static func standing(_ spec: ZoneSpec, _ landlock: Landlock = .ofKernel()) -> [String] {
    let isBare = spec.sandbox?.bare != nil
    var names = isBare ? bare : always
    if spec.network != .host { names.append("net") }
    if !spec.limits.isEmpty { names.append("limits") }
    if landlock.abi > 0, spec.sandbox?.landlock == true { names.append("landlock") }
    return known.filter(names.contains)
  }

  public static func words(_ spec: ZoneSpec) -> String {
    let landlock = Landlock.ofKernel()
    let walls = standing(spec, landlock).map { $0 == "landlock" ? "landlock (ABI \(landlock.abi))" : $0 }
    let allowed = spec.sandbox?.allowed ?? []
    let network = allowed.isEmpty ? spec.network.text : "allow=" + allowed.joined(separator: ",")
    return "walls: " + walls.joined(separator: " ") + "; network: \(network)"
  }

  /// What whoever runs a sandbox without namespaces has to know, in one line; nil for others.
  public static func missing(_ spec: ZoneSpec) -> String? {
    guard let sandbox = spec.sandbox, let bare = sandbox.bare else { return nil }
    let landlock = Landlock.ofKernel()
    var missing = ["files' modes and names outside"]
    if !landlock.scopesSignals {
      missing.append("signals to your other processes, and what it leaves running after a kill")
    }
    if landlock.abi < 5 { missing.append("ioctl on devices") }
    if landlock.abi < 3 { missing.append("truncation of files that it may not write") }
    var text = "no namespaces (\(bare.why)): Landlock ABI \(landlock.abi) and seccomp alone; not covered: "
    text += missing.joined(separator: ", ")
    if !bare.uncovered.isEmpty {
      let folders = bare.uncovered.map { name in
        Paths.lies(name, in: sandbox.account.home) ? "~" + name.dropFirst(sandbox.account.home.utf8.count) : name
      }
      text += ", and what programs outside would obey: \(folders.joined(separator: " "))"
    }
    if let pids = spec.limits.pids { text += "; --pids is RLIMIT_NPROC: \(pids) above those that you run now" }
    if spec.limits.memory != nil { text += "; --memory is RLIMIT_DATA: of each process by itself" }
    return text
  }
}
