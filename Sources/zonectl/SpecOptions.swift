import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// From the options of configure, create, run and explain to a spec.
enum SpecOptions {
  /// `base` with what profiles say, then the options and the command; binds of both are joined.
  static func apply(_ context: Context, to base: ZoneSpec) throws(ZoneError) -> ZoneSpec {
    let invocation = context.invocation
    var spec = base
    let profile = try profile(context)
    try profile?.apply(to: &spec, networkIsNamed: invocation.has(.network) || invocation.has(.publish))
    for key in SpecKeys.table {
      var values = invocation.values(key.name)
      guard !values.isEmpty || key.name == "env" else { continue }
      switch key.name {
      case "env": values = try environment(invocation)
      case "volume": values = try values.map(absoluteSource)
      case "secret": values = try values.map { word throws(ZoneError) in try absoluteAfter("=", word) }
      case "image":
        values = try values.map { word throws(ZoneError) in try broughtBrand(absoluteFolder(word), context) }
      default: if zonectlTable.option(key.name)?.takesValue == false { values = ["true"] }
      }
      try spelled(key.write(options: values, into: &spec))
    }
    if let profile { spec.volumes = ZoneProfile.joined(profile.binds, with: spec.volumes) }
    if !invocation.command.isEmpty { spec.command = invocation.command }
    return spec
  }

  private static func profile(_ context: Context) throws(ZoneError) -> ZoneProfile? {
    let words = context.invocation.values(.profile)
    if words.isEmpty { return nil }
    return try context.zones.zoneProfile(words) { name in getenv(name).map { String(cString: $0) } }
  }

  /// Whether anything is said about the spec.
  static func isEmpty(_ invocation: Invocation) -> Bool {
    invocation.command.isEmpty && !invocation.has(.envFile) && !invocation.has(.profile)
      && !invocation.settings.contains { setting in SpecKeys.table.contains { $0.name == setting.option } }
  }

  /// The variables of --env-file, then of --env, as NAME=VALUE; a NAME alone takes the caller's value, if there is one.
  static func environment(_ invocation: Invocation) throws(ZoneError) -> [String] {
    var words: [String] = []
    for file in invocation.values(.envFile) {
      let bytes = try plainly(FileSystem.read(file))
      for line in bytes.split(separator: 10) {
        let text = String(decoding: line.last == 13 ? line.dropLast() : line, as: UTF8.self)
        let trimmed = text.drop { $0 == " " || $0 == "\t" }
        if !trimmed.isEmpty && !trimmed.hasPrefix("#") { words.append(String(trimmed)) }
      }
    }
    words += invocation.values(.env)
    return withCallers(words)
  }

  /// NAME=VALUE; a NAME alone takes the caller's value, if there is one.
  static func withCallers(_ words: [String]) -> [String] {
    words.compactMap { word in
      if word.utf8.contains(UInt8(ascii: "=")) { return word }
      return getenv(word).map { "\(word)=\(String(cString: $0))" }
    }
  }

  /// `./data:/data` is the caller's own folder: a path from here on.
  private static func absoluteSource(_ text: String) throws(ZoneError) -> String {
    guard text.hasPrefix("."), let colon = text.firstIndex(of: ":") else { return text }
    return try absolute(String(text[..<colon])) + text[colon...]
  }

  /// `dir:./tree`, unlike an image's name.
  private static func absoluteFolder(_ text: String) throws(ZoneError) -> String {
    text.hasPrefix("dir:") || text.hasPrefix("tar:") ? try absoluteAfter(":", text) : text
  }

  private static func absoluteAfter(_ mark: Character, _ text: String) throws(ZoneError) -> String {
    guard let at = text.firstIndex(of: mark) else { return text }
    let path = String(text[text.index(after: at)...])
    return path.isEmpty ? text : text[...at] + (try absolute(path))
  }

  /// From the current directory, without `.` and `..` of the text; links are left to the kernel.
  static func absolute(_ path: String) throws(ZoneError) -> String {
    if path.hasPrefix("/") { return path }
    guard let here = getcwd(nil, 0) else { throw .refused(SyscallError(call: "getcwd", errno: errno).description) }
    defer { free(here) }
    var parts = String(cString: here).split(separator: "/")
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }
}
