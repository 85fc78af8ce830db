/// What nobody has any more. Pure: what is in a store, and what is asked for, to what goes.
public struct PrunePlan: Equatable, Sendable {
  public struct Wish: Equatable, Sendable {
    /// Images that have a name and no zone go too.
    public var all = false
    /// Fetched bytes of layers that are unpacked go too.
    public var blobs = false

    public init(all: Bool = false, blobs: Bool = false) {
      self.all = all
      self.blobs = blobs
    }
  }

  /// Of a zone, from the top: frozen layers that become one.
  public struct Fold: Equatable, Sendable {
    public var zone: String
    public var layers: [Int]

    public init(zone: String, layers: [Int]) {
      self.zone = zone
      self.layers = layers
    }
  }

  public var folds: [Fold] = []
  public var names: [ImageReference] = []
  public var images: [ContentDigest] = []
  public var layers: [Int] = []
  public var blobs: [ContentDigest] = []
  public var leftovers: [String] = []
  /// As far as it is known: of layers their archives', of blobs and files their own.
  public var bytes: Int64 = 0

  public init() {}

  public var isEmpty: Bool {
    folds.isEmpty && names.isEmpty && images.isEmpty && layers.isEmpty && blobs.isEmpty && leftovers.isEmpty
  }

  /// With what went after it.
  public mutating func add(_ next: PrunePlan) {
    folds += next.folds
    names += next.names
    images += next.images
    layers += next.layers
    blobs += next.blobs
    leftovers += next.leftovers
    bytes = saturatingSum(bytes, next.bytes)
  }

  public static func make(_ look: StoreLook, _ wish: Wish) -> PrunePlan {
    var plan = PrunePlan()
    let inZones = look.roots.reduce(into: Set<ContentDigest>()) { $0.formUnion($1.record.manifests) }
    plan.names = wish.all ? look.names.filter { !inZones.contains($0.record.manifest) }.map { $0.name } : []
    let gone = Set(plan.names)
    let kept = look.names.filter { !gone.contains($0.name) }

    let named = Set(kept.map { $0.record.manifest })
    var numbers = look.roots.reduce(into: Set<Int>()) { $0.formUnion($1.record.numbers) }
    var blobs = Set(kept.compactMap { $0.record.index })
    for image in look.images {
      guard named.contains(image.manifest) || inZones.contains(image.manifest) else {
        plan.images.append(image.manifest)
        continue
      }
      numbers.formUnion(image.numbers)
      blobs.formUnion(wish.blobs ? [image.manifest, image.id] : image.blobs)
    }
    plan.layers = look.layers.keys.filter { !numbers.contains($0) }.sorted()
    plan.blobs = look.blobs.keys.filter { !blobs.contains($0) }.sorted()
    // A zone's own layer on its way into the store is where nobody but the zone would look for it.
    let pending = Set(look.roots.compactMap { $0.record.pending?.frozen }.map { LayerNumber.text($0) })
    plan.leftovers = look.leftovers.filter { path in
      path.split(separator: "/").last.map { !pending.contains(String($0)) } ?? true
    }
    plan.bytes = look.leftoverBytes
    for layer in plan.layers { plan.bytes = saturatingSum(plan.bytes, look.layers[layer] ?? 0) }
    for blob in plan.blobs { plan.bytes = saturatingSum(plan.bytes, look.blobs[blob] ?? 0) }
    return plan
  }
}
