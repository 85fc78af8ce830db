import CommandLineTable
import LinuxNS
import ZoneRuntime

/// Verbs fail with a `ZoneError` and nothing else: here the errors of other layers become one, their words unchanged.

/// What is read from the command line: what cannot be taken there is 2 for every verb.
func asked<Value>(_ value: @autoclosure () throws(UsageError) -> Value) throws(ZoneError) -> Value {
  do { return try value() } catch { throw .commandLine(error) }
}

/// A value on the command line whose syntax is the runtime's: 2 as well.
func spelled<Value>(_ value: @autoclosure () throws(SyntaxError) -> Value) throws(ZoneError) -> Value {
  do { return try value() } catch { throw .commandLine(error.description) }
}

/// A call of the kernel layer whose own line says enough: it has the path.
func plainly<Value: ~Copyable>(_ value: @autoclosure () throws(SyscallError) -> Value) throws(ZoneError) -> Value {
  do { return try value() } catch { throw .refused(error.description) }
}

extension ZoneError {
  static func commandLine(_ error: UsageError) -> ZoneError { .commandLine(error.description) }
}

extension Invocation {
  /// --timeout, in seconds.
  var timeout: Double? { get throws(ZoneError) { try asked(seconds(.timeout)) } }
}
