internal import Glibc
internal import LinuxNS
internal import ZoneRuntime

/// `orchestrator bring`, hidden: what zonectl starts for a root that is no image yet. Standard output has the image's name, or
/// why there is none.
public enum BringProgram {
  /// - Parameter arguments: `tar:FILE` or `debootstrap:SUITE`, and where the place of zones is.
  public static func run(_ arguments: [String]) -> Int32 {
    umask(0o022)
    signal(SIGPIPE, SIG_IGN)
    guard let brand = arguments.first, let colon = brand.firstIndex(of: ":") else {
      return HiddenProgram.refuse("bring", starter: "zonectl")
    }
    let what = String(brand[brand.index(after: colon)...])
    do {
      let store = try ImageStore.make(try Directories.standard(root: arguments.count > 1 ? arguments[1] : nil))
      let notice: @Sendable (String) -> Void = { say("zonectl: \($0)\n", to: 2) }
      let importer = ImageImporter(store, notice: notice)
      let name =
        brand.hasPrefix("tar:")
        ? try importer.run(archive: what).name : try DebianRoot(suite: what).image(in: store, importer, notice)
      say(name.familiar, to: 1)
      return 0
    } catch let error as ZoneError {
      say(error.description, to: 1)
    } catch { say("cannot make an image of \(brand): \(error)", to: 1) }
    return 1
  }

  private static func say(_ text: String, to number: CInt) {
    let bytes = Array(text.utf8)
    _ = write(number, bytes, bytes.count)
  }
}

/// A Debian root made by mmdebstrap(1): an image of its suite and day.
struct DebianRoot {
  let suite: String

  /// - Throws: for what is no suite's name: it becomes a word of a command line.
  init(suite: String) throws(ImageError) {
    guard isDNSLabel(suite) else {
      throw ImageError("'\(shortened(suite))' is no suite's name (bookworm, trixie, stable …)")
    }
    self.suite = suite
  }

  /// One of today that is here is taken.
  func image(in store: ImageStore, _ importer: ImageImporter, _ notice: (String) -> Void) throws -> ImageReference {
    let day = Timestamp.text(Int64(Clock.realtimeNanoseconds() / 1_000_000_000), 0).prefix(10).filter { $0 != "-" }
    let name = "localhost/debootstrap:\(suite)-\(day)"
    if let reference = try? ImageReference(parsing: name), try store.resolve(reference) != nil { return reference }
    notice("making a root of Debian \(suite) by mmdebstrap (a minute or so)")
    let lock = try store.lock(.shared)
    defer { withExtendedLifetime(lock) {} }
    let part = try store.part()
    defer { store.abandon(part) }
    let words = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", suite, "-"] + sources()
    let null = try OwnedFD.open("/dev/null", O_RDONLY)
    let started: (pid: Int32, pidfd: CInt)
    do throws(SyscallError) {
      started = try spawn(
        ProgramStart(
          path: "/usr/bin/mmdebstrap", arguments: words, environment: Environment.all,
          fds: [null.raw, part.file.raw, 2]))
    } catch {
      guard error.errno == ENOENT else { throw error }
      throw ImageError("it wants mmdebstrap (apt install mmdebstrap)")
    }
    let status = try Pidfd(OwnedFD(raw: started.pidfd)).reap()
    guard status == .exited(0) else { throw ImageError("mmdebstrap ended with status \(status.shellCode) (see above)") }
    return try importer.run(part.path, .tar, name: name)[0].name
  }

  /// This machine's own, where they are of the suite: it may not reach Debian's.
  private func sources() -> [String] {
    for path in ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"] {
      guard let bytes = try? FileSystem.read(path) else { continue }
      let words = String(decoding: bytes, as: UTF8.self).split { $0 == " " || $0 == "\n" || $0 == "\t" }
      if words.contains(Substring(suite)) { return [path] }
    }
    return []
  }
}
