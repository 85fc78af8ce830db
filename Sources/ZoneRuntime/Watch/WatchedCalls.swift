/// What is done to a file that a call names.
public enum FileAccess: String, Hashable, Sendable {
  /// It is looked at or gone through: stat(2), access(2), readlink(2), chdir(2).
  case look
  case read
  case write
  /// The name is made.
  case create
  /// The name goes, or is given another one.
  case remove
  case execute

  var changes: Bool { self == .write || self == .create || self == .remove }
}

/// A system call that names files, and where its names are.
struct WatchedCall: Sendable {
  /// Whether a link that the last name is gets followed.
  enum Follow: Sendable {
    case yes, no
    /// Unless AT_SYMLINK_NOFOLLOW is set in the argument.
    case unlessFlag(Int)
    /// Only with AT_SYMLINK_FOLLOW in it.
    case withFlag(Int)
    /// By O_NOFOLLOW, and O_CREAT with O_EXCL.
    case byOpenFlags
  }

  enum Intent: Sendable {
    case always(FileAccess)
    /// open(2)'s flags are this argument.
    case openFlags(Int)
    /// They are the first word of the structure that this argument points to (openat2(2)).
    case openHow(Int)
  }

  struct Name: Sendable {
    /// The argument with the directory's descriptor; nil: the working directory.
    var directory: Int?
    var path: Int
    var intent: Intent
    var follow: Follow
  }

  var names: [Name]

  static let table: [(call: String, watched: WatchedCall)] = [
    one("open", 0, .openFlags(1), .byOpenFlags), at("openat", 0, 1, .openFlags(2), .byOpenFlags),
    at("openat2", 0, 1, .openHow(2), .byOpenFlags), one("creat", 0, .always(.create)),
    one("execve", 0, .always(.execute)), at("execveat", 0, 1, .always(.execute), .unlessFlag(4)),
    one("stat", 0, .always(.look)), one("stat64", 0, .always(.look)), one("lstat", 0, .always(.look), .no),
    one("lstat64", 0, .always(.look), .no), at("newfstatat", 0, 1, .always(.look), .unlessFlag(3)),
    at("fstatat64", 0, 1, .always(.look), .unlessFlag(3)), at("statx", 0, 1, .always(.look), .unlessFlag(2)),
    one("access", 0, .always(.look)), at("faccessat", 0, 1, .always(.look)),
    at("faccessat2", 0, 1, .always(.look), .unlessFlag(3)), one("readlink", 0, .always(.look), .no),
    at("readlinkat", 0, 1, .always(.look), .no), one("chdir", 0, .always(.look)),
    one("statfs", 0, .always(.look)), one("statfs64", 0, .always(.look)), one("inotify_add_watch", 1, .always(.read)),
    one("mkdir", 0, .always(.create), .no), at("mkdirat", 0, 1, .always(.create), .no),
    one("mknod", 0, .always(.create), .no), at("mknodat", 0, 1, .always(.create), .no),
    one("unlink", 0, .always(.remove), .no), at("unlinkat", 0, 1, .always(.remove), .no),
    one("rmdir", 0, .always(.remove), .no),
    ("rename", WatchedCall(names: [name(nil, 0, .remove), name(nil, 1, .create)])),
    ("renameat", WatchedCall(names: [name(0, 1, .remove), name(2, 3, .create)])),
    ("renameat2", WatchedCall(names: [name(0, 1, .remove), name(2, 3, .create)])),
    ("link", WatchedCall(names: [name(nil, 0, .read), name(nil, 1, .create)])),
    (
      "linkat",
      WatchedCall(names: [
        Name(directory: 0, path: 1, intent: .always(.read), follow: .withFlag(4)), name(2, 3, .create),
      ])
    ),
    one("symlink", 1, .always(.create), .no), at("symlinkat", 1, 2, .always(.create), .no),
    one("chmod", 0, .always(.write)), at("fchmodat", 0, 1, .always(.write)),
    at("fchmodat2", 0, 1, .always(.write), .unlessFlag(3)), one("chown", 0, .always(.write)),
    one("lchown", 0, .always(.write), .no), at("fchownat", 0, 1, .always(.write), .unlessFlag(4)),
    one("truncate", 0, .always(.write)), one("truncate64", 0, .always(.write)), one("utime", 0, .always(.write)),
    one("utimes", 0, .always(.write)), at("futimesat", 0, 1, .always(.write)),
    at("utimensat", 0, 1, .always(.write), .unlessFlag(3)), one("setxattr", 0, .always(.write)),
    one("lsetxattr", 0, .always(.write), .no), one("removexattr", 0, .always(.write)),
    one("lremovexattr", 0, .always(.write), .no), one("getxattr", 0, .always(.look)),
    one("lgetxattr", 0, .always(.look), .no), one("listxattr", 0, .always(.look)),
    one("llistxattr", 0, .always(.look), .no),
  ]

  /// Calls that name a socket's other end: the argument of the address, and that of its length.
  static let addresses: [(call: String, address: Int, length: Int)] = [("connect", 1, 2), ("sendto", 4, 5)]

  private static func one(
    _ call: String, _ path: Int, _ intent: Intent, _ follow: Follow = .yes
  ) -> (call: String, watched: WatchedCall) {
    (call, WatchedCall(names: [Name(directory: nil, path: path, intent: intent, follow: follow)]))
  }

  private static func at(
    _ call: String, _ directory: Int, _ path: Int, _ intent: Intent, _ follow: Follow = .yes
  ) -> (call: String, watched: WatchedCall) {
    (call, WatchedCall(names: [Name(directory: directory, path: path, intent: intent, follow: follow)]))
  }

  private static func name(_ directory: Int?, _ path: Int, _ access: FileAccess) -> Name {
    Name(directory: directory, path: path, intent: .always(access), follow: .no)
  }
}

/// open(2)'s flags, the same numbers on all machines that we know but those of O_DIRECTORY and O_NOFOLLOW.
struct OpenFlags: Equatable {
  var access: FileAccess
  var follows: Bool

  init(_ flags: UInt64, arm: Bool = false) {
    let (create, exclusive, truncate): (UInt64, UInt64, UInt64) = (0o100, 0o200, 0o1000)
    let (noFollow, pathOnly): (UInt64, UInt64) = (arm ? 0o100_000 : 0o400_000, 0o10_000_000)
    let temporary: UInt64 = 0o20_000_000
    follows = flags & noFollow == 0 && flags & (create | exclusive) != create | exclusive
    if flags & pathOnly != 0 {
      access = .look
    } else if flags & (create | temporary) != 0 {
      access = .create
    } else if flags & 3 != 0 || flags & truncate != 0 {
      access = .write
    } else {
      access = .read
    }
  }
}
