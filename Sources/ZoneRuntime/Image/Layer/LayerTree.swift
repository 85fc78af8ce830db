/// What a layer's entries have made so far: names, and what of each matters to the next.
///
/// What is taken away costs the same however much lies below it, so that no order of entries costs more than their number.
struct LayerTree {
  enum Kind: Equatable {
    /// `isTold`: by an entry of its own.
    case directory(isTold: Bool)
    case link, other
  }

  struct Node {
    var kind: Kind
    var children: [[UInt8]: Int] = [:]
    /// Of directories: names that are deleted below. Some may have come back.
    var whiteouts: Set<[UInt8]> = []
    /// Nothing of the layers below is seen in it.
    var isOpaque = false
    /// Also opaque, and another directory than the one below: that is deleted. An opaque one without this is the same one,
    /// emptied.
    var isAnother = false
    /// Of directories that are told: their time.
    var modified: Int64 = 0
    var defaultAccess: [UInt8]?
  }

  static let top = 0
  private(set) var nodes = [Node(kind: .directory(isTold: false))]
  /// Nodes and whiteouts, those that went too: what memory it takes.
  private(set) var names = 0

  subscript(node: Int) -> Node {
    get { nodes[node] }
    set { nodes[node] = newValue }
  }

  func child(_ node: Int, _ name: [UInt8]) -> Int? { nodes[node].children[name] }

  mutating func add(_ name: [UInt8], to node: Int, _ kind: Kind) -> Int {
    nodes.append(Node(kind: kind))
    names += 1
    nodes[node].children[name] = nodes.count - 1
    return nodes.count - 1
  }

  mutating func makeAnother(_ node: Int) {
    nodes[node].isOpaque = true
    nodes[node].isAnother = true
  }

  mutating func remove(_ name: [UInt8], of node: Int) { nodes[node].children[name] = nil }

  mutating func addWhiteout(_ name: [UInt8], to node: Int) {
    if nodes[node].whiteouts.insert(name).inserted { names += 1 }
  }
}
