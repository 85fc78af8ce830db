internal import Glibc
internal import LinuxNS

/// The groups that the zones' own groups are made in: `zones`, or `zones-TAG`, in every tree that we may use.
public struct CgroupBase: Equatable, Sendable {
  /// In the v2 tree.
  public var unified: String?
  /// What can be enabled there.
  public var unifiedControllers: Set<CgroupController>
  /// The groups from whose `cgroup.subtree_control` controllers come down to `unified`, from the top; not `unified` itself.
  public var unifiedParents: [String]
  /// In the v1 trees.
  public var v1: [CgroupController: String]
  /// Why a controller that is in none of the above is not, and what to do.
  public var whyMissing: String

  /// Root's: directly below the top of each tree.
  /// - Parameter tag: tells the groups of a `--root DIR` from others; nil for the standard place.
  public static func forRoot(_ hierarchy: CgroupHierarchy, tag: String? = nil) -> CgroupBase {
    let name = folder(tag)
    return CgroupBase(
      unified: hierarchy.unified.map { "\($0.path)/\(name)" },
      unifiedControllers: hierarchy.unifiedControllers,
      unifiedParents: hierarchy.unified.map { [$0.path] } ?? [],
      v1: hierarchy.v1.mapValues { "\($0.path)/\(name)" },
      whyMissing: "this kernel has no such controller, or it is mounted nowhere (see /proc/cgroups)")
  }

  /// As `forRoot` for who asks for no limit, by two calls instead of the reading of all mounts: where a v2 tree is at one
  /// of its two usual places. nil: neither; `CgroupHierarchy.detect` looks everywhere.
  public static func forRootAtUsualPlace(tag: String? = nil) -> CgroupBase? {
    guard let (path, controllers) = CgroupHierarchy.usualTree() else { return nil }
    return CgroupBase(
      unified: "\(path)/\(folder(tag))", unifiedControllers: controllers, unifiedParents: [path], v1: [:],
      whyMissing: "this kernel has no such controller, or it is mounted nowhere (see /proc/cgroups)")
  }

  /// An ordinary user's: below the topmost group above his own that was delegated to him, in the v2 tree alone (v1 is
  /// never delegated safely: cgroup-v1/cgroups.rst, systemd's "Control Group APIs and Delegation").
  /// - Parameters:
  ///   - selfCgroup: the content of /proc/self/cgroup.
  ///   - uid: the caller's.
  /// - Throws: `unavailable`, with the mend, where nothing was delegated.
  public static func forUser(_ hierarchy: CgroupHierarchy, selfCgroup: String, uid: UInt32, tag: String? = nil)
    throws(CgroupError) -> CgroupBase
  {
    guard let tree = hierarchy.unified else {
      throw .unavailable(
        why: "the cgroup2 tree is not mounted, and v1 groups are root's; boot with systemd.unified_cgroup_hierarchy=1")
    }
    guard let own = ownGroup(selfCgroup, in: tree) else {
      throw .unavailable(why: "our own group is outside of \(tree.path); enter a cgroup namespace of the host's mounts")
    }
    var parts = own.split(separator: "/").map(String.init)
    var top: [String]?
    // A process goes from group to group only where its user may write cgroup.procs of the first group that is
    // above both (cgroup-v2.rst, "Delegation containment"), so every group from here up to the top must be his.
    while isDelegated(path(tree.path, parts), to: uid) {
      top = parts
      if parts.popLast() == nil { break }
    }
    guard let top else {
      throw .unavailable(
        why: "\(path(tree.path, parts)) is not delegated to uid \(uid); log in through systemd, or start with "
          + "systemd-run --user --scope -p Delegate=yes")
    }
    let parent = path(tree.path, top)
    return CgroupBase(
      unified: "\(parent)/\(folder(tag))",
      unifiedControllers: CgroupHierarchy.controllers(of: parent),
      unifiedParents: [parent],
      v1: [:],
      whyMissing: "the controller was not delegated to \(parent); as root, set Delegate=cpu cpuset io memory pids in a "
        + "drop-in of user@.service and log in again")
  }

  /// Every group that a zone of that name may have, whatever its limits; most of them are not there.
  public func groups(of name: String) throws(CgroupError) -> CgroupRecord {
    let name = try Self.escape(name)
    return CgroupRecord(unified: unified.map { "\($0)/\(name)" }, v1: v1.mapValues { "\($0)/\(name)" })
  }

  static func ownGroup(_ selfCgroup: String, in tree: CgroupHierarchy.Tree) -> String? {
    guard let line = selfCgroup.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return nil }
    let group = String(line.dropFirst(3))
    guard !group.split(separator: "/").contains("..") else { return nil }
    if tree.root == "/" { return group }
    guard group == tree.root || group.hasPrefix(tree.root + "/") else { return nil }
    return String(group.dropFirst(tree.root.count))
  }

  private static func isDelegated(_ path: String, to uid: UInt32) -> Bool {
    // What cannot be looked at was not given to him.
    guard let status = try? FileSystem.status(path, followingLinks: false), status.st_uid == uid else { return false }
    return ["", "/cgroup.procs", "/cgroup.subtree_control"].allSatisfy { access(path + $0, W_OK) == 0 }
  }

  private static func path(_ root: String, _ parts: [String]) -> String { ([root] + parts).joined(separator: "/") }
  private static func folder(_ tag: String?) -> String { tag.map { "zones-\($0)" } ?? "zones" }

  /// A zone's name as a group's. Names that the kernel's own files have, or may have one day, get a `_`, and so do those
  /// that begin with one: a zone can be named `tasks`.
  static func escape(_ name: String) throws(CgroupError) -> String {
    guard !name.isEmpty, name.utf8.count <= 254, !name.contains("/"), !name.utf8.contains(0), !name.utf8.contains(10)
    else {
      throw .name(name)
    }
    let kernels = ["tasks", "notify_on_release", "release_agent"]
    return kernels.contains(name) || name.hasPrefix("_") || name.contains(".") ? "_\(name)" : name
  }
}
