internal import CLinuxNS
internal import Glibc

/// A system call that the kernel refused.
///
/// The bottom of every error of ours: modules above wrap it in their own enums and add what the user can do.
public struct SyscallError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The call's name as in its man page, `mount_setattr` say.
  public var call: String
  /// The positive error number, as in errno(3).
  public var errno: CInt
  /// The path, name or descriptor it was tried on, if there was one.
  public var path: String?
  /// What the call was for, in the plan's words: `bind /usr`.
  public var step: String?

  public init(call: String, errno: CInt, path: String? = nil, step: String? = nil) {
    self.call = call
    self.errno = errno
    self.path = path
    self.step = step
  }

  public var description: String {
    var text = step.map { "cannot \($0): " } ?? ""
    text += call
    if let path { text += " \(path)" }
    text += ": " + Self.describe(errno)
    if errno == EAGAIN, call.hasPrefix("clone") { text += "; \(Shortage.ofProcesses)" }
    return text
  }

  /// `ENOSPC (no space left on device); make room there …`: what it is, and what can be done where something is short.
  public static func describe(_ errno: CInt) -> String {
    name(errno) + (Shortage.remedy(errno).map { "; \($0)" } ?? "")
  }

  /// `EINVAL (invalid argument)`: errno(3)'s name and its words.
  public static func name(_ errno: CInt) -> String {
    guard let name = zns_errno_name(errno) else { return "error \(errno)" }
    guard let text = zns_errno_text(errno) else { return String(cString: name) }
    return "\(String(cString: name)) (\(String(cString: text).lowercasedFirst))"
  }
}

extension String {
  var lowercasedFirst: String {
    guard let first, dropFirst().first?.isUppercase != true else { return self }
    return first.lowercased() + dropFirst()
  }
}

/// Turns the `-errno` convention of CLinuxNS into a value or an error.
@discardableResult
@inlinable
public func check(
  _ result: Int, _ call: @autoclosure () -> String, _ path: @autoclosure () -> String? = nil
) throws(SyscallError) -> Int {
  guard result >= 0 else { throw SyscallError(call: call(), errno: CInt(-result), path: path()) }
  return result
}
