import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

@testable import LayerUnpacking

/// A folder with layers' directories in it, and archives made by programs of others.
final class UnpackStand: Sendable {
  let folder: String
  var layer: String { "\(folder)/layer" }

  /// - Parameter user: who owns it, and runs the unpacker there.
  init(user: String? = nil) throws {
    var template = Array("/var/tmp/zones-unpack.XXXXXX".utf8CString)
    folder = String(cString: try #require(mkdtemp(&template)))
    guard let user else { return }
    let found = try #require(getpwnam(user)).pointee
    try #require(chown(folder, found.pw_uid, found.pw_gid) == 0)
    // An ordinary user cannot reach a build below root's home.
    try FileManager.default.copyItem(atPath: Command.orchestrator, toPath: "\(folder)/orchestrator")
    chmod("\(folder)/orchestrator", 0o755)
  }

  deinit { try? FileSystem.removeTree(folder) }

  /// What a shell prints, in the folder.
  @discardableResult
  func run(_ script: String, timeout: Double = 60) throws -> String {
    let outcome = try Command.run("/bin/sh", ["-ec", "export LC_ALL=C; cd \(folder)\n\(script)"], timeout: timeout)
    try #require(outcome.status == 0, "\(outcome)")
    return outcome.output
  }

  /// The same in another's name, where `$unpack` is the program.
  func run(as user: String, _ script: String, timeout: Double = 120) throws -> Command {
    let words = ["--reuid", user, "--regid", user, "--init-groups", "--", "sh", "-c"]
    let begin = "cd \(folder); umask 22; unpack='./orchestrator unpack'\n"
    return try Command.run("/usr/bin/setpriv", words + [begin + script], timeout: timeout)
  }

  /// Unpacks a file of the folder into a new `layer`, through the program that the scripts built.
  func unpack(
    _ file: String, _ compression: MediaType.Compression? = nil, diffID: ContentDigest? = nil,
    limits: UnpackLimits = UnpackLimits()
  ) throws -> UnpackReport {
    rmdir(layer)
    try FileSystem.makeDirectories(layer)
    return try LayerUnpacker(program: Command.orchestrator).unpack(
      OwnedFD.open("\(folder)/\(file)", O_RDONLY), into: OwnedFD.open(layer, O_PATH | O_DIRECTORY), diffID: diffID,
      compression: compression, limits: limits)
  }

  /// Empties `layer`, which is there then as it was when it was made.
  func empty() throws {
    try LayerUnpacker(program: Command.orchestrator).empty(OwnedFD.open(layer, O_PATH | O_DIRECTORY))
  }

  /// Why `unpack` threw; the directory has to be empty then.
  func refusal(_ file: String, _ compression: MediaType.Compression? = nil, limits: UnpackLimits = UnpackLimits())
    throws -> String
  {
    let failure = #expect(throws: UnpackFailure.self) { try unpack(file, compression, limits: limits) }
    #expect(try FileSystem.list(layer).isEmpty)
    let words = try #require(failure).description
    #expect(!words.contains("\n"))
    return words
  }

  func sha256(_ file: String) throws -> String {
    "sha256:" + (try run("sha256sum \(file)").prefix(64))
  }

  /// Everything of a tree, a line a file; of directories no size, which is the file system's.
  func list(_ tree: String) throws -> [String] {
    let script = """
      import os, hashlib
      first = {}
      for top, folders, files in os.walk(b'.'):
        for name in sorted(folders + files) + ([b'.'] if top == b'.' else []):
          path = os.path.join(top, name); s = os.lstat(path); isFile = (s.st_mode & 0o170000) == 0o100000
          link = first.setdefault(s.st_ino, path) if s.st_nlink > 1 and not os.path.isdir(path) else b''
          data = hashlib.sha256(open(path, 'rb').read()).hexdigest() if isFile else ''
          text = os.readlink(path) if os.path.islink(path) else b''
          notes = [(n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(os.listxattr(path, follow_symlinks=False))]
          print(path, oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns, s.st_size if isFile else '', link, data, text, notes)
      """
    return try run("cd \(tree); python3 - <<'END'\n\(script)\nEND").split(separator: "\n").map(String.init).sorted()
  }

  /// A tree with everything that tar knows, another one for each seed.
  func makeTree(_ seed: Int) throws {
    try run(
      """
      mkdir tree; cd tree; python3 - <<'END'
      import os, random, struct
      r = random.Random(\(seed)); places = [b'.']; files = []
      for i in range(400):
          name = bytes(r.choice(b'abc.-_ \\n\\xff\\xc3\\xa9') for _ in range(r.randint(1, 12))) + str(i).encode()
          path = os.path.join(r.choice(places), name); kind = r.random()
          if kind < 0.3: os.mkdir(path); places.append(path)
          elif kind < 0.4: os.symlink(os.path.join(b'..', name) * r.randint(1, 9), path)
          elif kind < 0.45: os.mkfifo(path)
          elif kind < 0.55 and files: os.link(r.choice(files), path); continue
          else:
              with open(path, 'wb') as f:
                  if r.random() < 0.1: f.seek(r.randint(1, 1 << 21))
                  f.write(r.randbytes(r.choice([0, 1, 511, 512, 513, 5000, 65536, 300000])))
              files.append(path)
          uid, gid = r.choice([0, 1, 1000, 65535]), r.choice([0, 5, 65534])
          os.chown(path, uid, gid, follow_symlinks=False)
          if kind < 0.3 or kind >= 0.45:
              if r.random() < 0.2: os.setxattr(path, 'user.' + str(i), r.randbytes(r.randint(0, 200)))
              if kind >= 0.55 and r.random() < 0.2: os.setxattr(path, 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << r.randint(0, 20), 0, 0, 0))
          if not os.path.islink(path): os.chmod(path, r.choice([0o644, 0o755, 0o600, 0, 0o4755, 0o2755, 0o1777, 0o6711]))
      for top, folders, names in os.walk(b'.', topdown=False):
          for name in names + [b'.']:
              at = r.randint(-10**9, 4 * 10**18) if r.random() < 0.9 else 0
              os.utime(os.path.join(top, name), ns=(at, at), follow_symlinks=False)
      END
      """)
  }
}
