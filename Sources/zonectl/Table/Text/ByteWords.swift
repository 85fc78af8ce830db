extension Words {
  /// `512`, `1.5K`, `24M`: as limits of memory are written, by 1024; a negative number is 0.
  public static func bytes(_ bytes: Int64) -> String {
    var rest = UInt64(max(0, bytes))
    guard rest >= 1024 else { return String(rest) }
    var unit = 0
    // In tenths.
    while rest >= 1024 * 1024 {
      rest /= 1024
      unit += 1
    }
    let tenths = rest * 10 / 1024
    let letter = ["K", "M", "G", "T", "P", "E"][unit]
    return tenths < 100 ? "\(tenths / 10).\(tenths % 10)\(letter)" : "\(tenths / 10)\(letter)"
  }
}
