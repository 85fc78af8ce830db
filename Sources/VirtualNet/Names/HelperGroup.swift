/// The control group that networks' helpers live in: who starts a network's first zone may end, and a unit of systemd's that
/// ends takes along all that is in its group.
public struct HelperGroup: Sendable {
  /// The group's directory, made where it is missing, for the caller to close; -1: the caller's own group is to do.
  let open: @Sendable () throws(NetworkError) -> CInt
  /// One that lived there has ended: the group is taken away where it is empty.
  let leave: @Sendable () -> Void

  public init(
    open: @escaping @Sendable () throws(NetworkError) -> CInt, leave: @escaping @Sendable () -> Void
  ) {
    self.open = open
    self.leave = leave
  }
}
