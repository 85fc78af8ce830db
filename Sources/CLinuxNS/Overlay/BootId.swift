/// Which start of the machine this is (proc_sys_kernel(5), random/boot_id): what was written down before it is of no use.
public enum BootId {
  // Read once: the same for as long as we live.
  private static let known = Result { () throws(SyscallError) -> String in
    try FileSystem.readLine("/proc/sys/kernel/random/boot_id")
  }

  public static func current() throws(SyscallError) -> String { try known.get() }
}
