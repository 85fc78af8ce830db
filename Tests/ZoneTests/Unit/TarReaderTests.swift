import Foundation
import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// Archives as other programs make them.
@Suite struct TarReaderTests {
  /// A tree with what a tar has a form for; and names that do not fit a header.
  private static let script = """
    set -e
    mkdir -p tree/$(printf 'd%.0s' $(seq 120))/$(printf 'e%.0s' $(seq 120)) && cd tree
    printf hello > plain; chmod 4750 plain; ln plain hard; ln -s "$(printf 'far/%.0s' $(seq 60))" link; mkfifo pipe
    printf x > "$(echo d*/e*)/deep"; touch -d '2001-02-03 04:05:06.789012345 UTC' plain; mkdir -m 1777 tmp
    truncate -s 300000 sparse; for at in 0 4096 65536 131072 200000 262144; do
      printf '%06d' $at | dd of=sparse bs=1 seek=$at conv=notrunc status=none; done
    cd ..
    """

  private static let formats = [
    ["--format=gnu"], ["--format=oldgnu"], ["--format=posix"], ["--format=gnu", "-S"], ["--format=posix", "-S"],
    ["--format=posix", "-S", "--sparse-version=0.0"], ["--format=posix", "-S", "--sparse-version=0.1"],
    ["--format=posix", "--pax-option=exthdr.name=%d/x/%f", "-S"],
  ]

  private func run(_ words: [String], in folder: String) throws -> Outcome {
    try Command(["sh", "-c", "cd \(folder) && \(words.joined(separator: " "))"]).run()
  }

  @Test(.needs(.program("tar")), arguments: formats) func whatGNUTarWritesIsReadAsItWas(_ options: [String]) throws {
    try withTemporaryFolder { folder in
      #expect(try run([Self.script], in: folder).status == 0)
      let made = try run(
        ["tar", "-cf", "a.tar", "--sort=name", "--owner=5", "--group=300000"] + options + ["tree"], in: folder)
      #expect(made.status == 0, "\(made)")
      let bytes = try FileSystem.read("\(folder)/a.tar")
      let reading = ArchiveReading(bytes)
      #expect(reading.error == nil, "\(reading.error ?? "")")
      var files: [String: ArchiveReading.File] = [:]
      for file in reading.files { files[String(decoding: file.entry.path, as: UTF8.self)] = file }
      let long = "tree/" + String(repeating: "d", count: 120) + "/" + String(repeating: "e", count: 120)
      #expect(
        Set(files.keys)
          == Set([
            "tree/", "tree/\(String(repeating: "d", count: 120))/", "\(long)/", "\(long)/deep", "tree/hard",
            "tree/link",
            "tree/pipe", "tree/plain", "tree/sparse", "tree/tmp/",
          ]))
      let plain = try #require(files["tree/plain"] ?? nil), hard = try #require(files["tree/hard"])
      // The first by name has the content, and the other one is the link.
      #expect(hard.content == Array("hello".utf8) && plain.entry.kind == .hardLink(Array("tree/hard".utf8)))
      #expect(hard.entry.mode == 0o4750 && hard.entry.uid == 5 && hard.entry.gid == 300_000)
      let fraction: Int64 = options[0] == "--format=posix" ? 789_012_345 : 0
      #expect(hard.entry.modified == 981_173_106_000_000_000 + fraction)
      #expect(files["tree/link"]?.entry.kind == .link(Array(String(repeating: "far/", count: 60).utf8)))
      #expect(files["tree/pipe"]?.entry.kind == .fifo && files["tree/tmp/"]?.entry.mode == 0o1777)
      #expect(files["\(long)/deep"]?.content == Array("x".utf8))
      let sparse = try #require(files["tree/sparse"])
      #expect(sparse.content == (try FileSystem.read("\(folder)/tree/sparse")))
      #expect((sparse.parts.count > 1) == options.contains("-S"))
      // Whatever pieces the bytes come in.
      #expect(ArchiveReading(bytes, piece: 1000, room: 333) == reading)
    }
  }

  @Test(.needs(.program("python3")), arguments: ["USTAR", "GNU", "PAX"])
  func whatPythonWritesIsReadAsItWas(_ format: String) throws {
    try withTemporaryFolder { folder in
      let script = """
        import io, sys, tarfile
        with tarfile.open(sys.argv[1], 'w', format=tarfile.\(format)_FORMAT) as tar:
          for name, size in (('a', 0), ('ä' * 40, 511), ('d/' * 60 + 'b', 512), ('c', 513)):
            info = tarfile.TarInfo(name); info.size = size; info.mtime = 7; info.uid = 1234
            tar.addfile(info, io.BytesIO(b'z' * size))
        """
      let outcome = try Command(["python3", "-c", script, "\(folder)/a.tar"]).run()
      #expect(outcome.status == 0, "\(outcome)")
      let reading = ArchiveReading(try FileSystem.read("\(folder)/a.tar"))
      #expect(reading.error == nil)
      #expect(reading.files.map { $0.content.count } == [0, 511, 512, 513])
      #expect(
        reading.files.map { String(decoding: $0.entry.path, as: UTF8.self) }
          == ["a", String(repeating: "ä", count: 40), String(repeating: "d/", count: 60) + "b", "c"])
      #expect(reading.files.allSatisfy { $0.entry.uid == 1234 && $0.entry.modified == 7_000_000_000 })
    }
  }

  @Test(.needs(.root), .needs(.program("tar"))) func extendedAttributesComeAlong() throws {
    try withTemporaryFolder { folder in
      let made = try run(
        [
          "printf x > a; python3 -c \"import os; os.setxattr('a', 'user.note', b'\\\\0\\\\xff=\\\\n')\";",
          "tar --format=posix --xattrs -cf a.tar a",
        ], in: folder)
      #expect(made.status == 0, "\(made)")
      let reading = ArchiveReading(try FileSystem.read("\(folder)/a.tar"))
      #expect(reading.error == nil)
      #expect(reading.files.first?.entry.xattrs == [Xattr(name: Array("user.note".utf8), value: [0, 255, 61, 10])])
    }
  }

  // MARK: writing

  private static func sample(_ path: String, _ kind: TarEntry.Kind, _ change: (inout TarEntry) -> Void = { _ in })
    -> TarEntry
  {
    var entry = TarEntry(path, kind)
    change(&entry)
    return entry
  }

  /// What fits a header, and what needs one in front.
  private static let samples: [TarEntry] = [
    sample("plain", .file(size: 3)), sample("empty", .file(size: 0)),
    sample("folder/", .directory) { $0.mode = 0o1777 },
    sample(String(repeating: "p", count: 100), .fifo), sample(String(repeating: "p", count: 101), .fifo),
    sample(String(repeating: "d/", count: 77) + String(repeating: "n", count: 100), .file(size: 1)),
    sample(String(repeating: "d", count: 155) + "/" + String(repeating: "n", count: 99) + "/", .directory),
    sample(String(repeating: "d", count: 156) + "/n", .fifo),
    sample("link", .link(Array(String(repeating: "t", count: 101).utf8))),
    sample("hard", .hardLink(Array("ä/\u{301}".utf8))),
    sample("disk", .device(isBlock: true, major: 259, minor: 1_048_575)),
    sample("ids", .fifo) { ($0.uid, $0.gid) = (2_097_152, 4_294_967_294) },
    sample("before", .fifo) { $0.modified = -1 }, sample("then", .fifo) { $0.modified = 1_700_000_000_123_456_789 },
    sample("half", .fifo) { $0.modified = -1_500_000_000 },
    sample("late", .fifo) { $0.modified = 9_000_000_000_000_000_000 },
    sample("notes", .file(size: 2)) {
      $0.xattrs = [
        Xattr(name: [117, 46, 255], value: []), Xattr(name: Array("user.a".utf8), value: [0, 10, 61, 255]),
      ]
    },
  ]

  @Test(arguments: samples) func whatIsWrittenReadsAsItWas(_ entry: TarEntry) throws {
    var file = ArchiveReading.File(entry: entry)
    if case .file(let size) = entry.kind, size > 0 { file.parts = [(0, [UInt8](repeating: 7, count: Int(size)))] }
    try file.checkWritten()
    #expect(try TarWriter.header(of: entry) == TarWriter.header(of: entry))
  }

  @Test func whatTheFormatHasNoRoomForIsRefused() {
    for entry in [
      TarEntry("a/", .file(size: 0)), TarEntry("", .fifo), TarEntry("a", .link([])), TarEntry("a\0b", .fifo),
      TarEntry("a", .device(isBlock: true, major: 1, minor: 2_097_152)), TarEntry("a", .file(size: -1)),
      Self.sample("a", .fifo) { $0.xattrs = [Xattr(name: Array("user.a=b".utf8), value: [])] },
    ] {
      #expect(throws: TarError.self) { try TarWriter.header(of: entry) }
    }
  }

  /// Others have to read it: names, modes, ids, times, links.
  @Test(.needs(.root), .needs(.program("tar"))) func gnuTarUnpacksWhatWeWrite() throws {
    try withTemporaryFolder { folder in
      var archive: [UInt8] = []
      let kept = Self.samples.filter { entry in
        if case .hardLink = entry.kind { return false }
        // ext4 has times up to 2446.
        return entry.path != Array("late".utf8) && entry.path != [UInt8](repeating: 112, count: 101)
      }
      for entry in kept {
        archive += try TarWriter.header(of: entry)
        if case .file(let size) = entry.kind {
          archive +=
            [UInt8](repeating: 7, count: Int(size)) + [UInt8](repeating: 0, count: TarWriter.padding(after: size))
        }
      }
      try FileSystem.write(
        archive + TarWriter.end, to: try OwnedFD.open("\(folder)/a.tar", O_WRONLY | O_CREAT, mode: 0o600))
      let outcome = try run(
        ["mkdir x && tar --xattrs --xattrs-include='user.*' --numeric-owner -xpf a.tar -C x 2>&1"], in: folder)
      #expect(outcome.status == 0, "\(outcome)")
      for entry in kept {
        let path = "\(folder)/x/\(String(decoding: entry.path, as: UTF8.self))"
        let status = try FileSystem.status(path, followingLinks: false)
        #expect(status.st_uid == entry.uid && status.st_gid == entry.gid, "\(path)")
        let time = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
        // A folder's own changes as its content is made.
        if entry.kind != .directory { #expect(time == entry.modified, "\(path)") }
        if case .link = entry.kind { continue }
        #expect(status.st_mode & 0o7777 == entry.mode, "\(path)")
      }
    }
  }

  // MARK: bounds

  /// A header with a name; the rest is empty.
  private static func header(_ name: String, size: Int = 0) -> [UInt8] {
    var block = [UInt8](repeating: 0, count: 512)
    func put(_ at: Int, _ text: String) { block.replaceSubrange(at..<(at + text.utf8.count), with: text.utf8) }
    put(0, name)
    put(124, String(size, radix: 8))
    put(148, "        ")
    put(148, String(block.reduce(0) { $0 + Int($1) }, radix: 8))
    block[154] = 0
    return block
  }

  @Test func anArchiveEndsWhereItCostsTooMuch() throws {
    let many = (0..<20).flatMap { Self.header("f\($0)") }
    var limits = TarLimits()
    limits.entries = 10
    var reader = TarReader(PiecedSource(bytes: many[...], piece: 512), limits: limits)
    for _ in 0..<10 { #expect(try reader.next() != nil) }
    #expect(throws: TarError.self) { try reader.next() }
    limits = TarLimits()
    limits.contentBytes = 1000
    let large = Self.header("a", size: 600) + [UInt8](repeating: 1, count: 1024) + Self.header("b", size: 401)
    var second = TarReader(PiecedSource(bytes: large[...], piece: 512), limits: limits)
    #expect(try second.next() != nil)
    let error = #expect(throws: TarError.self) { try second.next() }
    #expect("\(try #require(error))" == "entry b: its files have more than 1000 bytes")
  }

  struct BrokenSource: ByteSource {
    var left: Int
    mutating func read(into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int {
      guard left > 0 else { throw ByteSourceError("read: EIO (input/output error)") }
      left -= 1
      room[0] = 0
      return 1
    }
  }

  @Test func whatTheSourceSaysIsTold() throws {
    var reader = TarReader(BrokenSource(left: 100))
    let error = #expect(throws: TarError.self) { try reader.next() }
    #expect("\(try #require(error))" == "byte 100: read: EIO (input/output error)")
  }

  /// The writer's bounds are the reader's.
  @Test func whatTheReaderRefusesIsNotWritten() throws {
    let attributes = { (count: Int, bytes: Int) in
      (100_000..<100_000 + count).map { Xattr("user.\($0)", String(repeating: "x", count: bytes)) }
    }
    var entry = TarEntry("f", .file(size: 0))
    for (count, bytes) in [(16, 65_000), (1024, 10)] {
      entry.xattrs = attributes(count, bytes)
      var reader = TarReader(PiecedSource(bytes: try (TarWriter.header(of: entry) + TarWriter.end)[...], piece: 5000))
      #expect(try reader.next() == entry)
      entry.xattrs = attributes(count + 1, bytes)
      #expect(throws: TarError.self) { try TarWriter.header(of: entry) }
    }
  }
}
