import Foundation
import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// Layers on a real disk.
@Suite(.needs(.root)) struct LayerWriterTests {
  private static let corpus = Zonectl.packageRoot + "/Tests/corpora/archive"

  @discardableResult
  private func unpack(_ bytes: [UInt8], into folder: String) throws -> UnpackedLayer {
    try FileSystem.makeDirectories(folder)
    return try LayerWriter.unpack(
      PiecedSource(bytes: bytes[...], piece: 5000), into: try OwnedFD.open(folder, O_RDONLY | O_DIRECTORY))
  }

  private func run(_ script: String, in folder: String) throws -> String {
    let outcome = try Command(["sh", "-ec", "cd \(folder)\n\(script)"]).run()
    #expect(outcome.status == 0, "\(outcome)")
    return outcome.out
  }

  /// Everything of a tree, a line a file; of directories no size, which is the file system's.
  private func list(_ folder: String) throws -> String {
    let script = """
      import os, sys, hashlib
      first = {}
      for top, folders, files in os.walk(b'.'):
        for name in sorted(folders + files) + ([b'.'] if top == b'.' else []):
          path = os.path.join(top, name); s = os.lstat(path); isFile = (s.st_mode & 0o170000) == 0o100000
          link = first.setdefault(s.st_ino, path) if s.st_nlink > 1 and not os.path.isdir(path) else b''
          data = hashlib.sha256(open(path, 'rb').read()).hexdigest() if isFile else ''
          text = os.readlink(path) if os.path.islink(path) else b''
          blocks = s.st_blocks < s.st_size // 512 if isFile else ''
          notes = [(n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(os.listxattr(path, follow_symlinks=False))]
          print(path, oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns, s.st_size if isFile else '', link, data, text, blocks, notes)
      """
    let outcome = try Command(["python3", "-c", "import os; os.chdir('\(folder)')\n" + script]).run()
    #expect(outcome.status == 0, "\(outcome)")
    return outcome.out.split(separator: "\n").sorted().joined(separator: "\n")
  }

  @Test(.needs(.program("tar")), .needs(.program("python3")), arguments: ["gnu", "posix"])
  func aTreeIsAsGNUTarUnpacksIt(_ format: String) throws {
    try withTemporaryFolder { folder in
      _ = try run(
        """
        mkdir -p tree/$(printf 'd%.0s' $(seq 200))/deep tree/closed && cd tree
        printf hello > plain; ln plain hard; ln -s /nowhere/at/all link; ln link hard-to-link; mkfifo -m 620 pipe
        printf x > caps; chown 1234:42 caps; chmod 6755 caps
        truncate -s 1000000 sparse; printf mid | dd of=sparse bs=1 seek=500000 conv=notrunc status=none
        printf y > "$(printf 'a\\377b\\nc')"; touch -h -d '2001-02-03 04:05:06.5 UTC' link plain
        python3 -c "
        import os, struct
        os.setxattr('plain', 'user.note', bytes(range(256)))
        os.setxattr('closed', 'user.of', b'')
        os.setxattr('caps', 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 10, 0, 0, 0))"
        chmod 0 closed; chmod 1777 d*/deep; chown -h 7:8 link; touch -d '1999-01-01 UTC' d*/deep closed .
        cd ..; tar --format=\(format) -S \(format == "posix" ? "--xattrs --xattrs-include='*'" : "") -cf a.tar -C tree .
        mkdir other; tar --xattrs --xattrs-include='*' --numeric-owner -xpSf a.tar -C other
        """, in: folder)
      let unpacked = try unpack(FileSystem.read("\(folder)/a.tar"), into: "\(folder)/ours")
      #expect(try list("\(folder)/ours") == list("\(folder)/other"))
      #expect(unpacked.notes.tellsTop && unpacked.notes.parents.isEmpty && unpacked.omitted == 0)
      let size = try FileSystem.status("\(folder)/a.tar").st_size
      #expect(unpacked.bytes == Int64(size), "all of the archive is read: its digest is of all of it")
    }
  }

  /// Nothing is written outside, whatever the archive says.
  @Test func noArchiveReachesWhatIsBesideIt() throws {
    try withTemporaryFolder { folder in
      _ = try run(
        "mkdir -p a/b/etc; printf canary > a/b/etc/passwd; printf canary > a/canary; ln -s ../etc a/b/link", in: folder)
      func beside() throws -> [String] {
        var found: [String] = []
        for place in ["", "/a", "/a/b", "/a/b/etc"] {
          for name in try FileSystem.list(folder + place) {
            let status = try FileSystem.status("\(folder)\(place)/\(name)", followingLinks: false)
            found.append("\(place)/\(name) \(status.st_mode) \(status.st_uid) \(status.st_nlink) \(status.st_ino)")
            guard status.st_mode & S_IFMT == S_IFREG else { continue }
            found.append(try FileSystem.readLine("\(folder)\(place)/\(name)"))
          }
        }
        return found
      }
      let before = try beside()
      var (taken, refused) = (0, 0)
      for name in try FileSystem.list(Self.corpus) where name != "plan-deep" {
        let isFine = name.hasPrefix("ok-")
        do {
          try unpack(FileSystem.read("\(Self.corpus)/\(name)"), into: "\(folder)/a/b/layer")
          #expect(isFine || !["reader-", "plan-"].contains { name.hasPrefix($0) }, "\(name) was taken")
          taken += 1
        } catch let error as UnpackError {
          #expect(!isFine, "\(name): \(error)")
          refused += 1
        }
        try FileSystem.removeTree("\(folder)/a/b/layer")
        #expect(try beside() == before, "\(name)")
      }
      #expect(taken > 20 && refused > 80)
    }
  }

  @Test func overlayfsTakesWhatIsDeleted() throws {
    try withTemporaryFolder { folder in
      let file = { (path: String) throws in try TarWriter.header(of: TarEntry(path, .file(size: 0))) }
      let lower = try ["a", "b", "d/x", "e/f/g"].flatMap { try file($0) }
      let upper = try [".wh.a", "d/.wh..wh..opq", "d/y", ".wh.e", "e/h"].flatMap { try file($0) }
      try unpack(lower, into: "\(folder)/1")
      let unpacked = try unpack(upper, into: "\(folder)/2")
      #expect(unpacked.notes.emptied == ["d"] && unpacked.notes.parents == ["d", "e"])
      _ = try run("mkdir 3 4 m", in: folder)
      let seen = try Command([
        "unshare", "-m", "sh", "-ec",
        """
        cd \(folder); mount -t overlay o -o userxattr,lowerdir=2:1,upperdir=3,workdir=4 m; cd m; find . | sort
        """,
      ]).run()
      #expect(seen.status == 0, "\(seen)")
      #expect(seen.out.split(separator: "\n") == [".", "./b", "./d", "./d/y", "./e", "./e/h"])
    }
  }

  /// Random stacks, unpacked, joined and mounted: what the kernel shows is what the specification says.
  @Test func aMountedStackIsWhatTheSpecificationSays() throws {
    try withTemporaryFolder { folder in
      var random = SeededNumbers(state: 3)
      var (number, script) = (Int64(0), "cd \(folder)\n")
      var expected: [[String]] = []
      var joints = 0
      while expected.count < 40 {
        let archives = (0..<Int.random(in: 2...4, using: &random)).map { _ in JointPlanTests.archive(&random, &number) }
        var applied = JointPlanTests.Applied()
        do throws(LayerError) { for archive in archives { try applied.apply(archive) } } catch { continue }
        guard applied.disputed.isEmpty, let made = try stack(archives, in: "\(folder)/\(expected.count)") else {
          continue
        }
        if made.hasJoint { joints += 1 }
        script += """
          cd \(folder)/\(expected.count); mkdir m; mount -t overlay o -o userxattr,lowerdir=\(made.lowers),upperdir=up,workdir=work m
          (cd m; find . -printf '%P %y %m %s\\n' | awk '{ print $1, $2, $2 == "d" ? $3 : $2 == "f" ? $4 : 0 }' | sort); echo --; umount m

          """
        expected.append(
          applied.nodes.map { path, node in
            let name = path.isRoot ? "" : path.words
            switch node {
            case .directory(let mode):
              return path.isRoot ? "d \(String(mode, radix: 8)) 0" : "\(name) d \(String(mode, radix: 8))"
            case .other(let size): return size < 0 ? "\(name) l 0" : "\(name) f \(size)"
            case .whiteout: return "\(name) deleted"
            }
          }.sorted())
      }
      let outcome = try Command(["unshare", "-m", "sh", "-ec", script]).run()
      #expect(outcome.status == 0, "\(outcome)")
      let seen = outcome.out.split(separator: "--\n", omittingEmptySubsequences: false).dropLast()
      #expect(seen.count == expected.count && joints > 5, "\(seen.count) were seen, \(joints) had a joint")
      for (index, lines) in seen.enumerated() where index < expected.count {
        #expect(lines.split(separator: "\n").map(String.init).sorted() == expected[index], "stack \(index)")
      }
    }
  }

  /// The layers of some archives in a folder, with a joint and an upper layer.
  /// - Returns: nil where one of them cannot be planned; paths for mount(8).
  private func stack(_ archives: [[TarEntry]], in folder: String) throws -> (lowers: String, hasJoint: Bool)? {
    guard archives.allSatisfy({ (try? LayerPlanner.plan($0)) != nil }) else { return nil }
    var paths: [String] = []
    var notes: [LayerNotes] = []
    for (index, archive) in archives.enumerated() {
      var bytes: [UInt8] = []
      for entry in archive {
        bytes += try TarWriter.header(of: entry)
        guard case .file(let size) = entry.kind else { continue }
        bytes += [UInt8](repeating: 0, count: Int(size) + TarWriter.padding(after: size))
      }
      paths.append("\(folder)/\(index)")
      notes.append(try unpack(bytes, into: paths[index]).notes)
    }
    let plan = try JointWriter.plan(paths, notes)
    for name in ["joint", "up", "work"] { try FileSystem.makeDirectories("\(folder)/\(name)") }
    try JointWriter.make(plan, of: paths, in: try OwnedFD.open("\(folder)/joint", O_RDONLY | O_DIRECTORY))
    if let top = plan.top {
      let attributes = try JointWriter.attributes(.root, in: TreeFD(try OwnedFD.open(paths[top], O_PATH | O_DIRECTORY)))
      try LayerWriter(try OwnedFD.open("\(folder)/up", O_RDONLY | O_DIRECTORY)).carryOut(.attributes(.root, attributes))
    }
    let lowers = (plan.folders.isEmpty ? [] : ["joint"]) + (plan.lowest..<paths.count).reversed().map { "\($0)" }
    return (lowers.joined(separator: ":"), !plan.folders.isEmpty)
  }

  /// What is made in a directory would inherit its default access list, and has none of its own in the archive.
  @Test func aDefaultAccessListIsNotInherited() throws {
    try withTemporaryFolder { folder in
      let list: [UInt8] =
        [2, 0, 0, 0] + [1, 0, 7, 0, 255, 255, 255, 255] + [2, 0, 7, 0, 232, 3, 0, 0] + [4, 0, 5, 0, 255, 255, 255, 255]
        + [16, 0, 7, 0, 255, 255, 255, 255] + [32, 0, 5, 0, 255, 255, 255, 255]
      var directory = TarEntry("d/", .directory, mode: 0o755)
      directory.xattrs = [Xattr(name: Array("system.posix_acl_default".utf8), value: list)]
      let archive =
        try TarWriter.header(of: directory) + TarWriter.header(of: TarEntry("d/e/", .directory, mode: 0o700))
        + TarWriter.header(of: TarEntry("d/e/f", .file(size: 0), mode: 0o640))
      try unpack(archive, into: "\(folder)/x")
      let names = { (path: String) throws in
        let file = try OwnedFD.open("\(folder)/x/\(path)", O_RDONLY)
        return try Xattr.all(of: file, BytePath(path)).map { String(decoding: $0.name, as: UTF8.self) }
      }
      #expect(try names("d") == ["system.posix_acl_default"])
      #expect(try names("d/e") == [] && names("d/e/f") == [])
      #expect(try FileSystem.status("\(folder)/x/d/e/f").st_mode & 0o7777 == 0o640)
    }
  }

  @Test func aDirectoryThatIsToldTwiceIsAsTheSecondSays() throws {
    try withTemporaryFolder { folder in
      var first = TarEntry("d/", .directory, mode: 0o777)
      first.xattrs = [Xattr("user.a", "1"), Xattr("user.b", "1")]
      var second = TarEntry("d/", .directory, mode: 0o750)
      (second.uid, second.modified) = (5, 7_000_000_000)
      second.xattrs = [Xattr("user.b", "2")]
      let archive =
        try TarWriter.header(of: first) + TarWriter.header(of: TarEntry("d/f", .file(size: 0)))
        + TarWriter.header(of: second)
      try unpack(archive, into: "\(folder)/x")
      let status = try FileSystem.status("\(folder)/x/d")
      #expect(status.st_mode & 0o7777 == 0o750 && status.st_uid == 5 && status.st_mtim.tv_sec == 7)
      let found = try Xattr.all(of: try OwnedFD.open("\(folder)/x/d", O_RDONLY), BytePath("d"))
      #expect(found == [Xattr("user.b", "2")])
    }
  }

  @Test func whatTheDiskSaysIsTold() throws {
    try withTemporaryFolder { folder in
      // Something is there already: nothing is written over.
      _ = try run("mkdir x; printf mine > x/a", in: folder)
      let error = #expect(throws: UnpackError.self) {
        try unpack(TarWriter.header(of: TarEntry("a", .file(size: 0))), into: "\(folder)/x")
      }
      #expect("\(try #require(error))".contains("EEXIST"))
      #expect(try FileSystem.readLine("\(folder)/x/a") == "mine")
    }
  }
}
