internal import ResourceControl

/// The walls of a sandbox by name: `--require`, and what `--verbose` tells.
public enum SandboxWalls {
  /// Those that every sandbox has.
  static let always = ["user", "mount", "pid", "ipc", "uts", "cgroup", "seccomp", "capabilities", "no-new-privs"]
  static let known = always + ["net", "limits"]

  /// - Throws: where a sandbox that was asked for so does not have it.
  public static func require(_ wall: String, _ wish: SandboxWish) throws(ZoneError) {
    if always.contains(wall) { return }
    switch wall {
    case "net":
      guard wish.network != .host else { throw .refused("cannot give the wall 'net': --network host takes it away") }
    case "limits":
      guard !wish.limits.isEmpty else {
        throw .refused("cannot give the wall 'limits': nothing is limited (--memory, --cpus, --pids)")
      }
    default:
      throw .commandLine("--require '\(wall)': the walls are \(known.joined(separator: " "))")
    }
  }

  public static func words(_ spec: ZoneSpec) -> String {
    var walls = always
    if spec.network != .host { walls.insert("net", at: 3) }
    if !spec.limits.isEmpty { walls.append("limits") }
    let allowed = spec.sandbox?.allowed ?? []
    let network = allowed.isEmpty ? spec.network.text : "allow=" + allowed.joined(separator: ",")
    return "walls: " + walls.joined(separator: " ") + "; network: \(network)"
  }
}
