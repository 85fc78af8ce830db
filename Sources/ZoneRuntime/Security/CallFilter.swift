/// A filter that knows calls alone: for a process of ours that needs few and reads what a stranger made.
public enum CallFilter {
  /// - Parameter calls: names of the kernel's; those that this machine has not are left out.
  /// - Returns: a program for seccomp(2). Every other call, and every call of another architecture, answers ENOSYS.
  public static func program(allowing calls: [String]) throws(SeccompError) -> [UInt8] {
    let rules = calls.map { SeccompRule(call: $0, action: .allow, test: nil) }
    return try SeccompCallTable.program(rules, Array(SeccompCompiler.architectures.prefix(1)))
  }
}
