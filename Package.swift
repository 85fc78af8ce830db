// swift-tools-version: 6.1
import PackageDescription

/// `ZONES_ONLY=runtime swift build` leaves the fleet half out of the graph: nothing heavier than
/// two C libraries is then resolved or built, which turns minutes into seconds while working on the runtime.
let runtimeOnly = Context.environment["ZONES_ONLY"] == "runtime"

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
  .unsafeFlags(["-warnings-as-errors"]),
]

/// `zonectl` is one static file. Empty `__wrap_` functions stand in for the frame registration
/// that would sort every unwind record of the executable at the first throw (see LinuxNS's C half).
let staticExecutable: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-static-executable",
      "-Xlinker", "--wrap=__register_frame_info", "-Xlinker", "--wrap=__deregister_frame_info",
      "-Xlinker", "--gc-sections", "-Xlinker", "-s",
    ],
    .when(configuration: .release))
]

var package = Package(
  name: "zones",
  products: [
    .executable(name: "zonectl", targets: ["zonectl"])
  ],
  targets: [
    // MARK: the kernel
    .target(
      name: "CLinuxNS",
      path: "Sources/CLinuxNS",
      exclude: ["Overlay", "Stage"],
      cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])]),
    .target(
      name: "LinuxNS",
      dependencies: ["CLinuxNS"],
      path: "Sources/CLinuxNS/Overlay",
      swiftSettings: strict,
      plugins: ["EmbedStage"]),
    .executableTarget(name: "stage-embedder", path: "Plugins/stage-embedder"),
    .plugin(name: "EmbedStage", capability: .buildTool(), dependencies: ["stage-embedder"]),

    // MARK: libraries of others, static
    .systemLibrary(name: "CSeccomp", path: "Sources/CSeccomp", providers: [.apt(["libseccomp-dev"])]),
    .systemLibrary(name: "CJansson", path: "Sources/CJansson", providers: [.apt(["libjansson-dev"])]),

    // MARK: a zone
    .target(name: "ResourceControl", dependencies: ["LinuxNS"], swiftSettings: strict),
    .target(name: "VirtualNet", dependencies: ["LinuxNS"], swiftSettings: strict),
    .target(
      name: "ZoneRuntime",
      dependencies: ["LinuxNS", "ResourceControl", "VirtualNet", "CSeccomp", "CJansson"],
      swiftSettings: strict),
    // The command line as data: apart from the executable, so that tests can import it.
    .target(name: "CommandLineTable", path: "Sources/zonectl/Table", swiftSettings: strict),
    .executableTarget(
      name: "zonectl",
      dependencies: ["CommandLineTable", "ZoneRuntime", "ResourceControl", "VirtualNet", "LinuxNS"],
      exclude: ["Table"],
      swiftSettings: strict,
      linkerSettings: staticExecutable),

    // MARK: tests
    .testTarget(
      name: "ZoneTests",
      dependencies: ["CommandLineTable", "ZoneRuntime", "ResourceControl", "VirtualNet", "LinuxNS"],
      path: "Tests/ZoneTests",
      exclude: ["Golden"],
      swiftSettings: strict),
  ]
)

if !runtimeOnly {
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
  ]
  package.targets += [
    .target(
      name: "Orchestrator",
      dependencies: [
        "ZoneRuntime", "ResourceControl", "VirtualNet", "LinuxNS", "CLinuxNS",
        .product(name: "Yams", package: "Yams"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
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
        "Orchestrator", "ZoneRuntime", "LinuxNS",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/Orchestrator/Service",
      swiftSettings: strict),
    .testTarget(
      name: "FleetTests",
      dependencies: [
        "Orchestrator", "ZoneRuntime", "ResourceControl", "VirtualNet", "LinuxNS",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/FleetTests",
      swiftSettings: strict),
  ]
}
