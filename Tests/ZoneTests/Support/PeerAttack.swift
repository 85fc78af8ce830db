import Foundation
import Glibc
import Testing

/// An attack that goes through an OCI bundle, so that any runtime can be its victim; and how it ends with two of them.
struct PeerAttack: Sendable {
  /// How it is to end. The reason is a row's in docs/ATTACKS.md.
  enum Ending: Sendable {
    case refused(String)
    case succeeds(String)

    var succeeds: Bool { if case .succeeds = self { true } else { false } }
    var words: String {
      switch self {
      case .refused(let why): "refused: \(why)"
      case .succeeds(let why): "**succeeds**: \(why)"
      }
    }
  }

  /// What one run of it found.
  struct Found {
    var succeeded: Bool
    /// What was seen, for whom it surprises.
    var told: String
    init(_ succeeded: Bool, _ told: Any) { (self.succeeded, self.told) = (succeeded, "\(told)") }
  }

  /// Which way it is tried: as it stands, or with the one wall left away that both runtimes keep (`control`).
  enum Way { case asItStands, open }

  /// The class of docs/ATTACKS.md.
  var rule: String
  /// What is tried.
  var attack: String
  var ours: Ending
  var runc: Ending
  /// Where both refuse it: what is left away so that it succeeds with runc, which shows that it would be noticed. Without
  /// one `runc` says why not.
  var control: String?
  var perform: @Sendable (OCIBundle, Way) throws -> Found
}

extension PeerAttack: CustomTestStringConvertible {
  var testDescription: String { attack }

  /// The row of docs/ATTACKS.md.
  var row: String {
    let shown = runc.succeeds ? "runc" : control.map { "runc \($0)" } ?? "not shown"
    return "| \(rule) | \(attack) | \(ours.words) | \(runc.words) | \(shown) |"
  }

  static let all = mounts + kernelFiles + processes
  static let head = "| class | attack | zone-oci | runc 1.1.5 of Debian 12 | succeeds with |"
}

// MARK: what attacks have in common

extension OCIBundle {
  var rootfs: String { folder + "/rootfs" }

  /// A folder of the host's with a file in it.
  func victim() throws -> String {
    let place = folder + "/victim"
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    try "untouched".write(toFile: place + "/file", atomically: false, encoding: .utf8)
    return place
  }

  /// What is in the victim's folder beside its file.
  func planted() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder + "/victim").filter { $0 != "file" }.sorted()
  }

  /// A program of Tests/attacks in the root; its path there.
  func arm(_ name: String) throws -> String {
    _ = try Attack.build(name, into: rootfs + "/attacks")
    try "".write(toFile: rootfs + "/attacks/here", atomically: false, encoding: .utf8)
    return "/attacks/" + name
  }

  func give(_ capabilities: String..., sets: [String] = ["bounding", "effective", "permitted"]) {
    for set in sets { for name in capabilities { add("process.capabilities.\(set)", name) } }
  }

  func giveUserNamespace() {
    add("linux.namespaces", ["type": "user"])
    for key in ["uidMappings", "gidMappings"] {
      self["linux.\(key)"] = [["containerID": 0, "hostID": 300_000, "size": 65536]]
    }
    // The rootfs is root's; the container's root must reach it.
    chmod(folder, 0o755)
  }

  func leaveOut(_ destinations: String...) {
    self["mounts"] = (self["mounts"] as? [[String: Any]])?.filter { mount in
      !destinations.contains { mount["destination"] as? String == $0 }
    }
  }

  func bind(_ source: String, _ destination: String, _ options: String...) {
    add("mounts", ["destination": destination, "type": "bind", "source": source, "options": ["bind"] + options])
  }

  /// A second procfs, where no cover lies.
  func showKernel(at destination: String) throws {
    mkdir(rootfs + destination, 0o755)
    add("mounts", ["destination": destination, "type": "proc", "source": "proc"])
  }

  /// A folder of the host's that is the container's /dev, with the links that `links` names.
  func plantDev(_ links: [String: String]) throws -> String {
    let dev = folder + "/dev"
    try FileManager.default.createDirectory(atPath: dev, withIntermediateDirectories: true)
    for (name, target) in links {
      try? FileManager.default.removeItem(atPath: "\(dev)/\(name)")
      try FileManager.default.createSymbolicLink(atPath: "\(dev)/\(name)", withDestinationPath: target)
    }
    leaveOut("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    bind(dev, "/dev")
    return dev
  }

  /// Starts the bundle until `found` says that it went wrong, `turns` times at most; what was seen last.
  func starts(_ turns: Int, _ found: (Int, Outcome) throws -> PeerAttack.Found) throws -> PeerAttack.Found {
    var last = PeerAttack.Found(false, "no turn")
    for turn in 0..<turns {
      last = try found(turn, try start())
      if last.succeeded { break }
    }
    return last
  }

  /// A container that sleeps, as another verb's victim.
  func sleeping() throws {
    self["process.args"] = ["sleep", "1000"]
    try create()
    try ok("start", "a")
  }
}
