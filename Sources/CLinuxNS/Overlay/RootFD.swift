internal import CLinuxNS
internal import Glibc

/// The root of a foreign tree: paths below it are resolved by the kernel so that no link, `..` or magic link leads out
/// (openat2(2), RESOLVE_IN_ROOT; CVE-2021-30465). A string path below a zone's root is never opened any other way.
public struct RootFD: ~Copyable, Sendable {
  public let fd: OwnedFD

  public init(_ fd: consuming OwnedFD) { self.fd = fd }

  public static func open(_ path: String) throws(SyscallError) -> RootFD {
    RootFD(try OwnedFD.open(path, O_PATH | O_DIRECTORY))
  }

  /// Opens `path` inside. Always O_CLOEXEC; O_NOCTTY, so that a terminal planted there does not become ours.
  public borrowing func open(_ path: String, _ flags: CInt, mode: UInt32 = 0) throws(SyscallError) -> OwnedFD {
    let inside = path.drop { $0 == "/" }
    // With O_PATH nothing is opened, and openat2 takes few other flags.
    let wanted = flags & O_PATH != 0 ? flags : flags | O_NOCTTY
    let resolve = UInt64(ZNS_RESOLVE_IN_ROOT | ZNS_RESOLVE_NO_MAGICLINKS)
    let result = zns_openat2(
      fd.raw, inside.isEmpty ? "." : String(inside), UInt64(UInt32(bitPattern: wanted)), UInt64(mode), resolve)
    return OwnedFD(raw: CInt(try check(result, "openat2", path)))
  }
}
