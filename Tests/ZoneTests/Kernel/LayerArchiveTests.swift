import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// What is written of a tree can be unpacked, and what cannot is not written.
@Suite(.needs(.root)) struct LayerArchiveTests {
  private static func open(_ folder: String) throws -> OwnedFD {
    try FileSystem.makeDirectories(folder)
    return try OwnedFD.open(folder, O_RDONLY | O_DIRECTORY)
  }

  private static func output(in place: String) throws -> OwnedFD {
    try OwnedFD.open("\(place)/a.tar", O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
  }

  @discardableResult
  private func archive(_ tree: String, in place: String, most: Int64 = LayerLimits.volumeBytes) throws -> [UInt8] {
    _ = try LayerArchive.write(
      tree: Self.open(tree), nothing: Self.open("\(place)/nothing"), to: Self.output(in: place), most: most)
    return try FileSystem.read("\(place)/a.tar")
  }

  @discardableResult
  private func archive(layer: String, in place: String, most: Int64 = LayerLimits.archiveBytes) throws -> [UInt8] {
    _ = try LayerArchive.write(
      Self.open(layer), over: Self.open("\(place)/nothing"), top: nil, to: Self.output(in: place), most: most)
    return try FileSystem.read("\(place)/a.tar")
  }

  private func run(_ script: String, in folder: String) throws {
    let outcome = try Command(["sh", "-ec", "cd \(folder)\n\(script)"]).run()
    #expect(outcome.status == 0, "\(outcome)")
  }

  @Test func asDeepAsCanBeUnpacked() throws {
    try withTemporaryFolder { place in
      let deep = String(repeating: "d/", count: LayerLimits().depth)
      try run(
        "mkdir -p tree/\(deep) deeper/d/\(deep); echo kept >tree/\(deep)f; echo lost >deeper/d/\(deep)f", in: place)
      _ = try LayerWriter.unpack(
        PiecedSource(bytes: archive("\(place)/tree", in: place)[...], piece: 5000), into: Self.open("\(place)/again"))
      #expect(try FileSystem.readLine("\(place)/again/\(deep)f") == "kept")
      for isLayer in [false, true] {
        let error = #expect(throws: LayerError.self) {
          if isLayer {
            try archive(layer: "\(place)/deeper", in: place)
          } else {
            try archive("\(place)/deeper", in: place)
          }
        }
        #expect(error?.why == "it lies more than 1024 folders deep")
      }
    }
  }

  /// All that who reads it counts: headers, content, what fills blocks up.
  @Test func asLargeAsIsTaken() throws {
    try withTemporaryFolder { place in
      try run(
        "mkdir tree; printf x >tree/one; head -c 1000 /dev/zero >tree/two; ln tree/one tree/three; touch -d @1 tree/* tree",
        in: place)
      let size = Int64(try archive("\(place)/tree", in: place).count)
      #expect(size == 512 * (1 + 2 + 3 + 1 + 2))
      #expect(try archive("\(place)/tree", in: place, most: size).count == Int(size))
      #expect(throws: LayerError.self) { try archive("\(place)/tree", in: place, most: size - 1) }
      #expect(try archive(layer: "\(place)/tree", in: place, most: size).count == Int(size))
    }
  }

  /// Of a layer that is found out before a byte of it was read.
  @Test func whatIsTooLargeIsNotBegun() throws {
    try withTemporaryFolder { place in
      try run("mkdir tree; echo first >tree/a; truncate -s 64G tree/z", in: place)
      let error = #expect(throws: LayerError.self) { try archive(layer: "\(place)/tree", in: place) }
      #expect(error?.path == Array("z".utf8) && error?.why.contains("more than 68719476736 bytes") == true)
      #expect(try FileSystem.read("\(place)/a.tar").isEmpty)
    }
  }

  @Test func aNameThatIsTooLongToBeDeletedIsTold() throws {
    try withTemporaryFolder { place in
      let longest = String(repeating: "x", count: LayerName.mostNameBytes - ".wh.".utf8.count)
      try run("mkdir one two; mknod one/\(longest) c 0 0; mknod two/x\(longest) c 0 0", in: place)
      _ = try LayerWriter.unpack(
        PiecedSource(bytes: archive(layer: "\(place)/one", in: place)[...], piece: 5000),
        into: Self.open("\(place)/again"))
      #expect(try FileSystem.list("\(place)/again") == [longest])
      let error = #expect(throws: LayerError.self) { try archive(layer: "\(place)/two", in: place) }
      #expect(error?.why == "a name of more than 255 bytes between two slashes")
    }
  }
}
