import Foundation
import Glibc

/// Attacks by the kernel's own file systems, and what a bundle has written there.
extension PeerAttack {
  static let kernelFiles: [PeerAttack] = [
    PeerAttack(
      rule: "writes to /proc redirected",
      attack: "/proc of the root is a link (CVE-2019-19921, CVE-2023-27561)",
      ours: .refused("nothing is mounted at a link's end"),
      runc: .refused("fixed in 1.1.5"),
      perform: { bundle, _ in
        rmdir(bundle.rootfs + "/proc")
        symlink("/tmp", bundle.rootfs + "/proc")
        bundle["linux.maskedPaths"] = [String]()
        bundle["linux.readonlyPaths"] = [String]()
        bundle.shell("echo ran")
        let outcome = try bundle.start()
        return Found(outcome.text == "ran", outcome)
      }),
    PeerAttack(
      rule: "writes to /proc redirected",
      attack: "/proc is a folder of the root's, in whose file a sysctl is written (CVE-2019-16884)",
      ours: .refused("kernel files are written on procfs alone"),
      runc: .succeeds("the file has the value"),
      perform: { bundle, _ in
        let place = bundle.rootfs + "/proc/sys/net/ipv4"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        try "0".write(toFile: place + "/ip_forward", atomically: false, encoding: .utf8)
        bundle.leaveOut("/proc")
        bundle["linux.maskedPaths"] = [String]()
        bundle["linux.readonlyPaths"] = [String]()
        bundle["linux.sysctl"] = ["net.ipv4.ip_forward": "1"]
        let outcome = try bundle.start()
        return Found(contents(place + "/ip_forward") != "0", outcome)
      }),
    PeerAttack(
      rule: "writes to /proc redirected",
      attack: "a sysctl's file is a link to another file of procfs (CVE-2025-52881)",
      ours: .refused("no link is followed to a kernel's file"),
      runc: .succeeds("the other file has the value (fixed in 1.2.8)"),
      perform: { bundle, _ in
        let place = bundle.rootfs + "/proc/sys/kernel"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        symlink("/kernel/sys/kernel/hostname", place + "/domainname")
        // What runc looks for by itself.
        symlink("/kernel/self", bundle.rootfs + "/proc/self")
        bundle.leaveOut("/proc")
        try bundle.showKernel(at: "/kernel")
        bundle["linux.maskedPaths"] = [String]()
        bundle["linux.readonlyPaths"] = [String]()
        bundle["linux.sysctl"] = ["kernel.domainname": "redirected"]
        bundle.shell("hostname")
        let outcome = try bundle.start()
        return Found(outcome.text == "redirected", outcome)
      }),
    PeerAttack(
      rule: "writable cgroup tree, release_agent",
      attack: "cgroups mounted without `ro`: the container lifts its own limit and makes groups (CVE-2022-0492)",
      ours: .refused("v1 trees are read-only whatever is asked for"),
      runc: .succeeds("its limit is off"),
      perform: { bundle, _ in
        bundle["mounts"] = (bundle["mounts"] as? [[String: Any]])?.map { mount in
          var mount = mount
          if mount["type"] as? String == "cgroup" { mount["options"] = ["nosuid", "noexec", "nodev"] }
          return mount
        }
        bundle["linux.resources.pids"] = ["limit": 64]
        bundle.shell(
          """
          cd /sys/fs/cgroup/pids || cd /sys/fs/cgroup; echo limit $(cat pids.max)
          echo max > pids.max; echo now $(cat pids.max); mkdir here && echo made && rmdir here
          find /sys/fs/cgroup -name release_agent
          """)
        let outcome = try bundle.start()
        let report = outcome.lines
        return Found(
          report.contains("now max") || report.contains("made") || outcome.out.contains("release_agent"), outcome)
      }),
    PeerAttack(
      rule: "device nodes",
      attack: "a node of the root's tree that leads to the host's FUSE is opened",
      ours: .refused("device rules of the bundle"),
      runc: .refused("the same"),
      control: "with a rule that allows it",
      perform: { bundle, way in
        try plantNode(bundle)
        if way == .open {
          bundle.add(
            "linux.resources.devices",
            ["allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"])
        }
        let outcome = try bundle.start()
        return Found(outcome.text.hasPrefix("opened"), outcome)
      }),
    PeerAttack(
      rule: "device nodes",
      attack: "the same, where the bundle says nothing of devices",
      ours: .refused("without rules there is a default"),
      runc: .refused("the same"),
      control: "with a rule that allows it",
      perform: { bundle, way in
        try plantNode(bundle)
        bundle["linux.resources"] = nil
        if way == .open {
          bundle["linux.resources"] = [
            "devices": [["allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"]]
          ]
        }
        let outcome = try bundle.start()
        return Found(outcome.text.hasPrefix("opened"), outcome)
      }),
    PeerAttack(
      rule: "seccomp by another ABI",
      attack: "a call that the filter refuses, by the tables of i386 and x32",
      ours: .refused("a process of an ABI that the filter does not know is killed"),
      runc: .refused("the same, by libseccomp"),
      control: "without a filter",
      perform: { bundle, way in
        bundle["process.args"] = [try bundle.arm("abi")]
        if way == .asItStands {
          bundle["linux.seccomp"] = [
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [["names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1]],
          ]
        }
        let outcome = try bundle.start()
        return Found(!Report(lines: outcome.lines).done.isEmpty || outcome.lines.last != "end", outcome)
      }),
    PeerAttack(
      rule: "files of the host's by their handles",
      attack: "a file outside of the root is opened by its handle alone (open_by_handle_at, 2014)",
      ours: .refused("CAP_DAC_READ_SEARCH is not given"),
      runc: .refused("the same"),
      control: "with CAP_DAC_READ_SEARCH",
      perform: { bundle, way in
        let file = try bundle.victim() + "/file"
        let program = try bundle.arm("handle")
        let handle = try Command.text(bundle.rootfs + program, "tell", file)
        bundle["process.args"] = [program, "open", handle]
        if way == .open { bundle.give("CAP_DAC_READ_SEARCH") }
        let outcome = try bundle.start()
        return Found(!Report(lines: outcome.lines).done.isEmpty || outcome.lines.last != "end", outcome)
      }),
  ]

  /// A node that no default allows, and whose opening changes nothing.
  private static func plantNode(_ bundle: OCIBundle) throws {
    try Command.text("mknod", "-m", "666", bundle.rootfs + "/planted", "c", "10", "229")
    bundle.shell("(: < /planted) 2>/dev/null && echo opened; echo end")
  }
}
