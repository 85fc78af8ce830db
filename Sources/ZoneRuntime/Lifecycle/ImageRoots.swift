internal import Glibc
internal import LinuxNS

/// What a zone is to be made of, looked up before anything of it is made. While the value lives nobody removes the image.
public struct FoundRoot: ~Copyable {
  let root: RootRecord
  /// The file with it. A zone's is the same file, but for what it is called by: that its spec says.
  let file: String
  private let name: ImageReference
  private let store: ImageStore
  private let lock: StoreLock

  fileprivate init(
    _ root: RootRecord, _ name: ImageReference, _ store: ImageStore, _ lock: consuming StoreLock
  ) {
    (self.root, self.name, self.store) = (root, name, store)
    file = store.startFile(of: root)
    self.lock = lock
  }

  /// From the top.
  public var layers: [Int] { root.layers }
  /// Of the image.
  public var manifest: ContentDigest { root.image?.manifest ?? .ofNothing }

  /// The image says itself what is run.
  public var hasCommand: Bool { !root.use.arguments([]).isEmpty }

  /// The zone's record names its layers from here on.
  consuming func done() { store.touch(name) }
}

/// Zones of images: what is made of one at `create`, and what a start takes from it.
extension Zones {
  /// What a zone of this image is made of as of now: a name that moves later changes no zone.
  /// - Returns: nil where no image of that name is here.
  public func findRoot(_ name: ImageReference) throws(ZoneError) -> FoundRoot? {
    guard let store = try ImageStore.open(directories) else { return nil }
    let lock = try store.share(notice)
    guard var root = try store.start(of: name) else { return nil }
    guard !root.layers.isEmpty else { throw .refused("cannot use the image \(name.familiar): it has no layers") }
    root.image?.name = name
    return FoundRoot(root, name, store, lock)
  }

  /// - Parameter found: what was looked up already.
  /// - Throws: where no image of that name is here.
  func requireRoot(_ name: ImageReference, _ found: consuming FoundRoot?) throws(ZoneError) -> FoundRoot {
    if let found = found.take() { return found }
    guard let found = try findRoot(name) else { throw Self.noImage(name) }
    return found
  }

  private static func noImage(_ name: ImageReference) -> ZoneError {
    .refused(
      "no image \(name.familiar) is here (zonectl image pull or import brings one, image list shows what is here)")
  }

  /// The zone's own layer, which lies above its image's and looks like the top of it.
  /// - Parameters:
  ///   - folder: nil: its place.
  func makeLayer(
    _ files: ZoneFiles, _ spec: ZoneSpec, _ top: RootTop, at folder: String? = nil, in store: ImageStore
  ) throws(ZoneError) {
    let own = folder ?? files.own
    // Under its name it looks as it has to: whoever finds it believes that.
    let upper = "\(own)/new"
    if let quota = spec.quota { try bound(files, own, isSparse: false, to: quota) }
    try attempt("make the zone's layer") { () throws(SyscallError) in
      if spec.quota == nil { try FileSystem.makeDirectories(own, mode: 0o700) }
      try FileSystem.makeDirectories(upper, mode: 0o755)
      // A user's own layer is his, whatever the image's is.
      if geteuid() == 0, top.uid != 0 || top.gid != 0 {
        try FileSystem.call("chown", upper) { lchown(upper, top.uid, top.gid) }
      }
      if let layer = top.layer {
        try FileSystem.copyAttributes(store.root(ofLayer: layer), to: upper)
        if spec.brand == .sparse { try SparseData.make(at: upper, like: store.root(ofLayer: layer)) }
      }
      try FileSystem.call("chmod", upper) { chmod(upper, top.mode) }
      try FileSystem.setModified(upper, top.modified)
      try FileSystem.call("rename", upper) { rename(upper, "\(own)/root") }
    }
  }

  /// What its image says of how it is run, where the spec says nothing.
  func completed(_ spec: ZoneSpec, _ files: ZoneFiles) throws(ZoneError) -> ZoneSpec {
    spec.completed(by: try layeredRoot(of: spec, files)?.use)
  }

  /// What the zone's root is made of, as it is written down; nil where it has no layers.
  func layeredRoot(of spec: ZoneSpec, _ files: ZoneFiles) throws(ZoneError) -> RootRecord? {
    switch spec.brand {
    case .image: return try root(of: spec, files)
    case .sparse where !spec.ephemeral:
      let root = try RootRecord.read(in: files.data)
      return root?.layers.isEmpty == true && root?.pending == nil ? nil : root
    case .sparse, .directory, .empty: return nil
    }
  }

  /// Of a zone that has layers, or may have them.
  func root(of spec: ZoneSpec, _ files: ZoneFiles) throws(ZoneError) -> RootRecord {
    if spec.brand == .sparse { return try RootRecord.read(in: files.data) ?? RootRecord(image: nil, layers: []) }
    let folder = spec.ephemeral ? files.run : files.data
    guard let root = try RootRecord.read(in: folder) else {
      throw .refused("cannot use zone \(spec.name): \(folder)/\(RootRecord.file) is gone (delete the zone)")
    }
    return root.named(by: spec)
  }

  /// What a start makes the root of; nil for other brands. The zone's lock is held: what somebody has begun with it is
  /// carried on with.
  func startRoot(of spec: ZoneSpec, _ files: ZoneFiles) throws(ZoneError) -> RootRecord? {
    guard var root = try layeredRoot(of: spec, files) else { return nil }
    if spec.ephemeral, let why = Self.refusalOfPassing(kernel: IdMappable.kernel) {
      throw .refused("cannot start zone \(spec.name): \(why)")
    }
    if root.isTemplate {
      throw .refused("cannot start zone \(spec.name): it is a template (zonectl clone \(spec.name) NEW)")
    }
    if spec.ephemeral { return root }
    // Made last of all that it needs: of a zone that was started before, and of which nothing is pending, this is all.
    if root.pending == nil, FileSystem.exists(files.work) { return root }
    try moveOldLayer(files)
    if root.pending != nil {
      let store = try images(of: spec)
      let lock = try store.share(notice)
      root = try settled(files, root, in: store)
      withExtendedLifetime(lock) {}
      if root.layers.isEmpty { return nil }
    }
    try ensureLayer(files, spec, root, in: images(of: spec))
    try attempt("start zone \(spec.name)") { () throws(SyscallError) in
      if spec.brand == .sparse {
        try SparseData.makeWork(at: files.work)
      } else {
        try FileSystem.makeDirectories(files.work, mode: 0o700)
      }
    }
    return root
  }

  /// The zone's own layer is made when somebody first wants it: `create` is done sooner without.
  func ensureLayer(_ files: ZoneFiles, _ spec: ZoneSpec, _ root: RootRecord, in store: ImageStore) throws(ZoneError) {
    // A look that fails would have it made anew.
    let isThere = try attempt("look at \(files.upper)") { () throws(SyscallError) in
      try FileSystem.isThere(files.upper)
    }
    if !isThere { try makeLayer(files, spec, root.top, in: store) }
  }

  /// Before zones had quotas the layer lay in the zone's folder itself. Its lock is held, and it does not live: it is
  /// mounted otherwise.
  func moveOldLayer(_ files: ZoneFiles) throws(ZoneError) {
    let old = files.oldUpper
    try attempt("move the layer of zone \(files.name)") { () throws(SyscallError) in
      guard try FileSystem.isThere(old) else { return }
      try FileSystem.makeDirectories(files.own, mode: 0o700)
      try TreeRemoval.remove("\(files.data)/work")
      try FileSystem.call("rename", files.upper) { rename(old, files.upper) }
    }
  }

  /// - Parameter root: nil for zones of other brands.
  func addLayers(_ root: RootRecord?, of spec: ZoneSpec, to facts: inout HostFacts) throws(ZoneError) {
    guard let root else { return }
    let store = try images(of: spec)
    facts.layers = RootLayers(
      links: store.mountLinks, names: root.layers.map(store.mountLink), topMode: root.top.mode)
  }

  func images(of spec: ZoneSpec) throws(ZoneError) -> ImageStore {
    guard let store = try ImageStore.open(directories) else {
      throw .refused("cannot use zone \(spec.name): the images in \(directories.images) are gone")
    }
    return store
  }

  /// A passing zone's layer is on a tmpfs, where overlayfs keeps its notes as user.* attributes; what a directory hides would
  /// be seen without them.
  static func refusalOfPassing(kernel: (Int, Int)) -> String? {
    kernel >= (6, 6)
      ? nil : "a passing zone of an image wants Linux 6.6, whose tmpfs has user.* attributes (leave --rm out)"
  }

  /// The bytes of a file below a zone's root, from the uppermost layer that shows one; nil where none does, or a link.
  func layered(_ path: String, _ layers: RootLayers, _ own: String?) throws(ZoneError) -> [UInt8]? {
    // From the bottom, as `StackLookup` counts.
    let places = ((own.map { [$0] } ?? []) + layers.names.map { "\(layers.links)/\($0)" }).reversed().map { $0 }
    return try attempt("look for \(path) in the layers") { () throws(SyscallError) in
      let path = BytePath(Array(path.utf8))
      let look = { (index: Int, path: BytePath) throws(SyscallError) -> LayerFinding in
        try JointWriter.finding(TreeFD(try OwnedFD.open(places[index], O_PATH | O_DIRECTORY)), path)
      }
      guard let found = try StackLookup.layer(showing: path, of: 0..<places.count, look) else { return nil }
      let folder = RootFD(try OwnedFD.open(places[found], O_PATH | O_DIRECTORY))
      guard let file = try? folder.open(path.words, O_RDONLY | O_NONBLOCK | O_NOFOLLOW) else { return nil }
      return try? FileSystem.read(file, limit: 4 << 20)
    }
  }
}

extension ZoneFiles {
  /// The folder of its own layer, which becomes one of the store's as it is, and is what a quota bounds.
  var own: String { "\(data)/own" }
  /// What a zone of an image has written: the upper layer of its root.
  var upper: String { "\(own)/root" }
  /// overlayfs' own, on the same file system.
  var work: String { "\(own)/work" }
  var oldUpper: String { "\(data)/upper" }
}

extension ZoneSpec {
  /// With what an image says where nothing else was said; a command's words follow the image's entrypoint. An init system
  /// is the zone's init, whether that was said or not: as another process it would do nothing.
  package func completed(by use: ImageUse?) -> ZoneSpec {
    var spec = self
    if let use { spec.complete(by: use) }
    if spec.brand.isForeignTree, let first = spec.command.first, Self.isInitSystem(first) { spec.ownInit = true }
    return spec
  }

  private mutating func complete(by use: ImageUse) {
    command = use.arguments(command)
    for (name, value) in use.environment where environment[name] == nil { environment[name] = value }
    user = user ?? use.user
    workdir = workdir ?? use.workdir
    if let signal = use.stopSignal, stopSignal == ZoneSpec(name: name).stopSignal { stopSignal = "\(signal)" }
  }
}
