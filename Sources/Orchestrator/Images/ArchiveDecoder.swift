internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// Decodes an archive of images that is compressed as a whole, in a process that can do nothing else.
struct ArchiveDecoder {
  /// The orchestrator.
  var program = "/proc/self/exe"

  /// All of it, into a part of the store's.
  func decode(_ file: ImportFile, into part: BlobPart) throws(ImageError) -> ImportFile {
    do throws(SyscallError) {
      let said = try OwnedFD.pipe()
      let process = try start(file, to: part.file, said.second)
      let words = String(decoding: try FileSystem.read(said.takeFirst(), limit: 4096, name: "decoder"), as: UTF8.self)
      guard try process.reap() == .exited(0) else {
        throw SyscallError(
          call: "decode", errno: EINVAL, step: "cannot decode it" + (words.isEmpty ? "" : ": \(words)"))
      }
      return ImportFile(try part.file.duplicate(), size: try FileFacts.of(open: part.file).size)
    } catch { throw ImageError(error.call == "decode" ? error.step ?? "\(error)" : "\(error)") }
  }

  /// Its beginning, for as long as `body` reads: the process ends with the reader of its pipe.
  /// - Throws: also for what cannot be decoded so far.
  func peek<Result>(_ file: ImportFile, _ body: (consuming OwnedFD) throws(ImageError) -> Result) throws(ImageError)
    -> Result
  {
    let pipe = try called { () throws(SyscallError) in try OwnedFD.pipe() }
    let said = try called { () throws(SyscallError) in try OwnedFD.pipe() }
    let process = try called { () throws(SyscallError) in try start(file, to: pipe.second, said.second) }
    var result: Result?
    var failure: ImageError?
    do throws(ImageError) { result = try body(pipe.takeFirst()) } catch { failure = error }
    let words: String
    do throws(SyscallError) { words = try Self.words(said) } catch { throw ImageError("\(error)") }
    _ = try? process.reap()  // how it ended was said
    // That nobody reads any more is what it is to find.
    guard words.isEmpty || words.contains("EPIPE") else { throw ImageError("cannot decode it: \(words)") }
    if let result { return result }
    throw failure ?? ImageError("cannot decode it")
  }

  /// Until it has ended.
  private static func words(_ said: consuming DescriptorPair) throws(SyscallError) -> String {
    String(decoding: try FileSystem.read(said.takeFirst(), limit: 4096, name: "decoder"), as: UTF8.self)
  }

  private func start(_ file: ImportFile, to output: borrowing OwnedFD, _ words: borrowing OwnedFD) throws(SyscallError)
    -> Pidfd
  {
    let input = try file.rewound()
    let started = try spawn(
      ProgramStart(path: program, arguments: ["orchestrator", "decode"], fds: [input.raw, output.raw, words.raw]))
    return Pidfd(OwnedFD(raw: started.pidfd))
  }
}

/// What an archive is, by the names in it.
enum ArchiveForm {
  static func of(_ file: ImportFile, _ compression: MediaType.Compression, _ decoder: ArchiveDecoder) throws(ImageError)
    -> ImageImporter.Form
  {
    if compression == .none {
      do throws(TarError) { return try of(SpanSource(file)) } catch { throw ImageError("\(error)") }
    }
    return try decoder.peek(file) { (pipe) throws(ImageError) in
      // What cannot be read is told by the unpacker, who says why.
      (try? of(DescriptorSource(pipe))) ?? .tar
    }
  }

  /// Reads until it is known.
  private static func of<Source: ByteSource & ~Copyable>(_ source: consuming Source) throws(TarError)
    -> ImageImporter.Form
  {
    var reader = TarReader(source)
    var found = ImageImporter.Form.tar
    while let entry = try reader.next() {
      let path = (try? ImportPath.plain(String(decoding: entry.path, as: UTF8.self), "")) ?? ".."
      if path == "oci-layout" {
        found = .oci
      } else if path == "manifest.json", found == .tar {
        found = .docker
      } else if !isOfImages(path) {
        return .tar
      }
    }
    return found
  }

  /// Whether an archive of images may have the name: `blobs/…`, `HEX/layer.tar`, `HEX.json`. A root's has others.
  private static func isOfImages(_ path: String) -> Bool {
    guard let first = path.split(separator: "/").first else { return true }  // the top
    if ["blobs", "index.json", "manifest.json", "repositories"].contains(first) { return true }
    let isFile = !path.utf8.contains(UInt8(ascii: "/"))
    if isFile, first.hasSuffix(".json") || first.hasSuffix(".tar") || first.hasSuffix(".tar.gz") { return true }
    return first.utf8.count == 64 && first.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
  }
}
