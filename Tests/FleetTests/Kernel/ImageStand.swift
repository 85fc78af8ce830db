import Foundation
import Glibc
import LinuxNS
import Testing
import ZoneRuntime

/// To be removed with the process.
nonisolated(unsafe) private var madeOnce: String?

/// Images in every form, made by Tests/images/layouts.py, and a place of zones to bring them to.
final class ImageStand: Sendable {
  let folder: String
  private let user: String?
  /// The `--root`.
  var place: String { "\(folder)/place" }
  var storePath: String { "\(place)/data/.shared/images" }
  /// What the script has made.
  var made: String { "\(folder)/made" }

  /// What the script makes is the same each time: it is made once.
  private static let layouts = Result<String, any Error> {
    var template = Array("/var/tmp/zones-layouts.XXXXXX".utf8CString)
    let folder = String(cString: try #require(mkdtemp(&template)))
    madeOnce = folder
    atexit { if let madeOnce { try? FileSystem.removeTree(madeOnce) } }
    let outcome = try Command.run("/usr/bin/python3", ["\(Command.root)/Tests/images/layouts.py", "\(folder)/made"])
    try #require(outcome.status == 0, "\(outcome)")
    return "\(folder)/made"
  }

  init(user: String? = nil, layouts hasLayouts: Bool = true) throws {
    var template = Array("/var/tmp/zones-images.XXXXXX".utf8CString)
    folder = String(cString: try #require(mkdtemp(&template)))
    self.user = user
    chmod(folder, 0o755)
    if hasLayouts { try sh("cp -a '\(Self.layouts.get())' made") }
    guard let user else { return }
    let found = try #require(getpwnam(user)).pointee
    try #require(chown(folder, found.pw_uid, found.pw_gid) == 0)
    // An ordinary user cannot reach a build below root's home.
    for (program, name) in [(Command.orchestrator, "orchestrator"), (Command.zonectl, "zonectl")] {
      try FileManager.default.copyItem(atPath: program, toPath: "\(folder)/\(name)")
      chmod("\(folder)/\(name)", 0o755)
    }
  }

  deinit { try? FileSystem.removeTree(folder) }

  @discardableResult
  func sh(_ script: String, timeout: Double = 60) throws -> String {
    let outcome = try Command.run("/bin/sh", ["-ec", "cd \(folder)\n\(script)"], timeout: timeout)
    try #require(outcome.status == 0, "\(outcome)")
    return outcome.output
  }

  func zonectl(_ words: [String], timeout: Double = 120) throws -> Command {
    guard let user else { return try Command.run(Command.zonectl, ["--root", place] + words, timeout: timeout) }
    return try Command.run(
      "/usr/bin/setpriv",
      ["--reuid", user, "--regid", user, "--init-groups", "--", "\(folder)/zonectl", "--root", place] + words,
      timeout: timeout)
  }

  /// What it prints, where it has to work.
  @discardableResult
  func ok(_ words: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> String {
    let outcome = try zonectl(words)
    try #require(outcome.status == 0, "\(words): \(outcome)", sourceLocation: sourceLocation)
    return outcome.output
  }

  /// Its last line of standard error, where it has to fail.
  func refusal(_ words: String..., status: Int32 = 1, sourceLocation: SourceLocation = #_sourceLocation) throws
    -> String
  {
    let outcome = try zonectl(words)
    #expect(outcome.status == status && outcome.output.isEmpty, "\(words): \(outcome)", sourceLocation: sourceLocation)
    return outcome.errors.split(separator: "\n").last.map(String.init) ?? ""
  }

  /// Tests/tracer: has calls of a program fail, or ends it there.
  func tracer() throws -> String {
    let path = "\(folder)/tracer"
    if !FileSystem.exists(path) { try sh("gcc -O1 -static -o tracer '\(Command.root)/Tests/tracer/tracer.c'") }
    return path
  }

  func store() throws -> ImageStore {
    try #require(try ImageStore.open(try Directories.standard(root: place)))
  }

  /// Mode and owners.
  func facts(_ path: String) throws -> String { try sh("stat -c '%a %u %g' '\(path)'") }

  // MARK: comparing

  /// What an import of the same layout makes, with the name of a pull.
  func imported(as name: String) throws -> [String] {
    try FileSystem.removeTree(place)
    try ok("image", "import", "\(made)/box", name)
    let contents = try contents()
    try FileSystem.removeTree(place)
    return contents
  }

  func digest(of layout: String = "box") throws -> String {
    try sh(
      "python3 -c 'import json; print(json.load(open(\"made/\(layout)/index.json\"))[\"manifests\"][0][\"digest\"])'"
    ).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// All that a store has, without the numbers that its layers happen to have, and the times.
  func contents() throws -> [String] {
    let store = try store()
    var lines: [String] = []
    for folder in ["blobs", "refs", "starts"] {
      lines += try sh("cd '\(storePath)/\(folder)'; find . -type f -printf '\(folder) %P %m\\n'").split(separator: "\n")
        .map(String.init)
    }
    var digests: [Int: String] = [:]
    for folder in ["diff", "joint"] {
      for name in try FileSystem.list("\(storePath)/\(folder)/sha256") {
        let link = try FileSystem.readLink("\(storePath)/\(folder)/sha256/\(name)")
        let number = try #require(Int(link.suffix(6)))
        digests[number] = "\(folder) \(name)"
        lines += try tree(store.root(ofLayer: number), timesOfMaking: false).map { "\(folder) \(name) \($0)" }
      }
    }
    for image in try store.allImages() {
      let words = image.layers.map { "\(digests[$0.number] ?? "none") \($0.blob.hex) \($0.bytes)" }
      let stack = image.stack.map { digests[$0] ?? "none" }
      lines.append(
        "image \(image.manifest.hex) \(image.id.hex) \(words) \(stack) \(image.top.flatMap { digests[$0] } ?? "-")")
    }
    lines.append(
      "layers \(try FileSystem.list("\(storePath)/layers").count) \(try FileSystem.list("\(storePath)/l").count)")
    for folder in ["unpack", "fetch", "new", "trash"] {
      lines += try FileSystem.list("\(storePath)/\(folder)").map { "\(folder) has \($0)" }
    }
    return lines.sorted()
  }

  /// A line a file: type, mode, owner, size of files, time, text of links, content.
  /// - Parameter ofMaking: also the times of what has none in an archive: directories that no entry tells of, deleted names.
  func tree(_ path: String, timesOfMaking ofMaking: Bool = true) throws -> [String] {
    let format = "%P %y %m %U %G"
    return try sh(
      """
      cd '\(path)'; find . \\( -type d -o -type c \\) -printf '\(format) \(ofMaking ? "%T@" : "")\\n' -o -printf '\(format) %s %T@ %l\\n'
      find . -type f -exec sha256sum {} +
      python3 -c '
      import os
      for top, folders, files in os.walk(b"."):
        for path in [top] + [os.path.join(top, name) for name in files]:
          for name in sorted(os.listxattr(path, follow_symlinks=False)):
            print(path, name, os.getxattr(path, name, follow_symlinks=False))'
      """
    ).split(separator: "\n").map(String.init).sorted()
  }
}
