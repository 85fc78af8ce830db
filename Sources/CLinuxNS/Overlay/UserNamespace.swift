internal import CLinuxNS

public enum UserNamespace {
  /// One that nobody lives in, for the maps of an id-mapped mount: lines of `inside outside count`.
  public static func make(_ uids: String, _ gids: String) throws(SyscallError) -> OwnedFD {
    OwnedFD(raw: CInt(try check(zns_user_namespace(uids, gids), "clone3 CLONE_NEWUSER")))
  }
}
