internal import CLinuxNS
internal import Glibc
internal import LinuxNS

/// The host's /etc as far as everybody may read it: the lower layer of every sparse zone's own /etc.
///
/// A copy that is never changed once it is in place, named after the state of the host's /etc it was made from; the
/// next start after an `apt upgrade` makes another.
struct EtcTemplate {
  /// Kept out even where everybody may read them: secrets, identities, and what each zone has of its own.
  static let excluded: Set<String> = [
    "shadow", "shadow-", "gshadow", "gshadow-", "sudoers", "sudoers.d", "sudo.conf", "machine-id", "ssh", "ssl/private",
    "passwd", "passwd-", "group", "group-", "subuid", "subuid-", "subgid", "subgid-", "hostname", "hosts",
    "resolv.conf", "mtab", "fstab", "crypttab", ".pwd.lock", "adjtime", "krb5.keytab", "wireguard", "docker", "cni",
    "NetworkManager", "wpa_supplicant", "netplan", "letsencrypt", "polkit-1", "security/opasswd", "kubernetes", "zones",
  ]
  /// What the name of the template is made from: an upgrade changes at least one of them.
  private static let witnesses = ["", "/ld.so.cache", "/alternatives", "/ssl/certs", "/passwd", "/group", "/profile.d"]

  let source: String
  let store: String

  /// - Parameters:
  ///   - source: the host's /etc.
  ///   - store: the folder that holds the templates.
  init(source: String = "/etc", store: String) {
    self.source = source
    self.store = store
  }

  /// The template for the host's present /etc, made if it is not there yet.
  func path() throws(SyscallError) -> String { try made().path }

  /// As `path()`, and whether it was made now.
  func made() throws(SyscallError) -> (path: String, isNew: Bool) {
    let path = "\(store)/\(key())"
    if FileSystem.exists(path) { return (path, false) }
    try FileSystem.makeDirectories(store, mode: 0o711)
    // Of this thread alone: the orchestrator starts several zones of one process side by side.
    let draft = "\(path).\(getpid()).\(zns_gettid()).tmp"
    try FileSystem.removeTree(draft)
    do throws(SyscallError) {
      try make(draft, as: path)
    } catch {
      try? FileSystem.removeTree(draft)  // best effort: the first error is the one to report
      throw error
    }
    return (path, true)
  }

  private func make(_ draft: String, as path: String) throws(SyscallError) {
    try copyDirectory(from: source, to: draft, relative: "")
    try writeAccounts(to: draft)
    let result = rename(draft, path)
    let error = errno
    if result == 0 { return }
    // Another start was faster: its template is as good.
    guard error == EEXIST || error == ENOTEMPTY else { throw SyscallError(call: "rename", errno: error, path: path) }
    try FileSystem.removeTree(draft)
  }

  /// Removes every template but those in use and the `newest` others.
  func prune(keeping used: Set<String>, newest: Int = 0) throws(SyscallError) {
    guard FileSystem.exists(store) else { return }
    var others: [(path: String, made: Int)] = []
    for name in try FileSystem.list(store) where !used.contains("\(store)/\(name)") && !name.hasSuffix(".tmp") {
      others.append(("\(store)/\(name)", try FileSystem.status("\(store)/\(name)").st_ctim.tv_sec))
    }
    for other in others.sorted(by: { $0.made > $1.made }).dropFirst(newest) { try FileSystem.removeTree(other.path) }
  }

  private func key() -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    let mix = { (value: UInt64) in
      for byte in 0..<8 {
        let next = (value >> UInt64(byte * 8)) & 0xff
        hash = (hash ^ next) &* 0x100_0000_01b3
      }
    }
    mix(2)  // the format's version
    for witness in Self.witnesses {
      var status = stat()
      guard stat(source + witness, &status) == 0 else { continue }
      mix(UInt64(status.st_ino))
      mix(UInt64(bitPattern: Int64(status.st_mtim.tv_sec)))
      mix(UInt64(status.st_mtim.tv_nsec))
    }
    return String(hash, radix: 16)
  }

  private func copyDirectory(from: String, to: String, relative: String) throws(SyscallError) {
    try FileSystem.call("mkdir", to) { mkdir(to, 0o755) }
    for name in try FileSystem.list(from) {
      let inside = relative.isEmpty ? name : "\(relative)/\(name)"
      guard !Self.excluded.contains(inside) else { continue }
      let old = "\(from)/\(name)"
      let new = "\(to)/\(name)"
      var status = stat()
      guard lstat(old, &status) == 0 else { continue }  // gone since
      switch status.st_mode & S_IFMT {
      case S_IFDIR where status.st_mode & 0o005 == 0o005:
        try copyDirectory(from: old, to: new, relative: inside)
      case S_IFLNK:
        let target = try FileSystem.readLink(old)
        try FileSystem.call("symlink", new) { symlink(target, new) }
      case S_IFREG where status.st_mode & 0o004 != 0:
        try copyFile(from: old, to: new, mode: status.st_mode & 0o755)
      default: continue
      }
    }
  }

  private func copyFile(from: String, to: String, mode: UInt32) throws(SyscallError) {
    let bytes: [UInt8]
    do { bytes = try FileSystem.read(from, limit: 64 << 20) } catch {
      if error.errno == ENOENT || error.errno == EACCES { return }
      throw error
    }
    let file = try OwnedFD.open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
    try FileSystem.write(bytes, to: file, name: to)
    try FileSystem.call("fchmod", to) { fchmod(file.raw, mode) }
  }

  /// Accounts of the system's own; the host's people have none in a zone.
  private func writeAccounts(to folder: String) throws(SyscallError) {
    let kept = { (id: Substring?) -> Bool in
      guard let number = id.flatMap({ UInt32($0) }) else { return false }
      return number < 1000 || number == 65534
    }
    var names: Set<Substring> = []
    var passwd = ""
    let accounts = String(decoding: try FileSystem.read("\(source)/passwd"), as: UTF8.self)
    for line in accounts.split(separator: "\n") {
      var fields = line.split(separator: ":", omittingEmptySubsequences: false)
      guard fields.count == 7, kept(fields[2]), names.insert(fields[0]).inserted else { continue }
      fields[1] = "x"
      if fields[2] == "0" { fields[5] = "/root" }
      passwd += fields.joined(separator: ":") + "\n"
    }
    var group = ""
    let groups = String(decoding: try FileSystem.read("\(source)/group"), as: UTF8.self)
    for line in groups.split(separator: "\n") {
      var fields = line.split(separator: ":", omittingEmptySubsequences: false)
      guard fields.count == 4, kept(fields[2]) else { continue }
      let members = fields[3].split(separator: ",").filter(names.contains).joined(separator: ",")
      fields[1] = "x"
      fields[3] = members[...]
      group += fields.joined(separator: ":") + "\n"
    }
    try FileSystem.replace("\(folder)/passwd", with: Array(passwd.utf8), mode: 0o644)
    try FileSystem.replace("\(folder)/group", with: Array(group.utf8), mode: 0o644)
    let links = [("mtab", "../proc/self/mounts")]
    for (name, target) in links {
      try FileSystem.call("symlink", name) { symlink(target, "\(folder)/\(name)") }
    }
  }
}
