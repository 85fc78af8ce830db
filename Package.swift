// swift-tools-version: 6.1
import PackageDescription

/// What is left out of the graph, to build less:
///
/// - `ZONES_ONLY=runtime swift build` leaves the fleet half out: nothing heavier than two C libraries is then resolved or
///   built, which turns minutes into seconds while working on the runtime.
/// - `ZONES_ONLY=zonectl swift build -c release --scratch-path .build/zonectl` makes `zonectl`, and only that does: one
///   static file of Embedded Swift, from the sources that are whole Swift for `orchestrator` and the tests. Nothing is
///   made at run time there that the compiler knew, types above all, and nothing of a runtime is begun: 0.5 ms of a start.
/// - `ZONES_ONLY=fuzz swift build --scratch-path .build/fuzz` makes the program that scripts/fuzz runs: the runtime with
///   libFuzzer's counters and AddressSanitizer in it.
enum Only: String { case runtime, zonectl, fuzz }
let only = Context.environment["ZONES_ONLY"].flatMap { Only(rawValue: $0) }
if let word = Context.environment["ZONES_ONLY"], !word.isEmpty, only == nil {
  fatalError("ZONES_ONLY is runtime, zonectl or fuzz, not '\(word)'")
}

var strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
  .unsafeFlags(["-warnings-as-errors"]),
]
/// The C library's headers: whole Swift brings a module of them along.
var libc: [Target.Dependency] = []
#if arch(arm64)
  let architecture = "aarch64"
#else
  let architecture = "x86_64"
#endif
/// zonectl's C library is musl (Debian's musl-dev): glibc's own beginning of a static program asks the processor for its
/// features, and a virtual machine answers each CPUID by leaving for its host: 0.17 ms of a start.
let musl = (headers: "/usr/include/\(architecture)-linux-musl", libraries: "/usr/lib/\(architecture)-linux-musl")

var cStrict = ["-Wall", "-Wextra", "-Werror"]
if only == .zonectl {
  strict += [
    .enableExperimentalFeature("Embedded"),
    // A start is the kernel's work: optimised for size it takes as long (within 1 %), and the file has 515,000 bytes less.
    .unsafeFlags(["-Osize", "-Xfrontend", "-function-sections", "-Xcc", "-isystem", "-Xcc", musl.headers]),
  ]
  cStrict += ["-isystem", musl.headers, "-Wno-sign-compare"]  // musl's CMSG_NXTHDR
  libc.append("Glibc")
}
if only == .fuzz {
  // Optimised, though a debug build for the sake of @testable: ten times as many inputs a second.
  strict.append(.unsafeFlags(["-sanitize=fuzzer,address", "-O"]))
  cStrict += ["-fsanitize=fuzzer-no-link,address", "-O1"]
}

let strip = Context.environment["ZONES_SYMBOLS"] == nil ? ["-Xlinker", "-s"] : []
let staticExecutable: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-enable-experimental-feature", "Embedded", "-Xclang-linker", "-static", "-use-ld=lld",
      // musl's beginning and, last, its library; the driver's own -pie is then unused.
      "-Xclang-linker", "-nostdlib", "-Xclang-linker", "-Qunused-arguments", "-Xlinker", "\(musl.libraries)/crt1.o",
      "-Xlinker", "--gc-sections", "-Xlinker", "--icf=all",
      // What a start comes by lies side by side (scripts/order).
      "-Xlinker", "--symbol-ordering-file=\(Context.packageDirectory)/Sources/zonectl/functions.order",
      "-Xlinker", "--no-warn-symbol-ordering",
      // Beside the directory of libraries that the driver names.
      "-Xlinker", "-l:../embedded/\(architecture)-unknown-linux-gnu/libswiftUnicodeDataTables.a",
      "-Xlinker", "\(musl.libraries)/libc.a", "-lgcc",
    ] + strip),
  .linkedLibrary("seccomp"),
]

var package = Package(
  name: "zones",
  targets: [
    // MARK: the kernel
    .target(
      name: "CLinuxNS",
      path: "Sources/CLinuxNS",
      exclude: ["Overlay", "Stage"],
      cSettings: [.unsafeFlags(cStrict)] + (only == .zonectl ? [.define("EMBEDDED_SWIFT")] : [])
    ),
    .target(
      name: "LinuxNS",
      dependencies: ["CLinuxNS"] + libc,
      path: "Sources/CLinuxNS/Overlay",
      swiftSettings: strict,
      plugins: ["EmbedStage"]),
    .executableTarget(name: "stage-embedder", path: "Plugins/stage-embedder"),
    .plugin(name: "EmbedStage", capability: .buildTool(), dependencies: ["stage-embedder"]),

    // MARK: libraries of others, static
    .systemLibrary(name: "CSeccomp", path: "Sources/CSeccomp", providers: [.apt(["libseccomp-dev"])]),
    .systemLibrary(name: "CZlib", path: "Sources/CZlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CZstd", path: "Sources/CZstd", providers: [.apt(["libzstd-dev"])]),

    // MARK: a zone
    .target(name: "ResourceControl", dependencies: ["LinuxNS"] + libc, swiftSettings: strict),
    .target(name: "VirtualNet", dependencies: ["LinuxNS"] + libc, swiftSettings: strict),
    .target(
      name: "ZoneRuntime",
      dependencies: ["LinuxNS", "ResourceControl", "VirtualNet", "CSeccomp"] + libc,
      swiftSettings: strict),
    // The command line as data: apart from the executable, so that tests can import it.
    .target(name: "CommandLineTable", path: "Sources/zonectl/Table", swiftSettings: strict),
  ]
)

if only == .zonectl {
  package.products.append(.executable(name: "zonectl", targets: ["zonectl"]))
  package.targets += [
    .systemLibrary(name: "Glibc", path: "Sources/Glibc"),
    .executableTarget(
      name: "zonectl",
      dependencies: ["CommandLineTable", "ZoneRuntime", "ResourceControl", "VirtualNet", "LinuxNS"] + libc,
      exclude: ["Table", "functions.order"],
      swiftSettings: strict,
      linkerSettings: staticExecutable),
  ]
} else if only == .fuzz {
  package.targets.append(
    .executableTarget(
      name: "fuzz",
      dependencies: ["CommandLineTable", "ZoneRuntime", "ResourceControl", "VirtualNet", "LinuxNS"],
      path: "Tests/ZoneTests/Fuzz",
      swiftSettings: strict,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])]))
} else {
  package.targets.append(
    .testTarget(
      name: "ZoneTests",
      dependencies: ["CommandLineTable", "ZoneRuntime", "ResourceControl", "VirtualNet", "LinuxNS"],
      path: "Tests/ZoneTests",
      exclude: ["Golden", "Fuzz/FuzzEntry.swift"],
      swiftSettings: strict))
}

if only == nil {
  package.products.append(.executable(name: "orchestrator", targets: ["orchestrator"]))
  package.dependencies += [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
  ]
  package.targets += [
    // Layers of images, unpacked in a process of their own.
    .target(
      name: "LayerUnpacking",
      dependencies: [
        "ZoneRuntime", "LinuxNS", "CLinuxNS", "CZlib", "CZstd", .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: strict),
    .target(
      name: "Orchestrator",
      dependencies: [
        "ZoneRuntime", "LayerUnpacking", "ResourceControl", "VirtualNet", "LinuxNS", "CLinuxNS",
        .product(name: "Yams", package: "Yams"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ],
      path: "Sources/Orchestrator",
      exclude: ["Service"],
      swiftSettings: strict),
    .executableTarget(
      name: "orchestrator",
      dependencies: [
        "Orchestrator", "LayerUnpacking", "CommandLineTable", "ZoneRuntime", "LinuxNS",
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/Orchestrator/Service",
      swiftSettings: strict),
    .testTarget(
      name: "FleetTests",
      dependencies: [
        "Orchestrator", "LayerUnpacking", "ZoneRuntime", "ResourceControl", "VirtualNet", "LinuxNS",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/FleetTests",
      swiftSettings: strict),
  ]
}
