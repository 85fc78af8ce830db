internal import Glibc
internal import LinuxNS

/// Zones of images: what is made of one at `create`, and what a start takes from it.
extension Zones {
  /// Looks a name up, and writes down what the zone's root is made of from here on: a name that moves changes no zone.
  /// - Parameter folder: of the zone's, with its spec: `root.json` goes there.
  /// - Throws: where no image of that name is here.
  func fixImage(_ name: ImageReference, in folder: String) throws(ZoneError) -> RootRecord {
    guard let store = try ImageStore.open(directories) else { throw Self.noImage(name) }
    let lock = try store.lock(.shared) { notice("waiting for who removes images") }
    guard var root = try store.start(of: name) else { throw Self.noImage(name) }
    guard !root.layers.isEmpty else { throw .refused("cannot use the image \(name.familiar): it has no layers") }
    root.image?.name = name
    try root.write(in: folder)
    store.touch(name)
    withExtendedLifetime(lock) {}  // who removes sees the record now
    return root
  }

  /// Whether a zone could be made of it now.
  public func hasImage(_ name: ImageReference) throws(ZoneError) -> Bool {
    guard let store = try ImageStore.open(directories) else { return false }
    return try store.start(of: name) != nil
  }

  /// Whether the zone's image says itself what is run.
  public func isToldByImage(_ spec: ZoneSpec) throws(ZoneError) -> Bool {
    guard case .image(let name) = spec.brand, let store = try ImageStore.open(directories) else { return false }
    return try store.start(of: name).map { !$0.use.arguments([]).isEmpty } ?? false
  }

  private static func noImage(_ name: ImageReference) -> ZoneError {
    .refused(
      "no image \(name.familiar) is here (zonectl image pull or import brings one, image list shows what is here)")
  }

  /// The zone's own layer, which lies above its image's and looks like the top of it.
  func makeLayer(_ files: ZoneFiles, _ top: RootTop) throws(ZoneError) {
    try attempt("make the zone's layer") { () throws(SyscallError) in
      try FileSystem.makeDirectories(files.upper, mode: 0o755)
      try FileSystem.makeDirectories(files.work, mode: 0o700)
      // A user's own layer is his, whatever the image's is.
      if geteuid() == 0 {
        try FileSystem.call("chown", files.upper) { lchown(files.upper, top.uid, top.gid) }
      }
      try FileSystem.call("chmod", files.upper) { chmod(files.upper, top.mode) }
      let (seconds, rest) = top.modified.quotientAndRemainder(dividingBy: 1_000_000_000)
      let time = timespec(tv_sec: Int(seconds), tv_nsec: Int(rest))
      try FileSystem.call("utimensat", files.upper) {
        withUnsafePointer(to: (time, time)) {
          $0.withMemoryRebound(to: timespec.self, capacity: 2) { utimensat(AT_FDCWD, files.upper, $0, 0) }
        }
      }
    }
  }

  /// What its image says of how it is run, where the spec says nothing.
  func completed(_ spec: ZoneSpec, _ files: ZoneFiles) throws(ZoneError) -> ZoneSpec {
    guard case .image = spec.brand else { return spec }
    return spec.completed(by: try root(of: spec, files).use)
  }

  func root(of spec: ZoneSpec, _ files: ZoneFiles) throws(ZoneError) -> RootRecord {
    let folder = spec.ephemeral ? files.run : files.data
    guard let root = try RootRecord.read(in: folder) else {
      throw .refused("cannot use zone \(spec.name): \(folder)/\(RootRecord.file) is gone (delete the zone)")
    }
    return root
  }

  func addLayers(_ spec: ZoneSpec, _ files: ZoneFiles, to facts: inout HostFacts) throws(ZoneError) {
    guard case .image = spec.brand else { return }
    if spec.ephemeral, let why = Self.refusalOfPassing(kernel: IdMappable.kernel) {
      throw .refused("cannot start zone \(spec.name): \(why)")
    }
    guard let store = try ImageStore.open(directories) else {
      throw .refused("cannot use zone \(spec.name): the images in \(directories.images) are gone")
    }
    var root = try root(of: spec, files)
    if root.isTemplate {
      throw .refused("cannot start zone \(spec.name): it is a template (zonectl clone \(spec.name) NEW)")
    }
    if root.pending != nil {
      let lock = try store.lock(.shared) { notice("waiting for who removes images") }
      root = try settled(files, root, in: store)
      withExtendedLifetime(lock) {}
    }
    facts.layers = RootLayers(
      links: store.mountLinks, names: root.layers.map(store.mountLink), topMode: root.top.mode)
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
  /// What a zone of an image has written: the upper layer of its root.
  var upper: String { "\(data)/upper" }
  /// overlayfs' own, on the same file system.
  var work: String { "\(data)/work" }
}

extension ZoneSpec {
  /// With what an image says where nothing else was said; a command's words follow the image's entrypoint.
  func completed(by use: ImageUse) -> ZoneSpec {
    var spec = self
    spec.command = use.arguments(command)
    for (name, value) in use.environment where environment[name] == nil { spec.environment[name] = value }
    spec.user = user ?? use.user
    spec.workdir = workdir ?? use.workdir
    if let signal = use.stopSignal, stopSignal == ZoneSpec(name: name).stopSignal { spec.stopSignal = "\(signal)" }
    return spec
  }
}
