import Glibc

// What libFuzzer calls. One program for all targets, which `ZONES_FUZZ` chooses between: libFuzzer's arguments are its own,
// and the processes that it starts for a merge inherit the environment.

private let target: FuzzTarget = {
  let name = getenv("ZONES_FUZZ").map { String(cString: $0) } ?? ""
  for target in FuzzTarget.all where target.name == name { return target }
  // scripts/fuzz asks for the names by naming none.
  print(FuzzTarget.all.map { $0.name }.joined(separator: "\n"))
  exit(name.isEmpty ? 0 : 2)
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: bytes, count: count))
  do throws(Finding) { try target.run(input) } catch { fatalError("\(target.name): \(error)") }
  return 0
}

/// Of libFuzzer, where a program has a main of its own.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ one: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The package manager links a program of this module's to begin here.
@_cdecl("fuzz_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
  _ = target
  var count = count
  var arguments = arguments
  return runDriver(&count, &arguments, fuzzOneInput)
}
