import Foundation
import Glibc
import LinuxNS
import Testing

@testable import LayerUnpacking

/// The unpacker's walls, as the kernel tells of one that waits for its blob; and that it never stays behind.
@Suite(.serialized, .enabled(if: geteuid() == 0, "the walls are looked at as root")) struct UnpackWallTests {
  /// A call that waits for a pipe, in a thread of its own.
  private final class Waiting: @unchecked Sendable {  // the result is written before `done` is signalled
    let stand: UnpackStand
    let blob: CInt
    let patience: UnpackPatience
    private var failure: UnpackFailure?
    private let done = DispatchSemaphore(value: 0)

    init() throws {
      stand = try UnpackStand()
      patience = try UnpackPatience()
      let pipe = try OwnedFD.pipe()
      blob = try pipe.second.duplicate().take()
      let end = pipe.takeFirst().take()
      try FileSystem.makeDirectories(stand.layer)
      Thread.detachNewThread { [self] in
        let reading = OwnedFD(raw: end)
        do throws(UnpackFailure) {
          let directory: OwnedFD
          do throws(SyscallError) { directory = try OwnedFD.open(stand.layer, O_PATH | O_DIRECTORY) } catch {
            throw UnpackFailure(.call(error))
          }
          _ = try LayerUnpacker(program: Command.orchestrator).unpack(reading, into: directory, patience: patience)
        } catch { failure = error }
        done.signal()
      }
    }

    deinit { close(blob) }

    /// The blob's first file, so that there is something half-made.
    func begin() throws {
      try stand.run("echo content >f; chown 1000:1000 f; tar -cf a.tar f")
      let bytes = try FileSystem.read("\(stand.folder)/a.tar").prefix(1024)
      #expect(bytes.withUnsafeBytes { write(blob, $0.baseAddress, $0.count) } == 1024)
      #expect(eventually(20) { access("\(stand.layer)/f", F_OK) == 0 })
    }

    func end() throws -> UnpackFailure? {
      try #require(done.wait(timeout: .now() + 30 * patienceFactor) == .success)
      return failure
    }

    private var patienceFactor: Double { ZonesPatience.factor }
  }

  private enum ZonesPatience {
    static let factor = ProcessInfo.processInfo.environment["ZONES_PATIENCE"].flatMap(Double.init) ?? 1
  }

  /// Processes that execute the orchestrator with `unpack`, parents first.
  private func unpackers(of parent: Int32) throws -> [Int32] {
    var found: [Int32] = []
    for pid in try FileSystem.list("/proc").compactMap(Int32.init).sorted() {
      guard let status = try? status(pid), let above = status["PPid"].flatMap({ Int32($0) }) else { continue }
      let line = (try? FileSystem.read("/proc/\(pid)/cmdline")) ?? []
      guard String(decoding: line, as: UTF8.self).hasPrefix("orchestrator\0unpack\0") else { continue }
      if above == parent || found.contains(above) { found.append(pid) }
    }
    return found
  }

  private func status(_ pid: Int32) throws -> [String: String] {
    let text = String(decoding: try FileSystem.read("/proc/\(pid)/status"), as: UTF8.self)
    var fields: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      fields[String(parts[0])] = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
    }
    return fields
  }

  /// The guardian and the unpacker, once the second one waits behind its walls.
  private func behindWalls() throws -> (guardian: Int32, unpacker: Int32) {
    var found: [Int32] = []
    let isThere = try eventually(20) {
      found = try unpackers(of: getpid())
      guard found.count == 2 else { return false }
      return try status(found[1])["Seccomp"] == "2"
    }
    try #require(isThere, "\(found)")
    return (found[0], found[1])
  }

  private func areGone(_ pids: [Int32]) -> Bool {
    eventually(20) { pids.allSatisfy { access("/proc/\($0)", F_OK) != 0 } }
  }

  @Test func theWallsAreThere() throws {
    let waiting = try Waiting()
    let (guardian, unpacker) = try behindWalls()
    let status = try status(unpacker)
    #expect(status["Threads"] == "1" && status["Seccomp"] == "2" && status["NoNewPrivs"] == "1")
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID and SETFCAP.
    for set in ["CapPrm", "CapEff", "CapBnd"] { #expect(status[set] == "000000008000001b", "\(set)") }
    for set in ["CapInh", "CapAmb"] { #expect(status[set] == "0000000000000000", "\(set)") }
    #expect(status["Groups"] == "" && status["NSpid"]?.hasSuffix("\t1") == true, "\(status)")
    for kind in ["user", "mnt", "pid", "ipc", "net"] {
      let link = { (pid: Int32) throws in try FileSystem.readLink("/proc/\(pid)/ns/\(kind)") }
      #expect(try link(unpacker) != link(getpid()), "\(kind)")
      #expect(try link(guardian) == link(getpid()), "\(kind)")
    }
    let text = { (name: String) throws in
      String(decoding: try FileSystem.read("/proc/\(unpacker)/\(name)"), as: UTF8.self)
    }
    for map in ["uid_map", "gid_map"] {
      #expect(try text(map).split(whereSeparator: \.isWhitespace) == ["0", "0", "65536"])
    }
    // Root, layer and proc; each without devices, setuid and programs, and but for the layer read-only.
    let mounts = try text("mountinfo").split(separator: "\n").map { $0.split(separator: " ") }
    #expect(mounts.map { String($0[4]) }.sorted() == ["/", "/layer", "/proc"], "\(mounts)")
    for mount in mounts {
      let options = Set(mount[5].split(separator: ","))
      #expect(options.isSuperset(of: ["nosuid", "nodev", "noexec"]), "\(mount)")
      #expect(options.contains(mount[4] == "/layer" ? "nosymfollow" : "ro"), "\(mount)")
    }
    #expect(try FileSystem.readLink("/proc/\(unpacker)/root") == "/")
    #expect(try FileSystem.list("/proc/\(unpacker)/root").sorted() == ["layer", "proc"])
    #expect(try text("net/dev").split(separator: "\n").count == 3, "lo alone")
    let files = try FileSystem.list("/proc/\(unpacker)/fd").map {
      try FileSystem.readLink("/proc/\(unpacker)/fd/\($0)")
    }
    let kinds = files.map { $0.split(separator: ":").first.map(String.init) ?? $0 }.sorted()
    #expect(kinds == ["/dev/null", "/dev/null", "/dev/null", "/layer", "pipe", "pipe"], "\(files)")
    for (limit, value) in [("Max core file size", "0"), ("Max open files", "64"), ("Max address space", "8589934592")] {
      let line = try text("limits").split(separator: "\n").first { $0.hasPrefix(limit) }
      let words = line?.dropFirst(limit.count).split(separator: " ")
      #expect(words?[0] == value[...] && words?[1] == value[...], "\(limit): \(line ?? "")")
    }
    waiting.patience.cancel()
    #expect(try waiting.end()?.kind == .cancelled)
    #expect(areGone([guardian, unpacker]))
  }

  @Test func whoIsCancelledLeavesNothing() throws {
    let waiting = try Waiting()
    let (guardian, unpacker) = try behindWalls()
    try waiting.begin()
    waiting.patience.cancel()
    let failure = try waiting.end()
    #expect(failure?.kind == .cancelled && failure?.leftover == nil)
    #expect(try FileSystem.list(waiting.stand.layer).isEmpty)
    #expect(areGone([guardian, unpacker]))
    // Cancelled before it begins: nothing is begun.
    let again = #expect(throws: UnpackFailure.self) {
      try LayerUnpacker(program: "/nowhere").unpack(
        OwnedFD.open("/dev/null", O_RDONLY), into: OwnedFD.open(waiting.stand.layer, O_PATH | O_DIRECTORY),
        patience: waiting.patience)
    }
    #expect(again?.kind == .cancelled)
  }

  /// - Parameter second: the one who reads the archive, or the one who waits for it.
  @Test(arguments: [true, false]) func aKilledOneIsTold(_ second: Bool) throws {
    let waiting = try Waiting()
    let (guardian, unpacker) = try behindWalls()
    try waiting.begin()
    kill(second ? unpacker : guardian, SIGKILL)
    let failure = try waiting.end()
    #expect("\(try #require(failure))".contains("ended by signal 9"))
    #expect(try FileSystem.list(waiting.stand.layer).isEmpty)
    #expect(areGone([guardian, unpacker]))
  }

  @Test func nothingOutlivesItsCaller() throws {
    let stand = try UnpackStand()
    try FileSystem.makeDirectories(stand.layer)
    // A caller of its own, who can be killed: it holds the blob's pipe and the report's reader.
    let script = """
      import fcntl, os, sys
      blob, into = os.pipe(); reading, report = os.pipe(); layer = os.open(sys.argv[2], os.O_PATH)
      pid = os.fork()
      if pid == 0:
          high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (blob, layer, report)]
          os.dup2(into, 30)  # the blob goes on when the caller has gone
          for number, fd in zip((3, 4, 5), high): os.dup2(fd, number)
          os.execv(sys.argv[1], ['orchestrator', 'unpack'])
      os.close(report); os.waitpid(pid, 0)
      """
    let caller = Process()
    caller.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    caller.arguments = ["-c", script, Command.orchestrator, stand.layer]
    try caller.run()
    let pid = caller.processIdentifier
    var found: [Int32] = []
    let isThere = try eventually(20) {
      found = try unpackers(of: pid)
      return try found.count == 2 && status(found[1])["Seccomp"] == "2"
    }
    #expect(isThere, "\(found)")
    kill(pid, SIGKILL)
    #expect(found.count == 2 && areGone(found))
    for left in found { kill(left, SIGKILL) }
    caller.waitUntilExit()  // of all that have its descriptors
  }

  /// A caller whose unpacker says what it never says.
  @Test(arguments: [
    "echo", "echo '{}'", "echo '{\"untouched\":false}'", "echo '{\"error\":5,\"untouched\":false}'", "exit 3",
    "head -c 40000000 /dev/zero", "echo '{\"error\":null,\"layer\":{\"bytes\":1},\"untouched\":false}'",
  ])
  func nonsenseIsNoReport(_ words: String) throws {
    let stand = try UnpackStand()
    try stand.run(
      "mkdir layer; printf '#!/bin/sh\\nexec >&5\\n%s\\n' \"$1\" >fake".replacingOccurrences(
        of: "\"$1\"", with: "'\(words.replacingOccurrences(of: "'", with: "'\\''"))'") + "; chmod 755 fake")
    let failure = #expect(throws: UnpackFailure.self) {
      try LayerUnpacker(program: "\(stand.folder)/fake").unpack(
        OwnedFD.open("/dev/null", O_RDONLY), into: OwnedFD.open(stand.layer, O_PATH | O_DIRECTORY))
    }
    let told = "\(try #require(failure))"
    #expect(told.contains("never says") || told.contains("no word"), "\(told)")
    #expect(!told.contains("\n"))
  }
}
