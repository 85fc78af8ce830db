internal import Glibc
public import LinuxNS

/// One line of `diff`: what a zone has made of a path of its image's.
public struct LayerChange: Equatable, Sendable, JSONObject {
  public var change: TreeChange.Kind
  public var path: BytePath
  /// What is there now; of a deleted path, what was.
  public var type: String
  /// Octal; the old one where it was another.
  public var (mode, oldMode): (String?, String?)
  /// `UID:GID`, as inside of the zone.
  public var (owner, oldOwner): (String?, String?)
  /// Of files, in bytes.
  public var (size, oldSize): (Int64?, Int64?)

  public static var blank: LayerChange { LayerChange(.added, TreePair(path: .root)) }

  init(_ kind: TreeChange.Kind, _ pair: TreePair) {
    change = kind
    path = pair.path
    let new = kind == .deleted ? nil : pair.layer?.facts
    let old = pair.real?.facts
    type = (new ?? old)?.kind.rawValue ?? ""
    (mode, owner, size) = (Self.mode(new), Self.owner(new), new?.kind == .file ? new?.size : nil)
    (oldMode, oldOwner, oldSize) = (Self.mode(old), Self.owner(old), old?.kind == .file ? old?.size : nil)
  }

  private static func mode(_ facts: FileFacts?) -> String? { facts.map { String($0.mode, radix: 8) } }
  private static func owner(_ facts: FileFacts?) -> String? { facts.map { "\($0.uid):\($0.gid)" } }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("change", &change)
    try json.field("mode", &mode)
    try json.field("oldMode", &oldMode)
    try json.field("oldOwner", &oldOwner)
    try json.field("oldSize", &oldSize)
    try json.field("owner", &owner)
    try json.field("path", &path)
    try json.field("size", &size)
    try json.field("type", &type)
  }
}

/// What a zone's own layer makes of what lies below it.
public struct LayerDifference: Equatable, Sendable, JSONObject {
  /// In the order of paths.
  public var changes: [LayerChange] = []
  /// What could not be looked at, and why.
  public var problems: [Problem] = []

  public struct Problem: Equatable, Sendable, JSONObject {
    public var path: BytePath
    public var why: String

    public static var blank: Problem { Problem(path: .root, why: "") }

    public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("path", &path)
      try json.field("why", &why)
    }
  }

  public static var blank: LayerDifference { LayerDifference() }
  public init() {}

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("changes", &changes)
    try json.field("problems", &problems)
  }

  /// - Parameters:
  ///   - layer: as overlayfs has written it with `userxattr`. What is changed meanwhile is told as it was when it was looked
  ///     at.
  ///   - below: what is seen without it.
  ///   - top: what the layer's own directory was given when it was made. The layers below need not tell of theirs.
  public static func look(_ layer: consuming OwnedFD, over below: consuming OwnedFD, top: RootTop?) throws(SyscallError)
    -> LayerDifference
  {
    let look = try ReviewTrees(real: TreeFD(below), layer: TreeFD(layer)).look()
    var difference = LayerDifference()
    for pair in look.pairs {
      var pair = pair
      if pair.path.isRoot, let top, var real = pair.real {
        (real.facts.mode, real.facts.uid, real.facts.gid) = (top.mode, top.uid, top.gid)
        pair.real = real
      }
      if let kind = kind(of: pair) { difference.changes.append(LayerChange(kind, pair)) }
    }
    difference.problems = look.problems.map { Problem(path: $0.path, why: $0.why) }
    return difference
  }

  /// nil: the two are the same. Of a directory its time tells only of names in it, each of which has a row.
  static func kind(of pair: TreePair) -> TreeChange.Kind? {
    guard let layer = pair.layer, !layer.isWhiteout else { return pair.real == nil ? nil : .deleted }
    guard let real = pair.real else { return .added }
    let (new, old) = (layer.facts, real.facts)
    guard new.kind == old.kind else { return .type }
    if new.kind == .file && !pair.hasSameContent || layer.target != real.target { return .modified }
    if new.mode != old.mode || new.uid != old.uid || new.gid != old.gid || layer.xattrs != real.xattrs ?? []
      || layer.powers != real.powers
    {
      return .mode
    }
    return new.modified != old.modified && new.kind != .directory ? .times : nil
  }
}
