/// The configuration that `spec` writes: a shell in a root beside it, behind the walls that the specification has.
public enum BundleTemplate {
  /// - Parameter rootless: for an ordinary user: his own id is root's, nothing is limited.
  public static func text(rootless: Bool, uid: UInt32, gid: UInt32) -> String {
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"].map { "\"\($0)\"" }.joined(
      separator: ", ")
    let mappings =
      rootless
      ? """

          "uidMappings": [{ "containerID": 0, "hostID": \(uid), "size": 1 }],
          "gidMappings": [{ "containerID": 0, "hostID": \(gid), "size": 1 }],
      """ : ""
    let resources =
      rootless
      ? ""
      : """

          "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
      """
    // A group of terminals that is not mapped cannot be given; and a sysfs is its network namespace's owner's to mount.
    let terminals = rootless ? "" : ", \"gid=5\""
    return """
      {
        "ociVersion": "\(Containers.specification)",
        "process": {
          "terminal": true,
          "user": { "uid": 0, "gid": 0 },
          "args": ["sh"],
          "env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TERM=xterm"
          ],
          "cwd": "/",
          "capabilities": {
            "bounding": [\(capabilities)],
            "effective": [\(capabilities)],
            "permitted": [\(capabilities)]
          },
          "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
          "noNewPrivileges": true
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "zone",
        "mounts": [
          { "destination": "/proc", "type": "proc", "source": "proc" },
          {
            "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]
          },
          {
            "destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"\(terminals)]
          },
          {
            "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]
          },
          {
            "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
            "options": ["nosuid", "noexec", "nodev"]
          },
          {
            "destination": "/sys", "type": "sysfs", "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", "ro"]
          },
          {
            "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]
          }
        ],
        "linux": {\(mappings)\(resources)
          "namespaces": [
            { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
            { "type": "cgroup" }\(rootless ? ", { \"type\": \"user\" }" : "")
          ],
          "maskedPaths": [
            "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
            "/sys/devices/virtual/powercap"
          ],
          "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
      }

      """
  }
}
