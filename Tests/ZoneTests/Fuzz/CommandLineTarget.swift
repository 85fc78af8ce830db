import CommandLineTable
import LinuxNS

@testable import ZoneRuntime

extension FuzzTarget {
  /// A command line, its words parted by NUL: read by both programs' tables, and made a spec. No verb is executed.
  static let commandLine = FuzzTarget("commandline") { (bytes) throws(Finding) in
    let words = bytes.split(separator: 0, omittingEmptySubsequences: false).map { text($0) }
    for table in [zonectlTable, ociTable] {
      guard let parsed = accepted({ try table.parse(words) }) else { continue }
      guard case .run(let invocation) = parsed else { continue }
      let count = invocation.settings.count + invocation.operands.count + invocation.command.count
      // Letters that combine are several settings of one word.
      try hold(invocation.operands.count + invocation.command.count < words.count, "\(count) things of \(words.count)")
      _ = accepted { try invocation.seconds("timeout") }
      _ = accepted { try invocation.number("tail", in: 0...1000) }
      _ = accepted { try invocation.choice("output", ["table", "json"]) }
      if table.program == "zonectl" { try spec(invocation) }
    }
  }

  /// The options of create, and the words of set, as a spec; which is shown, stored and read as the same.
  private static func spec(_ invocation: Invocation) throws(Finding) {
    var spec = ZoneSpec(name: "web")
    for key in SpecKeys.table {
      var values = invocation.values(key.name)
      guard !values.isEmpty else { continue }
      if zonectlTable.option(key.name)?.takesValue == false { values = ["true"] }
      guard accepted({ try key.write(options: values, into: &spec) }) != nil else { return }
    }
    spec.command = invocation.command
    let settings = Array(invocation.operands.dropFirst())
    guard accepted({ try SpecKeys.apply(settings, to: &spec) }) != nil else { return }

    var shown = ZoneSpec(name: "web")
    for key in SpecKeys.table {
      let texts = key.texts(spec)
      do throws(SyntaxError) { try key.write(options: texts, into: &shown) } catch {
        throw Finding("\(key.name) \(texts) is shown, and refused: \(error)")
      }
    }
    try hold(shown == spec, "\(spec) is shown as \(shown)")
    let stored = accepted { try JSON.decode(ZoneSpec.self, from: JSON.encode(spec), name: "spec") }
    try hold(stored == spec, "\(spec) is stored as \(stored.map { "\($0)" } ?? "nothing")")
    if let why = spec.unsound(as: "web") { throw Finding("\(spec) was taken, and is not sound: \(why)") }
  }
}
