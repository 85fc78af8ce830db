// stage-embedder OUTPUT INCLUDE SOURCE…: compiles a free-standing program and writes it as a Swift array that needs no making.
import Foundation

let arguments = CommandLine.arguments
guard arguments.count >= 4 else {
  FileHandle.standardError.write(Data("usage: stage-embedder OUTPUT INCLUDE SOURCE…\n".utf8))
  exit(2)
}

func fail(_ message: String) -> Never {
  FileHandle.standardError.write(Data("stage-embedder: \(message)\n".utf8))
  exit(1)
}

/// The clang beside the swift that builds us; a system clang serves as well.
func findClang() -> String {
  let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
  for folder in path.split(separator: ":") {
    let swift = "\(folder)/swift"
    guard FileManager.default.isExecutableFile(atPath: swift) else { continue }
    let clang = URL(filePath: swift).resolvingSymlinksInPath().deletingLastPathComponent().appending(path: "clang")
    if FileManager.default.isExecutableFile(atPath: clang.path) { return clang.path }
  }
  for folder in path.split(separator: ":") {
    let clang = "\(folder)/clang"
    if FileManager.default.isExecutableFile(atPath: clang) { return clang }
  }
  fail("no clang found beside swift or on PATH; install clang and lld")
}

let output = URL(filePath: arguments[1])
let elf = output.deletingLastPathComponent().appending(path: "stage.elf")
let process = Process()
process.executableURL = URL(filePath: findClang())
process.arguments =
  [
    "-std=c17", "-Oz", "-ffreestanding", "-fno-builtin", "-nostdlib", "-static", "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-ffunction-sections", "-fdata-sections",
    "-fvisibility=hidden", "-fuse-ld=lld", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
    "-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-z,norelro", "-Wl,-z,max-page-size=4096",
    "-s", "-I", arguments[2], "-o", elf.path,
  ] + arguments.dropFirst(3)
do { try process.run() } catch { fail("cannot run \(process.executableURL!.path): \(error)") }
process.waitUntilExit()
guard process.terminationStatus == 0 else { fail("clang failed with status \(process.terminationStatus)") }

guard let image = try? Data(contentsOf: elf) else { fail("cannot read \(elf.path)") }
let limit = 40 * 1024
guard image.count <= limit else { fail("the stage is \(image.count) bytes, more than its \(limit)") }
// Words, not bytes: an eighth of the literals for the compiler. Both machines we know are little-endian.
var text = ""
let bytes = [UInt8](image) + [UInt8](repeating: 0, count: (8 - image.count % 8) % 8)
for start in stride(from: 0, to: bytes.count, by: 8) {
  let word = bytes[start..<start + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  text += (start % 64 == 0 ? "\n      " : " ") + "0x" + String(word, radix: 16) + ","
}
let source = """
  // Made by stage-embedder from Sources/CLinuxNS/Stage; not to be edited.
  enum StageImage {
    /// The ELF image of the stage, as little-endian words; the last one is filled up with zeros.
    static let words: [UInt64] = [\(text)
    ]
    static let byteCount = \(image.count)
  }

  """
// Left alone where nothing has changed: the build asks every time, and whoever imports LinuxNS would be compiled anew.
if (try? String(contentsOf: output, encoding: .utf8)) == source { exit(0) }  // what cannot be read is written
do { try source.write(to: output, atomically: true, encoding: .utf8) } catch {
  fail("cannot write \(output.path): \(error)")
}
