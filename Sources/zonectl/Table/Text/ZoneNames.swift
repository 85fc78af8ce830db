/// Names for zones that were given none: an adjective and a noun, `quiet-heron`.
public enum ZoneNames {
  static let firsts = [
    "amber", "ample", "azure", "bold", "brave", "bright", "brisk", "calm", "clear", "clever", "cosy", "crisp", "daring",
    "deep", "early", "even", "fair", "fast", "fine", "firm", "fleet", "fresh", "gentle", "glad", "golden", "grand",
    "green", "happy", "hardy", "keen", "kind", "late", "light", "lively", "lofty", "loyal", "lucky", "mellow", "merry",
    "mild", "neat", "nimble", "noble", "pale", "patient", "plain", "proud", "quick", "quiet", "rapid", "ready", "rosy",
    "royal", "serene", "sharp", "silent", "silver", "sleek", "smooth", "snug", "solid", "spry", "steady", "sunny",
    "swift", "tidy", "true", "vivid", "warm", "wise",
  ]
  static let seconds = [
    "acorn", "alder", "anchor", "aspen", "badger", "beacon", "birch", "bison", "brook", "canyon", "cedar", "cliff",
    "comet", "coral", "crane", "delta", "dune", "falcon", "fern", "finch", "fjord", "forest", "fox", "glacier", "grove",
    "harbor", "hawk", "hazel", "heron", "hill", "island", "lagoon", "lake", "larch", "lark", "linden", "lynx", "maple",
    "marsh", "meadow", "mesa", "moor", "oak", "ocean", "orchid", "otter", "owl", "pebble", "pine", "plover", "pond",
    "quartz", "raven", "reef", "ridge", "river", "robin", "rowan", "sage", "seal", "shore", "sparrow", "spring",
    "stone",
    "summit", "swan", "tern", "thicket", "tide", "valley", "willow", "wren",
  ]

  /// A name that `taken` does not hold; with a number where a hundred tries found none.
  public static func make(
    using random: inout some RandomNumberGenerator, taken: (String) -> Bool
  ) -> String {
    for attempt in 0... {
      let name = "\(firsts.randomElement(using: &random)!)-\(seconds.randomElement(using: &random)!)"
      let candidate = attempt < 100 ? name : "\(name)-\(attempt)"
      if !taken(candidate) { return candidate }
    }
    fatalError("unreachable: there are more numbers than zones")
  }
}
