import Glibc
import LinuxNS

/// By which of its names the executable was called: every name that is not zonectl's is an engine's way to say runtime.
enum OCIName {
  static var isOurs: Bool {
    guard let called = CommandLine.arguments.first else { return false }
    return called.split(separator: "/").last.map(String.init) == "zone-oci"
  }
}
