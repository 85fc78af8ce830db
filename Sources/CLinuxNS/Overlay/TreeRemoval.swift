internal import CLinuxNS
internal import Glibc

extension FileSystem {
  /// Removes what is at a path and all below it, whatever its names and however deep (remove_tree.c): follows no link,
  /// enters no mount, stops at the first thing that it cannot remove. A missing one is fine.
  public static func removeTree(_ path: String) throws(SyscallError) {
    var result = zns_removal()
    guard zns_remove_tree(path, &result) < 0 else { return }
    throw error(of: &result, path)
  }

  /// As `removeTree`, as the root of a user namespace with ids that `map` writes: for an ordinary user whose zone has
  /// left files of his subordinate ids.
  /// - Parameter map: gets the process whose ids are to be mapped (user_namespaces(7)), by the host's number.
  /// - Throws: what `map` throws; ECANCELED where the process was killed.
  public static func removeTree(_ path: String, mappingIds map: (Int32) throws(SyscallError) -> Void)
    throws(SyscallError)
  {
    var helper = zns_removal_helper()
    try check(zns_removal_begin(path, &helper), "clone3", path)
    var result = zns_removal()
    do throws(SyscallError) { try map(helper.pid) } catch {
      _ = zns_removal_end(&helper, 0, &result)  // it did nothing, and says so
      throw error
    }
    guard zns_removal_end(&helper, 1, &result) < 0 else { return }
    throw error(of: &result, path)
  }

  private static func error(of result: inout zns_removal, _ path: String) -> SyscallError {
    let below = withUnsafeBytes(of: &result.path) { printable($0.prefix { $0 != 0 }) }
    let step: String? =
      switch UInt32(result.why) {
      case ZNS_REMOVAL_MOUNT.rawValue: "remove a tree in which something is mounted or in use (umount it first)"
      case ZNS_REMOVAL_IMMUTABLE.rawValue: "remove what is immutable (chattr -i it first)"
      case ZNS_REMOVAL_APPEND_ONLY.rawValue: "remove what is append-only (chattr -a it first)"
      case ZNS_REMOVAL_WRITER.rawValue: "remove a tree in which somebody goes on making files (end that process first)"
      default: nil
      }
    return SyscallError(
      call: result.call.map { String(cString: $0) } ?? "unlink", errno: result.error, path: path + below, step: step)
  }

  /// A name as a person can read and type it: bytes that are no text are written as in $'\xff' of a shell.
  private static func printable(_ bytes: some Sequence<UInt8>) -> String {
    let bytes = Array(bytes)
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    return bytes.map { byte in
      (32..<127).contains(byte)
        ? String(UnicodeScalar(byte)) : "\\x" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }.joined()
  }
}
