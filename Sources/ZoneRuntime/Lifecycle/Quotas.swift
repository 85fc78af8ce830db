internal import Glibc
internal import LinuxNS

/// What zones may write (`--quota`): a bound on the folder of a zone's own layer, or of a sparse zone's root. What a
/// snapshot has frozen is the store's and no longer counted.
extension Zones {
  /// Makes a folder of the zone's that takes at most so much, or bounds the one that is there.
  func bound(_ files: ZoneFiles, isSparse: Bool, to bytes: Int64) throws(ZoneError) {
    let kind = try quotas(for: files.name, isSparse: isSparse, in: files.data)
    try attempt("bound what zone \(files.name) writes") { () throws(SyscallError) in
      // First, so that whoever deletes the zone knows that there is a bound to be taken away.
      try FileSystem.replace("\(files.data)/\(ZoneFiles.boundNote)", with: [])
      try kind.make(files.written(isSparse: isSparse), bytes: bytes)
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
      try attempt("bound volume \(name)") { () throws(SyscallError) -> ZoneError? in
        switch try DiskQuota.support(of: folder) {
        case .lacks(let why): return refuse(why)
        case .has(.subvolume): return refuse("whoever makes a subvolume in it is past what btrfs bounds")
        case .has(.project):
          try DiskQuota.project.make(folder, bytes: bytes)
          return nil
        }
      }.map { (error) throws(ZoneError) in throw error }
    }
  #endif

  /// Best effort: what is bound is going to be removed, or was not there yet.
  func unbound(_ files: ZoneFiles) {
    for folder in [files.own, files.root] { try? DiskQuota.lift(folder) }
    unlink("\(files.data)/\(ZoneFiles.boundNote)")
  }

  /// As `set` has it, of a zone that has its root. Its lock is held.
  func setQuota(_ files: ZoneFiles, _ spec: ZoneSpec, isLive: Bool) throws(ZoneError) {
    let isSparse = spec.brand == .sparse
    let folder = files.written(isSparse: isSparse)
    guard let quota = spec.quota else {
      try attempt("take the quota of zone \(spec.name) away") { () throws(SyscallError) in try DiskQuota.lift(folder) }
      unlink("\(files.data)/\(ZoneFiles.boundNote)")
      return
    }
    if case .image = spec.brand { try moveOldLayer(files) }
    let kind = try quotas(for: spec.name, isSparse: isSparse, in: files.data)
    let isCounted = try attempt("look at zone \(spec.name)") { () throws(SyscallError) in
      try DiskQuota.isCounted(folder)
    }
    if isCounted { return try bound(files, isSparse: isSparse, to: quota) }
    guard !isLive else {
      throw .refused(
        "cannot bound what zone \(spec.name) writes: what it has written has to be counted first (zonectl stop \(spec.name))"
      )
    }
    switch kind {
    case .project:
      try attempt("count what zone \(spec.name) has written") { () throws(SyscallError) in
        try FileSystem.replace("\(files.data)/\(ZoneFiles.boundNote)", with: [])
        try DiskQuota.count(folder, bytes: quota)
      }
    case .subvolume:
      let store = try images(of: spec)
      let root = try root(of: spec, files)
      let isEmpty = try attempt("look at zone \(spec.name)") { () throws(SyscallError) in
        try FileSystem.list(files.upper).isEmpty
      }
      guard root.pending == nil, isEmpty else {
        throw .refused(
          "cannot bound what zone \(spec.name) writes: its layer is no subvolume of btrfs, and something is in it (zonectl snapshot create \(spec.name), then again: what it writes from then on is bounded)"
        )
      }
      try attempt("make the layer of zone \(spec.name) anew") { () throws(SyscallError) in
        try TreeRemoval.remove(files.own)
      }
      try makeLayer(files, root.top, quota: quota, in: store)
    }
  }

  /// What is counted of a zone that has a quota; nil where nothing is.
  func quotaUse(of spec: ZoneSpec, _ files: ZoneFiles) -> QuotaUse? {
    let folder = files.written(isSparse: spec.brand == .sparse)
    guard spec.quota != nil, let use = (try? DiskQuota.use(of: folder)) ?? nil else { return nil }
    return QuotaUse(bytes: use.bytes, limit: use.limit)
  }
}

extension ZoneFiles {
  /// There while something of the zone's is bounded.
  static var boundNote: String { "bounded" }

  /// What a quota bounds.
  func written(isSparse: Bool) -> String { isSparse ? root : own }
}
