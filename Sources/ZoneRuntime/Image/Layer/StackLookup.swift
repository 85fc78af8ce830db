public import LinuxNS

/// Finds a file in layers that are not mounted: who a user is says /etc/passwd of a root that nobody has made yet.
public enum StackLookup {
  /// The layer whose file is seen at a path; a link's text is a file here, and none is followed.
  /// - Parameters:
  ///   - layers: those that are seen, from `JointPlan.lowest` on.
  ///   - look: what a layer has at a path.
  /// - Returns: nil where nothing is seen, or a directory.
  public static func layer(
    showing path: BytePath, of layers: Range<Int>,
    _ look: (_ layer: Int, _ path: BytePath) throws(SyscallError) -> LayerFinding
  ) throws(SyscallError) -> Int? {
    let above = path.ancestors
    for index in layers.reversed() {
      var isLast = false
      var isBelow = true
      for step in above {
        switch try look(index, step) {
        case .directory(let isOpaque): isLast = isLast || isOpaque
        case .nothing: isBelow = false
        case .whiteout, .link, .other: return nil
        }
        if !isBelow { break }
      }
      if isBelow {
        switch try look(index, path) {
        case .link, .other: return index
        case .whiteout, .directory: return nil
        case .nothing: break
        }
      }
      if isLast { return nil }
    }
    return nil
  }
}

extension BytePath {
  /// The directories on the way to it, without the root, the uppermost first.
  var ancestors: [BytePath] {
    var above: [BytePath] = []
    for (at, byte) in bytes.enumerated() where byte == UInt8(ascii: "/") { above.append(BytePath(Array(bytes[..<at]))) }
    return above
  }
}
