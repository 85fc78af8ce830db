import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

@testable import LayerUnpacking

/// Layers through the real process, as root.
@Suite(.enabled(if: geteuid() == 0, "files of others are root's to make")) struct UnpackTests {
  @Test(arguments: [1, 2, 3]) func aRandomTreeIsAsGNUTarUnpacksIt(_ seed: Int) throws {
    let stand = try UnpackStand()
    try stand.makeTree(seed)
    try stand.run(
      """
      tar --format=posix -S --xattrs --xattrs-include='*' -cf a.tar -C tree . 2>words; gzip -k a.tar; zstd -q a.tar
      mkdir other; tar --xattrs --xattrs-include='*' --numeric-owner -xpSf a.tar -C other 2>words
      """)
    let expected = try stand.list("other")
    let diffID = try ContentDigest(parsing: try stand.sha256("a.tar"))
    for (file, compression) in [("a.tar", MediaType.Compression.none), ("a.tar.gz", .gzip), ("a.tar.zst", .zstd)] {
      let report = try stand.unpack(file, compression, diffID: diffID)
      #expect(try stand.list("layer") == expected, "\(file)")
      #expect(report.diffID == diffID && report.names == expected.count - 1 && report.omitted == 0)
      #expect(try stand.run("stat -c %s a.tar") == "\(report.bytes)\n")
      #expect(report.notes.tellsTop && report.notes.parents.isEmpty && report.notes.deletingFolders.isEmpty)
      try stand.empty()
      #expect(try FileSystem.list(stand.layer).isEmpty)
      #expect(try stand.run("stat -c '%a %u %g' layer") == "700 0 0\n")
    }
  }

  /// A layer's notes come back as they were, with names that are no text.
  @Test func whatIsLeftToTheStackIsTold() throws {
    let stand = try UnpackStand()
    try stand.run(
      """
      mkdir -p t/a t/b; touch t/a/.wh.gone t/b/.wh..wh..opq t/a/$(printf 'x\\377\\ny'); mkdir t/$(printf 'p\\377"')
      touch t/$(printf 'p\\377"')/f; mknod t/null c 1 3
      cd t; tar -cf ../a.tar --no-recursion a/.wh.gone b b/.wh..wh..opq p*/f null
      """)
    let report = try stand.unpack("a.tar")
    let odd = BytePath([112, 0o377, UInt8(ascii: "\"")])
    #expect(report.notes.parents == [BytePath("a"), odd])
    #expect(report.notes.deletingFolders == [BytePath("a")] && report.notes.emptied.isEmpty && !report.notes.tellsTop)
    #expect(report.omissions == [BytePath("null")] && report.omitted == 1)
    #expect(try stand.run("stat -c '%F %t:%T' layer/a/gone") == "character special file 0:0\n")
    try stand.empty()
  }

  // MARK: compression

  @Test func everyPartOfAStreamIsRead() throws {
    let stand = try UnpackStand()
    try stand.run(
      """
      mkdir t; head -c 3000000 /dev/urandom >t/f; tar -cf a.tar t
      split -n 5 a.tar part.; for part in part.*; do gzip -kn $part; zstd -q $part; done
      printf '' | gzip -n >empty.gz; cat part.aa.gz empty.gz part.a[b-e].gz empty.gz >many.gz
      printf '\\120\\052\\115\\030\\003\\000\\000\\000abc' >skip; cat skip part.aa.zst part.ab.zst skip part.a[c-e].zst skip >many.zst
      """)
    let diffID = try ContentDigest(parsing: try stand.sha256("a.tar"))
    for (file, compression) in [("many.gz", MediaType.Compression.gzip), ("many.zst", .zstd)] {
      _ = try stand.unpack(file, compression, diffID: diffID)
      #expect(try stand.run("cmp t/f layer/t/f") == "")
      try stand.empty()
      _ = try stand.unpack(file, diffID: diffID)
      try stand.empty()
    }
    let sha512 = try ContentDigest(parsing: "sha512:" + (try stand.run("sha512sum a.tar").prefix(128)))
    #expect(try stand.unpack("many.gz", diffID: sha512).diffID == sha512)
  }

  @Test func whatIsCutOffOrGoesOnIsRefused() throws {
    let stand = try UnpackStand()
    try stand.run(
      """
      mkdir t; head -c 300000 /dev/urandom >t/f; tar -cf a.tar t; gzip -k a.tar; zstd -q a.tar
      for kind in gz zst; do
        size=$(stat -c %s a.tar.$kind)
        for cut in 1 3 11 100000; do head -c $((size - cut)) a.tar.$kind >cut$cut.$kind; done
        head -c 2 a.tar.$kind >two.$kind; head -c 7 a.tar.$kind >seven.$kind
        (cat a.tar.$kind; printf 'more of it') >more.$kind; (cat a.tar.$kind; head -c 600 /dev/zero) >zeros.$kind
        (cat a.tar.$kind; head -c 100 a.tar.$kind) >half.$kind
        (head -c 100000 a.tar.$kind; printf XXXX; tail -c +100005 a.tar.$kind) >wrong.$kind
      done
      (cat a.tar.gz a.tar.zst) >both.gz; (cat a.tar.zst a.tar.gz) >both.zst
      head -c 100000 a.tar >cut.tar; (cat a.tar; printf x) >more.tar; gzip -k more.tar
      printf x | zstd -q --ultra --long=31 -c >wide.zst; printf '' >nothing
      """)
    for kind in ["gz", "zst"] {
      let name = kind == "gz" ? "gzip" : "zstd"
      for file in ["cut1", "cut3", "cut11", "cut100000", "seven"] {
        let words = try stand.refusal("\(file).\(kind)")
        #expect(words.contains("ends in the middle of its \(name) stream"), "\(file).\(kind): \(words)")
      }
      // Half of another one, which decodes to something.
      #expect(try stand.refusal("half.\(kind)").contains("goes on after its end"))
      for file in ["more", "zeros", "both"] {
        let words = try stand.refusal("\(file).\(kind)")
        #expect(words.contains("goes on after its \(name) stream"), "\(file).\(kind): \(words)")
      }
      let words = try stand.refusal("wrong.\(kind)")
      #expect(words.contains("no \(name) stream"), "\(words)")
      #expect(try stand.refusal("two.\(kind)") != "")
    }
    #expect(try stand.refusal("cut.tar").contains("ends in the middle of its content"))
    #expect(try stand.refusal("more.tar").contains("goes on after its end"))
    #expect(try stand.refusal("more.tar.gz").contains("goes on after its end"))
    #expect(try stand.refusal("wide.zst").contains("window of more than 128 MB"))
    // Nothing at all is an archive of nothing, where it is said to be no more.
    #expect(try stand.unpack("nothing", MediaType.Compression.none).names == 0)
    #expect(try stand.refusal("nothing", .gzip).contains("its first bytes say no compression"))
    #expect(try stand.refusal("a.tar.gz", .zstd).contains("says zstd, its first bytes say gzip"))
    #expect(
      try stand.refusal("a.tar.gz", MediaType.Compression.none).contains("no compression, its first bytes say gzip"))
  }

  @Test func bombsEndAtTheirBounds() throws {
    let stand = try UnpackStand()
    try stand.run(
      """
      truncate -s 200M f; tar -cf - f | gzip -1 >files.gz; tar -cf - f | zstd -q >files.zst; rm f
      head -c 200M /dev/zero | gzip -1 >zeros.gz
      mkdir t; cd t; seq 3000 | xargs touch; cd ..; tar -cf names.tar t
      python3 -c "
      import tarfile
      t = tarfile.open('deep.tar', 'w', format=tarfile.PAX_FORMAT); t.addfile(tarfile.TarInfo('d/' * 1500 + 'f'))"
      """)
    let limits = UnpackLimits(bytes: 100 << 20)
    for file in ["files.gz", "files.zst", "zeros.gz"] {
      let words = try stand.refusal(file, limits: limits)
      #expect(words.contains("more than 104857600 bytes when it is decoded"), "\(file): \(words)")
    }
    #expect(try stand.refusal("names.tar", limits: UnpackLimits(names: 1000)).contains("more than 1000 names"))
    #expect(try stand.refusal("deep.tar").contains("lies more than 1024 folders deep"))
    // One that never ends, and says nothing.
    let pipe = try OwnedFD.pipe()
    let writer = Thread { [end = try pipe.second.duplicate().take()] in
      let zeros = [UInt8](repeating: 0, count: 1 << 16)
      while write(end, zeros, zeros.count) > 0 {}
      close(end)
    }
    signal(SIGPIPE, SIG_IGN)
    writer.start()
    let reading = pipe.takeFirst()
    rmdir(stand.layer)
    try FileSystem.makeDirectories(stand.layer)
    let failure = #expect(throws: UnpackFailure.self) {
      try LayerUnpacker(program: Command.orchestrator).unpack(
        reading, into: OwnedFD.open(stand.layer, O_PATH | O_DIRECTORY), limits: limits)
    }
    #expect(try #require(failure).description.contains("more than 104857600 bytes"))
    _ = consume reading
  }

  @Test func anotherContentThanTheImagesIsRefused() throws {
    let stand = try UnpackStand()
    try stand.run("mkdir t; echo a >t/f; tar -cf a.tar t; echo b >t/f; tar -cf b.tar t")
    let (found, wanted) = (try stand.sha256("a.tar"), try stand.sha256("b.tar"))
    let failure = #expect(throws: UnpackFailure.self) {
      try stand.unpack("a.tar", diffID: ContentDigest(parsing: wanted))
    }
    let words = "it is \(found) when it is decoded, and the image says \(wanted)"
    #expect(try #require(failure).description == words)
    #expect(try FileSystem.list(stand.layer).isEmpty)
  }

  @Test func aDirectoryThatIsNotEmptyIsLeftAsItIs() throws {
    let stand = try UnpackStand()
    try stand.run("tar -cf a.tar -T /dev/null")
    // Told before anything is written; what the caller had there goes with what failed.
    try stand.run("mkdir layer; echo mine >layer/f")
    let failure = #expect(throws: UnpackFailure.self) {
      try LayerUnpacker(program: Command.orchestrator).unpack(
        OwnedFD.open("\(stand.folder)/a.tar", O_RDONLY), into: OwnedFD.open(stand.layer, O_RDONLY))
    }
    #expect(try #require(failure).description.contains("ENOTEMPTY"))
    #expect(try stand.run("cat layer/f") == "mine\n")
  }

  @Test(arguments: ["size=1m", "size=4m,nr_inodes=12"]) func aFullDiskIsToldAndCleaned(_ options: String) throws {
    let stand = try UnpackStand()
    try stand.run(
      """
      mkdir t; for i in $(seq 20); do head -c 100000 /dev/urandom >t/$i; done; tar -cf a.tar t
      mkdir full; mount -t tmpfs -o \(options) full full; mkdir full/layer
      """)
    defer { _ = try? stand.run("umount full") }
    let failure = #expect(throws: UnpackFailure.self) {
      try LayerUnpacker(program: Command.orchestrator).unpack(
        OwnedFD.open("\(stand.folder)/a.tar", O_RDONLY),
        into: OwnedFD.open("\(stand.folder)/full/layer", O_PATH | O_DIRECTORY))
    }
    let words = try #require(failure).description
    #expect(words.contains("ENOSPC") && words.contains("t/") && failure?.leftover == nil, "\(words)")
    #expect(try FileSystem.list("\(stand.folder)/full/layer").isEmpty)
  }

  @Test func whatIsWrittenOnTheCommandLineIsRead() throws {
    var order = UnpackOrder()
    #expect(try UnpackOrder(order.arguments) == order)
    order.compression = .zstd
    order.diffID = try ContentDigest(parsing: "sha256:" + String(repeating: "a", count: 64))
    order.limits = UnpackLimits(bytes: 5, names: 6)
    #expect(try UnpackOrder(order.arguments) == order)
    #expect(try UnpackOrder(["--remove"]) == UnpackOrder(.remove))
    for words in [["--bytes"], ["--bytes", "-1"], ["--remove", "--names", "1"], ["x"], ["--compression", "xz"]] {
      #expect(throws: SyntaxError.self, "\(words)") { try UnpackOrder(words) }
    }
    let byHand = try Command.run(Command.orchestrator, ["unpack"])
    #expect(byHand.status == 2 && byHand.errors.contains("descriptor 3 is not open"), "\(byHand)")
    let wrong = try Command.run(Command.orchestrator, ["unpack", "--all"])
    #expect(wrong.status == 2 && wrong.errors == "orchestrator: unpack '--all': there is no such option\n", "\(wrong)")
    #expect(!(try Command.run(Command.orchestrator, ["--help"]).output.contains("unpack")))
  }
}
