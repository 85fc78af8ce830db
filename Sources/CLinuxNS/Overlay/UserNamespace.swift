internal import CLinuxNS

public enum UserNamespace {
  /// One that nobody lives in, for the maps of an id-mapped mount: lines of `inside outside count`.
  public static func make(_ uids: String, _ gids: String) throws(SyscallError) -> OwnedFD {
    OwnedFD(raw: CInt(try check(zns_user_namespace(uids, gids), "clone3 CLONE_NEWUSER")))
  }

  /// Whether the caller can make one and act in it; by trying, in a child.
  /// - Returns: the errno that stood in the way; nil for none.
  public static func refusal() -> CInt? {
    let result = zns_try_user_namespace()
    return result < 0 ? CInt(-result) : nil
  }
}
