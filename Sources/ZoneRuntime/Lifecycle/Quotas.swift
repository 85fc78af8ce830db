internal import Glibc
internal import LinuxNS

/// What zones may write (`--quota`): a bound on the folder of a zone's own layer, or of a sparse zone's root. What a
/// snapshot has frozen is the store's and no longer counted.
extension Zones {
  /// Makes a folder of the zone's that takes at most so much, or bounds the one that `bound` has made.
  func bound(_ files: ZoneFiles, _ folder: String, isSparse: Bool, to bytes: Int64) throws(ZoneError) {
    let kind = try quotas(for: files.name, isSparse: isSparse, in: files.data)
    if kind == .subvolume, !FileSystem.exists(folder) {
      notice(
        "on btrfs the files that zone \(files.name) writes may have inode numbers that others of its root have too")
    }
    try attempt("bound what zone \(files.name) writes") { () throws(SyscallError) in
      // First, so that whoever deletes the zone knows that there is a bound to be taken away.
      try FileSystem.replace(files.boundNote, with: [])
      try kind.make(folder, bytes: bytes)
    }
  }

  private func quotas(for name: String, isSparse: Bool, in folder: String) throws(ZoneError) -> DiskQuota {
    let refuse = { (why: String) in ZoneError.refused("cannot bound what zone \(name) writes: \(why)") }
    guard geteuid() == 0 else { throw refuse("quotas are root's to give (quotactl(2); leave --quota out)") }
    let support = try attempt("look for quotas") { () throws(SyscallError) in try DiskQuota.support(of: folder) }
    switch support {
    case .lacks(let why): throw refuse("\(folder): \(why)")
    case .has(.subvolume) where isSparse:
      throw refuse(
        "in a sparse zone btrfs itself is in sight, and whoever makes a subvolume is past the bound (have --image oci:NAME, or the zones on ext4 or xfs)"
      )
    case .has(let kind): return kind
    }
  }

  /// Before something is begun that ends with a new layer. Of a zone without a quota nothing is asked.
  func checkQuota(of spec: ZoneSpec) throws(ZoneError) {
    guard spec.quota != nil else { return }
    _ = try quotas(for: spec.name, isSparse: spec.brand == .sparse, in: directories.data(of: spec.name))
  }

  /// Best effort: what is bound is going to be removed, or was not there yet.
  func unbound(_ files: ZoneFiles) {
    guard FileSystem.exists(files.boundNote) else { return }
    for folder in [files.own, files.root] { try? DiskQuota.lift(folder) }
    unlink(files.boundNote)
  }

  /// At a start: that the bound is in force which the settings have, also where a former change of them was cut, and the
  /// file system was mounted anew, or the place copied.
  func enforceQuota(_ files: ZoneFiles, _ spec: ZoneSpec) throws(ZoneError) {
    guard let quota = spec.quota else { return }
    let isSparse = spec.brand == .sparse
    let folder = try written(files, isSparse)
    guard try isCounted(files, folder) else {
      try checkQuota(of: spec)
      throw .refused(
        "cannot start zone \(spec.name): what it has written is not counted (zonectl set \(spec.name) quota= takes the quota away)"
      )
    }
    try checkQuota(of: spec)
    // Limits are in units of a kilobyte.
    if let use = (try? DiskQuota.use(of: folder)) ?? nil, (0..<1024).contains(use.limit - quota) { return }
    try bound(files, folder, isSparse: isSparse, to: quota)
  }

  private func isCounted(_ files: ZoneFiles, _ folder: String) throws(ZoneError) -> Bool {
    try attempt("look at zone \(files.name)") { () throws(SyscallError) in try DiskQuota.isCounted(folder) }
  }

  private func written(_ files: ZoneFiles, _ isSparse: Bool) throws(ZoneError) -> String {
    try attempt("look at zone \(files.name)") { () throws(SyscallError) in try files.written(isSparse: isSparse) }
  }

  /// As `set` has it, of a zone that has its root. Its lock is held.
  func setQuota(_ files: ZoneFiles, _ spec: ZoneSpec, isLive: Bool) throws(ZoneError) {
    let isSparse = spec.brand == .sparse
    let folder = try written(files, isSparse)
    guard let quota = spec.quota else {
      try attempt("take the quota of zone \(spec.name) away") { () throws(SyscallError) in try DiskQuota.lift(folder) }
      unlink(files.boundNote)
      return
    }
    let refuse = { (why: String) in ZoneError.refused("cannot bound what zone \(spec.name) writes: \(why)") }
    if !isSparse, !isLive { try moveOldLayer(files) }
    if FileSystem.exists(folder), try isCounted(files, folder) {
      return try bound(files, folder, isSparse: isSparse, to: quota)
    }
    try checkQuota(of: spec)
    guard !isSparse else {
      throw refuse("it was made without a quota, and has written since (create it anew with --quota)")
    }
    guard !isLive else { throw refuse("it was made without a quota, and runs (zonectl stop \(spec.name))") }
    let root = try root(of: spec, files)
    let store = try images(of: spec)
    var unbounded = spec
    unbounded.quota = nil
    if root.pending == nil { try ensureLayer(files, unbounded, root, in: store) }
    guard root.pending == nil, try OwnLayer.isUntouched(files, root, in: store) else {
      throw refuse(
        "it was made without a quota, and something is in its layer (zonectl snapshot create \(spec.name) freezes that; what it writes from then on can be bounded)"
      )
    }
    // The new one stands when it takes the place of the old one.
    let new = "\(files.own).new"
    try attempt("make the layer of zone \(spec.name) anew") { () throws(SyscallError) in try TreeRemoval.remove(new) }
    do throws(ZoneError) {
      try makeLayer(files, spec, root.top, at: new, in: store)
      try attempt("make the layer of zone \(spec.name) anew") { () throws(SyscallError) in
        try FileSystem.exchange(new, files.own)
      }
    } catch {
      try? DiskQuota.lift(new)
      try? TreeRemoval.remove(new)
      unlink(files.boundNote)
      throw error
    }
    try? TreeRemoval.remove(new)  // the old one: empty, and goes with the zone
  }

  /// What is counted of a zone that has a quota; nil where nothing is.
  func quotaUse(of spec: ZoneSpec, _ files: ZoneFiles) -> QuotaUse? {
    guard spec.quota != nil, let folder = try? files.written(isSparse: spec.brand == .sparse),
      let use = (try? DiskQuota.use(of: folder)) ?? nil
    else { return nil }
    var quota = QuotaUse(bytes: use.bytes, limit: use.limit)
    quota.isFull = quota.isFull || use.isOutOfFiles
    return quota
  }

  #if !hasFeature(Embedded)
    /// Why a zone that is to be made here can have no quota; nil where it can.
    public func whyUnbounded(_ spec: ZoneSpec) -> String? {
      do throws(ZoneError) {
        try directories.make()
        _ = try quotas(for: spec.name, isSparse: spec.brand == .sparse, in: directories.data)
        return nil
      } catch { return error.description }
    }

    /// A volume that is a directory. On btrfs zones could make subvolumes in it, which nothing counts.
    public func bound(volume name: String, _ folder: String, to bytes: Int64) throws(ZoneError) {
      let refuse = { (why: String) in
        ZoneError.refused("cannot bound volume \(name): \(why) (--file makes it a disk of that size)")
      }
      guard geteuid() == 0 else { throw refuse("quotas are root's to give") }
      let place = FileSystem.parent(of: folder)
      let support = try attempt("bound volume \(name)") { () throws(SyscallError) in try DiskQuota.support(of: place) }
      switch support {
      case .lacks(let why): throw refuse(why)
      case .has(.subvolume): throw refuse("whoever makes a subvolume in it is past what btrfs bounds")
      case .has(.project):
        try attempt("bound volume \(name)") { () throws(SyscallError) in
          try DiskQuota.project.make(folder, bytes: bytes)
        }
      }
    }
  #endif
}

extension ZoneFiles {
  /// There while something of the zone's is bounded.
  var boundNote: String { "\(data)/\(Self.boundName)" }
  static let boundName = "bounded"

  /// What a quota bounds.
  func written(isSparse: Bool) throws(SyscallError) -> String {
    guard isSparse else { return own }
    return try FileSystem.isThere(root) ? root : own
  }
}
