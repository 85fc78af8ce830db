internal import CLinuxNS

/// The variables that this process was started with.
public enum Environment {
  /// `NAME=VALUE`, in the order of environ(7).
  public static var all: [String] {
    var all: [String] = []
    var next = zns_environment()
    while let text = next?.pointee {
      all.append(String(cString: text))
      next = next?.advanced(by: 1)
    }
    return all
  }
}
