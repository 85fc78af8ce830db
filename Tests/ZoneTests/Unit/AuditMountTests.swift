import Testing

@testable import LinuxNS
@testable import ZoneRuntime

/// The mounts of a plan and those of a kernel that is played.
@Suite struct AuditMountTests {
  /// A kernel that did what the plan says: mounts in its order, each on what is there by then.
  private func kernel(_ plan: LaunchPlan) -> MountAudit {
    var audit = MountAudit(zone: [], host: [], group: "/zones/web")
    let entry = { (id: Int, parent: Int, root: String, target: String, type: String) in
      MountEntry(
        id: id, parent: parent, device: "0:\(id)", root: root, target: target, options: ["rw"], peers: [], type: type,
        superOptions: "rw")
    }
    for mount in plan.mounts {
      let id = 100 + audit.zone.count
      let below = audit.zone.last {
        $0.target == mount.target || $0.target == "/" || mount.target.hasPrefix($0.target + "/")
      }
      // The deepest that is there.
      let parent =
        audit.zone.filter { $0.target == "/" || mount.target == $0.target || mount.target.hasPrefix($0.target + "/") }
        .max { ($0.target.count, $0.id) < ($1.target.count, $1.id) } ?? below
      var made = entry(id, parent?.id ?? 1, "/", mount.target, "ext4")
      switch mount.content {
      case .own(let type):
        made.type = type
        if type == "cgroup2" { made.root = "/zones/web" }
      case .overlay(let options): (made.type, made.superOptions) = ("overlay", "rw," + options.joined(separator: ","))
      case .tree(let path, _):
        (made.device, made.root) = ("8:1", path)
        audit.places[path] = .init(device: "8:1", root: path)
      case .disk(let path):
        (made.device, made.root) = ("7:3", "/")
        audit.backing["7:3"] = path
      case .itself:
        audit.isDirectory[mount.target] = true
        (made.device, made.type) = (parent?.device ?? "", "proc")
        made.root = String(mount.target.dropFirst(parent?.target.count ?? 0))
      case .cover:
        let isDirectory = mount.target.count % 2 == 0
        audit.isDirectory[mount.target] = isDirectory
        if isDirectory {
          (made.type, made.superOptions, made.options) = ("tmpfs", "ro,nr_inodes=1", ["ro"])
        } else {
          made.root = "/null"
          let null = audit.zone.last { $0.target == "/dev/null" } ?? audit.zone.last { $0.target == "/dev" }
          made.device = null?.device ?? ""
        }
      }
      for flag in MountFlag.table where mount.flags & flag.flag != 0 { made.options.append(flag.name) }
      if mount.idsAreMapped { made.options.append("idmapped") }
      audit.zone.append(made)
    }
    return audit
  }

  /// Told apart from the comparison: what is read off the ops, as a person would say it.
  @Test func aPlansMountsAreReadOffItsOps() throws {
    var spec = ZoneSpec(name: "web")
    spec.readOnly = true
    spec.volumes = [VolumeMount(source: .path("/srv"), target: "/data")]
    let mounts = LaunchPlanner.plan(spec, try PlanTests.facts()).mounts
    let at = { (target: String) in mounts.last { $0.target == target } }
    let (ro, nosuid, nodev, noexec) = (MountFlag.readOnly, MountFlag.noSuid, MountFlag.noDev, MountFlag.noExec)
    #expect(at("/") == WantedMount(target: "/", content: .own(type: "tmpfs"), flags: ro | nosuid | nodev))
    let usr = WantedMount.Content.tree("/usr", recursive: false)
    #expect(at("/usr") == WantedMount(target: "/usr", content: usr, flags: ro | nodev, idsAreMapped: true))
    let data = WantedMount.Content.tree("/srv", recursive: false)
    #expect(at("/data") == WantedMount(target: "/data", content: data, flags: nosuid | nodev, idsAreMapped: true))
    #expect(at("/etc")?.flags == ro | nodev && at("/tmp")?.content == .own(type: "tmpfs"))
    if case .overlay(let options)? = at("/etc")?.content {
      #expect(options.contains("lowerdir=/var/lib/zones/.shared/etc/1") && options.count == 3)
    } else {
      Issue.record("/etc is no overlay: \(String(describing: at("/etc")))")
    }
    #expect(at("/proc")?.flags == nosuid | nodev | noexec && at("/proc/keys")?.content == .cover)
    #expect(at("/proc/sys") == WantedMount(target: "/proc/sys", content: .itself, flags: ro | nosuid | nodev | noexec))
    #expect(at("/sys/fs/cgroup")?.content == .own(type: "cgroup2") && at("/var/lib/zones") == nil)
    // Of an ordinary user by path, with all that lies below.
    let users = LaunchPlanner.plan(spec, try PlanTests.facts(.subordinate)).mounts
    let null = users.last { $0.target == "/dev/null" }
    #expect(null?.content == .tree("/dev/null", recursive: true) && null?.flags == nosuid | noexec)
  }

  @Test(arguments: [WallTier.root, .subordinate, .single])
  func whatAPlanMakesIsAsPlanned(_ tier: WallTier) throws {
    for seed in 0..<2048 {
      let plan = LaunchPlanner.plan(PlanTests.spec(seed), try PlanTests.facts(tier))
      let found = MountAudit.compare(plan.mounts, kernel(plan))
      #expect(found.differences == [], "seed \(seed)")
    }
  }

  private func differences(_ spec: ZoneSpec = ZoneSpec(name: "web"), _ change: (inout MountAudit) -> Void) throws
    -> [AuditDifference]
  {
    let plan = LaunchPlanner.plan(spec, try PlanTests.facts())
    var audit = kernel(plan)
    change(&audit)
    return MountAudit.compare(plan.mounts, audit).differences
  }

  private func at(_ target: String, _ audit: MountAudit) -> Int { audit.zone.firstIndex { $0.target == target }! }

  /// Each flag of each mount is missed when it is gone.
  @Test func aFlagThatIsGoneIsTold() throws {
    let plan = LaunchPlanner.plan(ZoneSpec(name: "web"), try PlanTests.facts())
    let whole = kernel(plan)
    var tried = 0
    for index in whole.zone.indices {
      for flag in ["ro", "nosuid", "nodev", "noexec", "idmapped"] where whole.zone[index].options.contains(flag) {
        var audit = whole
        audit.zone[index].options.removeAll { $0 == flag }
        let found = MountAudit.compare(plan.mounts, audit).differences
        #expect(found.map(\.what) == [whole.zone[index].target], "\(flag) of \(whole.zone[index])")
        tried += 1
      }
    }
    #expect(tried > 30)
  }

  @Test func aMountThatIsGoneIsTold() throws {
    let plan = LaunchPlanner.plan(ZoneSpec(name: "web"), try PlanTests.facts())
    let whole = kernel(plan)
    for index in whole.zone.indices where whole.zone[index].target != "/" {
      var audit = whole
      audit.zone.remove(at: index)
      let found = MountAudit.compare(plan.mounts, audit).differences
      #expect(found.contains { $0.what == whole.zone[index].target }, "\(whole.zone[index])")
    }
  }

  @Test func anotherSourceOrFileSystemIsTold() throws {
    for target in ["/usr", "/etc", "/proc", "/sys/fs/cgroup", "/proc/keys", "/proc/sys"] {
      let found = try differences { audit in
        let index = at(target, audit)
        (audit.zone[index].device, audit.zone[index].root) = ("9:9", "/elsewhere")
        (audit.zone[index].type, audit.zone[index].superOptions) = ("xfs", "rw")
      }
      #expect(found.contains { $0.what == target }, "\(target): \(found)")
    }
  }

  @Test func aMountMoreIsTold() throws {
    let more = { (target: String, device: String, root: String) in
      MountEntry(
        id: 999, parent: 100, device: device, root: root, target: target, options: ["rw"], peers: [], type: "tmpfs",
        superOptions: "rw")
    }
    #expect(try differences { $0.zone.append(more("/mnt", "0:99", "/")) }.map(\.what) == ["/mnt"])
    // Over one of the plan's.
    #expect(
      try differences { audit in
        var over = more("/proc/keys", "0:99", "/")
        over.parent = audit.zone[at("/proc/keys", audit)].id
        audit.zone.append(over)
      }.map(\.what) == ["/proc/keys"])
    // A zone that may mount has its own, but none that shows more of the host.
    let host = MountEntry(
      id: 1, parent: 0, device: "8:1", root: "/", target: "/", options: [], peers: [], type: "ext4", superOptions: "")
    for (device, root, count) in [("0:99", "/", 0), ("8:1", "/usr/share", 0), ("8:1", "/", 1), ("8:1", "/root", 1)] {
      let found = try differences { audit in
        audit.mayMount = true
        audit.host = [host]
        audit.zone.append(more("/mnt", device, root))
      }
      #expect(found.count == count, "\(device) \(root): \(found)")
    }
  }

  @Test func aMountThatCrossesIsTold() throws {
    let peer = { (peers: [String]) throws -> Int in
      try differences { audit in
        audit.host = [audit.zone[0]]
        audit.host[0].peers = ["shared:7", "unbindable"]
        audit.zone[3].peers = peers
      }.count
    }
    #expect(try peer(["shared:7"]) == 1)
    #expect(try peer(["master:7"]) == 1)
    #expect(try peer(["shared:8"]) == 0)
    #expect(try peer(["unbindable"]) == 0)
  }

  /// An ordinary user's trees come with what the host has mounted below, and with their flags.
  @Test func whatCameAlongWithATreeIsAsPlanned() throws {
    let plan = LaunchPlanner.plan(ZoneSpec(name: "web"), try PlanTests.facts(.subordinate))
    for (root, options, count) in [
      ("/", ["ro", "nodev"], 0), ("/", ["rw", "nodev"], 1), ("/other", ["ro", "nodev"], 1),
    ] {
      var audit = kernel(plan)
      let below = MountEntry(
        id: 900, parent: 100, device: "8:2", root: "/", target: "/usr/share", options: [], peers: [], type: "ext4",
        superOptions: "")
      audit.host = [below]
      audit.zone.append(below)
      audit.zone[audit.zone.count - 1].root = root
      audit.zone[audit.zone.count - 1].options = options
      #expect(MountAudit.compare(plan.mounts, audit).differences.count == count, "\(root) \(options)")
    }
  }

  /// Where a link of the zone's tree is on the way, the kernel said which mount it is.
  @Test func aTargetBehindALinkIsFound() throws {
    var spec = ZoneSpec(name: "web")
    spec.volumes = [VolumeMount(source: .path("/srv"), target: "/var/run/data")]
    let moved = { (known: Bool) throws -> [String] in
      try differences(spec) { audit in
        let index = at("/var/run/data", audit)
        audit.zone[index].target = "/run/data"
        if known { audit.targets["/var/run/data"] = audit.zone[index].id }
      }.map(\.what)
    }
    #expect(try moved(true) == [])
    #expect(try moved(false) == ["/var/run/data", "/run/data"])
  }

  @Test func theTableIsReadAsTheKernelWritesIt() {
    let text = """
      36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue
      37 36 0:5 / /a\\134b ro - tmpfs none rw
      short line
      x y 0:5 / / ro - tmpfs none rw

      """
    let entries = MountTable.parse(Array(text.utf8))
    #expect(entries.map(\.target) == ["/mnt 2", "/a\\b"])
    #expect(entries.first?.peers == ["shared:1", "master:2"] && entries.first?.options == ["rw", "noatime"])
    #expect(entries.first?.id == 36 && entries.first?.parent == 35 && entries.first?.root == "/mnt1")
    #expect(entries.last?.type == "tmpfs" && entries.last?.superOptions == "rw" && entries.last?.peers == [])
  }
}
