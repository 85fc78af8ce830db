internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// Has a joint made by somebody to whom the files of all layers belong.
enum JointMaker {
  /// - Parameters:
  ///   - stack: numbers, the lowest first.
  ///   - program: the orchestrator.
  /// - Returns: how many directories it has; 0: the stack needs none.
  static func make(_ store: ImageStore, _ stack: [Int], into new: NewLayer, program: String = "/proc/self/exe")
    throws(ImageError) -> Int
  {
    var order = JointOrder(target: new.root)
    for number in stack {
      if let record = try stored({ () throws(ZoneError) in try store.layerRecord(number) }) {
        order.layers.append(store.root(ofLayer: number))
        order.notes.append(record.notes)
      }
    }
    do {
      let said = try OwnerProcess.start("joint", order, program: program).heard(JointAnswer.self)
      if let why = said.error { throw ImageError("its layers do not fit together: \(why)") }
      return said.folders
    } catch let error as ImageError { throw error } catch {
      throw ImageError("cannot fit its layers together: \(error)")
    }
  }
}

struct JointOrder: JSONObject {
  /// An empty directory.
  var target: String
  /// The trees, the lowest first.
  var layers: [String] = []
  var notes: [LayerNotes] = []

  static var blank: JointOrder { JointOrder(target: "") }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("layers", &layers)
    try json.field("notes", &notes)
    try json.field("target", &target)
  }
}

struct JointAnswer: OwnerAnswer {
  var folders = 0
  var error: String?

  static var blank: JointAnswer { JointAnswer() }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("error", &error)
    try json.field("folders", &folders)
  }
}

/// `orchestrator joint`, hidden: what `JointMaker` starts.
public enum JointProgram {
  public static func run() -> Int32 {
    OwnerProcess.run("joint") { (order: JointOrder) throws -> JointAnswer in
      let plan = try JointWriter.plan(order.layers, order.notes)
      if !plan.folders.isEmpty {
        let target = try OwnedFD.open(order.target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try JointWriter.make(plan, of: order.layers, in: target)
      }
      return JointAnswer(folders: plan.folders.count)
    }
  }
}
