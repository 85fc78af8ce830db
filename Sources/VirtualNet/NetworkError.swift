public import LinuxNS

/// Why something about a network could not be done; `description` is the one line for the person.
public enum NetworkError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A system call failed: what it was for, and the call.
  case system(String, SyscallError)
  /// The kernel refused a netlink request: what was tried (on what), the errno, and the kernel's own words.
  case refused(String, CInt, String?)
  /// A value that cannot be taken.
  case invalid(String)
  /// A host port that another already has: the port, and who holds it.
  case portTaken(String, holder: String)
  /// Somebody else's firewall would drop what the network forwards: where, and what mends it.
  case foreignFirewall(chain: String, mend: String)
  /// Something of ours is in the way or missing: what, and what to do.
  case conflict(String)
  /// A file of ours that cannot be read as what it should be.
  case damaged(path: String, line: Int, mend: String)
  /// Nothing by that name.
  case notFound(String)

  public var description: String {
    switch self {
    case .system(let what, let error): "cannot \(what): \(error)"
    case .refused(let what, let errno, let text):
      "cannot \(what): \(SyscallError.describe(errno))" + (text.map { "; the kernel says: \($0)" } ?? "")
    case .invalid(let text), .conflict(let text), .notFound(let text): text
    case .portTaken(let port, let holder):
      "cannot publish host port \(port): \(holder) has it (choose another host port or stop its holder)"
    case .foreignFirewall(let chain, let mend):
      "cannot attach to the network: the host's firewall drops forwarded packets in \(chain), which beats our accept (\(mend))"
    case .damaged(let path, let line, let mend):
      "cannot read \(path): line \(line) is not what we write there (\(mend))"
    }
  }
}

/// Runs system calls and says what they were for where one fails.
func system<Value: ~Copyable>(_ what: String, _ body: () throws(SyscallError) -> Value) throws(NetworkError) -> Value {
  do throws(SyscallError) { return try body() } catch { throw .system(what, error) }
}
