internal import Glibc
public import LinuxNS
public import ZoneRuntime

/// Has what a zone has changed told by somebody to whom its files belong.
public enum LayerComparer {
  /// - Parameters:
  ///   - below: numbers, from the top.
  ///   - top: what the layer's own directory was given when it was made.
  ///   - program: the orchestrator.
  public static func changes(
    of layer: borrowing OwnedFD, over below: [Int], top: RootTop, in store: ImageStore,
    program: String = "/proc/self/exe"
  ) throws(ImageError) -> LayerDifference {
    do {
      let order = StackOrder(store, below, top: top)
      let said = try OwnerProcess.start("compare", order, fds: [layer.raw], program: program).heard(CompareAnswer.self)
      if let why = said.error { throw ImageError(why) }
      return said.difference
    } catch let error as ImageError { throw error } catch { throw ImageError("\(error)") }
  }
}

extension LayerComparer {
  /// What a zone shows now against another stack of layers.
  /// - Parameter before: numbers, from the top, and how the root's own directory looked then; nil: that is not known.
  public static func changes(
    of own: borrowing OwnLayer, since before: (layers: [Int], top: RootTop?), in store: ImageStore,
    program: String = "/proc/self/exe"
  ) throws(ImageError) -> LayerDifference {
    let now = own.root.layers
    let only = now.filter { !before.layers.contains($0) } + before.layers.filter { !now.contains($0) }
    do {
      var order = StackCompareOrder(
        old: StackOrder(store, before.layers, top: before.top), new: StackOrder(store, now),
        only: StackOrder(store, only))
      order.new.layers.insert(try own.link(), at: 0)
      let folder = try own.folder()
      let said = try OwnerProcess.start("compare-stacks", order, fds: [folder.raw], program: program).heard(
        CompareAnswer.self)
      if let why = said.error { throw ImageError(why) }
      return said.difference
    } catch let error as ImageError { throw error } catch { throw ImageError("\(error)") }
  }
}

struct StackCompareOrder: JSONObject {
  var old: StackOrder
  var new: StackOrder
  /// Those that one of the two has alone.
  var only: StackOrder

  static var blank: StackCompareOrder { StackCompareOrder(old: .blank, new: .blank, only: .blank) }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("new", &new)
    try json.field("old", &old)
    try json.field("only", &only)
  }
}

struct CompareAnswer: OwnerAnswer {
  var difference = LayerDifference()
  var error: String?

  static var blank: CompareAnswer { CompareAnswer() }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("difference", &difference)
    try json.field("error", &error)
  }
}

/// `orchestrator compare`, hidden: what `LayerComparer` starts.
public enum CompareProgram {
  /// Descriptor 3 is the layer.
  public static func run() -> Int32 {
    OwnerProcess.run("compare") { (order: StackOrder) throws -> CompareAnswer in
      let below = try order.merged()
      let difference = try LayerDifference.look(OwnedFD(raw: 3), over: below, top: order.top)
      return CompareAnswer(difference: difference)
    }
  }

  /// Descriptor 3 is the zone's own layer.
  public static func stacks() -> Int32 {
    OwnerProcess.run("compare-stacks") { (order: StackCompareOrder) throws -> CompareAnswer in
      let old = try order.old.merged()
      var difference = StackDifference(old: old, new: try order.new.merged())
      try difference.add(OwnedFD(raw: 3))
      for name in order.only.layers {
        try difference.add(try OwnedFD.open("\(order.only.links)/\(name)", O_PATH | O_DIRECTORY))
      }
      return CompareAnswer(difference: try difference.found(top: order.old.top))
    }
  }
}
