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
}
