import Foundation
import LinuxNS
import Testing

@testable import ZoneRuntime

/// Archives that somebody made to do harm (Tests/fuzz/archives.py), and what becomes of each.
@Suite struct ImageArchiveTests {
  private static let folder = Zonectl.packageRoot + "/Tests/corpora/archive"

  /// What the refusal says; an archive whose name begins with `ok-` is taken.
  private static let refusals: [String: String] = [
    "reader-no-archive": "checksum", "reader-cut-header": "middle of a header",
    "reader-cut-content": "middle of its content",
    "reader-cut-extension": "middle of a header", "reader-wrong-checksum": "checksum",
    "reader-after-the-end": "after its end",
    "reader-one-zero-block": "after its end", "reader-extension-of-nothing": "belongs to an entry",
    "reader-link-with-content": "no file has 512", "reader-hard-link-with-content": "no file has 512",
    "reader-directory-with-content": "no file has 512", "reader-pax-size-of-a-link": "no file has 512",
    "reader-unknown-type": "type M", "reader-type-of-another-system": "type \"\\377\"",
    "reader-no-name": "without a name",
    "reader-hard-link-to-nothing": "hard link to nothing", "reader-negative-size": "size of -1",
    "reader-huge-size": "more than", "reader-size-past-63-bits": "63 bits", "reader-size-no-octal": "no octal",
    "reader-uid-of-nobody": "uid of 4294967295", "reader-time-out-of-range": "out of range",
    "reader-two-extensions": "two extended headers", "reader-two-long-names": "two long names",
    "reader-two-kinds-of-name": "two names", "reader-nul-in-long-name": "NUL", "reader-nul-in-pax-name": "NUL",
    "reader-global-path": "their path", "reader-global-size": "their size",
    "reader-extension-too-long": "at most 1048576",
    "reader-long-name-too-long": "at most 1048576", "reader-record-too-long": "do not fit",
    "reader-record-too-short": "do not fit", "reader-record-of-zero": "do not fit",
    "reader-record-without-end": "do not fit",
    "reader-record-without-key": "do not fit", "reader-record-huge-length": "do not fit",
    "reader-pax-size-no-number": "size that is no number", "reader-xattr-without-name": "name of 0 bytes",
    "reader-device-past-32-bits": "a device", "reader-sparse-overlap": "overlap", "reader-sparse-backwards": "overlap",
    "reader-sparse-outside": "outside", "reader-sparse-overflow": "outside",
    "reader-sparse-less-than-stored": "a map of 1", "reader-sparse-map-without-end": "middle of a sparse map",
    "reader-sparse-map-of-no-numbers": "no octal",
    "reader-sparse-map-in-content-endless": "does not end", "reader-sparse-too-many": "parts",
    "reader-sparse-two-maps": "two sparse maps", "reader-sparse-two-formats": "two formats",
    "reader-sparse-unknown": "not known", "reader-sparse-directory": "no file is sparse",
    "plan-up": "'..'", "plan-up-in-the-middle": "'..'", "plan-up-that-stays-inside": "'..'",
    "plan-through-a-link": "the link a ", "plan-through-a-link-that-was-a-directory": "the link a ",
    "plan-through-a-link-to-itself": "the link a ", "plan-below-a-file": "no directory",
    "plan-hard-link-up": "'..'", "plan-hard-link-out": "not in this layer",
    "plan-hard-link-through-a-link": "not in this layer", "plan-hard-link-to-itself": "to itself",
    "plan-hard-link-to-a-directory": "the directory a", "plan-hard-link-to-what-went": "the directory a",
    "plan-hard-link-to-a-device": "not in this layer", "plan-whiteout-device": "0:0",
    "plan-whiteout-of-nothing": "deletes nothing", "plan-whiteout-of-dot": "deletes nothing",
    "plan-whiteout-of-up": "deletes nothing", "plan-whiteout-directory": "deletes another",
    "plan-below-a-whiteout": "deletes nothing", "plan-whiteout-through-a-link": "the link a ",
    "plan-opaque-link": "the link a ", "plan-top-is-a-link": "the top", "plan-top-is-a-file": "the top",
    "plan-overlay-redirect": "trusted.overlay.redirect", "plan-overlay-metacopy": "user.overlay.metacopy",
    "plan-unknown-attribute": "system.nfs4_acl", "plan-attribute-of-a-link": "no file or directory",
    "plan-id-of-no-zone": "user 65536", "plan-group-of-no-zone": "group 4294967294", "plan-long-part": "255 bytes",
    "plan-long-name": "4400 bytes", "plan-deep": "names in one layer",
  ]

  private static let names = ((try? FileSystem.list(folder)) ?? []).filter { name in
    ["ok-", "reader-", "plan-"].contains { name.hasPrefix($0) }
  }

  @Test(arguments: names) func eachIsTakenOrRefusedByName(_ name: String) throws {
    let bytes = try FileSystem.read("\(Self.folder)/\(name)")
    let reading = ArchiveReading(bytes)
    // A thousand folders are nothing evil by themselves: the limit is.
    var limits = LayerLimits()
    limits.names = 1000
    if name.hasPrefix("reader-") {
      let words = try #require(Self.refusals[name])
      #expect(reading.error?.contains(words) == true, "\(reading.error ?? "taken")")
      return
    }
    #expect(reading.error == nil)
    do throws(LayerError) {
      _ = try LayerPlanner.plan(reading.files.map { $0.entry }, limits: limits)
      #expect(name.hasPrefix("ok-"), "taken")
    } catch {
      #expect(name.hasPrefix("plan-"), "\(error)")
      #expect("\(error)".contains(Self.refusals[name] ?? "?"), "\(error)")
      #expect("\(error)".utf8.count < 6000 && !"\(error)".contains("\n"))
    }
  }

  @Test func everyRefusalHasItsArchive() {
    #expect(Set(Self.refusals.keys) == Set(Self.names.filter { !$0.hasPrefix("ok-") }))
  }

  @Test(.needs(.program("python3"))) func theArchivesAreWhatTheirScriptMakes() throws {
    try withTemporaryFolder { made in
      let outcome = try Command(["python3", Zonectl.packageRoot + "/Tests/fuzz/archives.py", made]).run()
      #expect(outcome.status == 0, "\(outcome)")
      #expect(try FileSystem.list(made) == Self.names)
      for name in Self.names {
        #expect(try FileSystem.read("\(made)/\(name)") == FileSystem.read("\(Self.folder)/\(name)"), "\(name)")
      }
    }
  }

  // MARK: what the odd ones mean

  private func read(_ name: String) throws -> [ArchiveReading.File] {
    let reading = ArchiveReading(try FileSystem.read("\(Self.folder)/\(name)"))
    #expect(reading.error == nil)
    return reading.files
  }

  private func plan(_ name: String) throws -> [LayerOp] { try LayerPlanner.plan(read(name).map { $0.entry }) }

  @Test func sparseFilesOfEachFormat() throws {
    for (name, content) in [
      ("ok-sparse-old-goes-on", "a.b.c.d.e"), ("ok-sparse-0.1", ".x......y"), ("ok-sparse-1.0", "........x"),
      ("ok-sparse-name-cut", "........x"),
    ] {
      let file = try #require(try read(name).first)
      let expected = content.utf8.map { $0 == 46 ? 0 : $0 }
      #expect(Array(file.content.prefix(9)) == expected, "\(name)")
    }
    #expect(try read("ok-sparse-1.0").first?.entry.path == Array("real".utf8))
    #expect(try read("ok-sparse-old-goes-on").first?.entry.kind == .file(size: 99))
    #expect(try read("ok-sparse-hole-alone").first?.entry.kind == .file(size: 1 << 30))
    #expect(try read("ok-time-before-1970").first?.entry.modified == -1_000_000_000)
    #expect(try read("ok-binary-size").first?.content == Array("abc".utf8))
  }

  @Test func namesLieBelowTheTop() throws {
    #expect(try plan("ok-absolute-is-below-the-top").map { $0.path } == ["etc", "etc/passwd"].map { BytePath($0) })
    let paths = try plan("ok-slashes-and-dots").map { $0.path.words }
    #expect(paths == [".", "a", "a/b", ".", "a"])
  }

  @Test func deletedAndMadeAnewIsOpaque() throws {
    let ops = try plan("ok-whiteouts-in-any-order")
    #expect(ops.contains(.opaque(BytePath("a/b"))) && ops.contains(.opaque(BytePath("c"))))
    #expect(!ops.contains { if case .whiteout = $0 { true } else { false } })
    #expect(try plan("ok-opaque-after").contains(.opaque(BytePath("a"))))
    let changed = try plan("ok-directory-becomes-file-becomes-directory")
    #expect(changed.contains(.remove(BytePath("a"))) && changed.contains(.opaque(BytePath("a"))))
    #expect(try plan("ok-aufs-whiteout-as-hard-link") == [.whiteout(BytePath("a"))])
  }

  @Test func whatIsLeftOutIsTold() throws {
    #expect(
      try plan("ok-devices-are-left-out") == [
        .parent(BytePath("dev")), .skipped(BytePath("dev/null"), .device), .skipped(BytePath("dev/sda"), .device),
      ])
    let label = try plan("ok-other-machines-label")
    #expect(label.contains(.skipped(BytePath("a"), .attribute(Array("security.selinux".utf8)))))
    guard case .file(_, _, let attributes)? = label.last else {
      Issue.record("no file")
      return
    }
    #expect(attributes.xattrs == [Xattr(name: Array("user.a".utf8), value: [0, 1])])
    #expect(try plan("ok-aufs").allSatisfy { if case .skipped(_, .bookkeeping) = $0 { true } else { false } })
  }
}
