internal import CommandLineTable
internal import Foundation
internal import Glibc
internal import LinuxNS
internal import Orchestrator
internal import ZoneRuntime

/// `orchestrator zonectl …`, hidden: what zonectl was told and hands over, word for word, parsed by its own table. All of it
/// happens in the first thread.
enum HandedOver {
  static func run(_ words: [String]) -> Int32 {
    umask(0o022)  // modes are what the code says
    signal(SIGPIPE, SIG_IGN)
    do {
      guard case .run(let invocation) = try zonectlTable.parse(words) else {
        throw ZoneError.commandLine("nothing to do")
      }
      switch invocation.zonectlVerb {
      case .image: return try ImageVerbs(invocation).run()
      case .df: return try ImageVerbs(invocation).diskUsage()
      case .snapshot: return try LayerVerbs(invocation).snapshot()
      case .clone: return try LayerVerbs(invocation).clone()
      case .commit: return try LayerVerbs(invocation).commit()
      case .diff: return try LayerVerbs(invocation).difference()
      case .rebase: return try LayerVerbs(invocation).rebase()
      case .prune: return try PruneVerb(invocation).run()
      case .volume: return try VolumeVerbs(invocation).run()
      case .export: return try MachineVerbs(invocation).exporting()
      case .import: return try MachineVerbs(invocation).importing()
      default: throw ZoneError.commandLine("'\(invocation.verb.name)' is zonectl's own")
      }
    } catch let error as UsageError {
      complain(error.description)
      return 2
    } catch let error as ZoneError {
      complain(error.description)
      return error.exitStatus
    } catch {
      complain("\(error)")
      return 1
    }
  }

  /// One line, in the name of who was called; what was made of others' words is one line too.
  static func complain(_ text: String) { Terminal.error("zonectl: \(TextTable.printable(text))") }
}

/// image and df: what zones are made from, and where space goes.
struct ImageVerbs {
  let invocation: Invocation
  private let directories: Directories

  init(_ invocation: Invocation) throws(ZoneError) {
    self.invocation = invocation
    directories = try Directories.standard(root: invocation.value(.root))
  }

  func run() throws -> Int32 {
    let words = try Self.words.checked(invocation)
    switch invocation.operands[0] {
    case "list": return try ImageList(try look(), invocation).print(words.first)
    case "show": return try show(words[0])
    case "tag":
      let expires = try invocation.expires()
      let name = try store(for: words[0]).tag(words[0], as: words[1])
      try lease(name, expires)
      return 0
    case "delete": return delete(words)
    case "prune": return try prune()
    case "set": return try set(words)
    case "import": return try importing(words[0], name: words.count > 1 ? words[1] : nil)
    case "export": return try export(words[0], to: words[1])
    case "pull": return try pull(words)
    case "update": return try update(words)
    default: return try push(words[0], as: words.count > 1 ? words[1] : nil)
    }
  }

  private static let words = VerbWords(
    "image",
    [
      VerbWords.Word("list", 0...1, "list [PREFIX]", [.output, .digests, .quiet]),
      VerbWords.Word("show", 1...1, "show NAME", [.output]), VerbWords.Word("tag", 2...2, "tag NAME NEW", [.expires]),
      VerbWords.Word("set", 2...2, "set NAME expires=WHEN", []),
      VerbWords.Word("delete", 1...Int.max, "delete NAME…", [.force]),
      VerbWords.Word("prune", 0...0, "prune", [.output, .all, .blobs, .dryRun, .yes]),
      VerbWords.Word("import", 1...2, "import FILE|-|DIR [NAME]", [.platform, .from, .expires]),
      VerbWords.Word("export", 2...2, "export NAME FILE|-", [.quiet]),
      VerbWords.Word(
        "pull", 1...Int.max, "pull NAME…", [.platform, .quiet, .plainHttp, .ca, .login, .jobs, .expires]),
      VerbWords.Word("push", 1...2, "push NAME [NEW]", [.quiet, .plainHttp, .ca, .login, .jobs]),
      VerbWords.Word(
        "update", 0...Int.max, "update NAME…|--all",
        [.output, .all, .dryRun, .platform, .quiet, .plainHttp, .ca, .login, .jobs]),
    ])

  enum Format { case table, wide, json }

  static func format(_ invocation: Invocation) throws(UsageError) -> Format {
    switch try invocation.choice("output", ["table", "wide", "json"]) {
    case "wide": .wide
    case "json": .json
    default: .table
    }
  }

  static func json(_ value: some JSONValue) throws {
    Terminal.write(String(decoding: try JSON.encode(value, pretty: true), as: UTF8.self), to: STDOUT_FILENO)
  }

  private func look() throws(ZoneError) -> StoreLook {
    guard let store = try ImageStore.open(directories) else { return StoreLook() }
    return try store.look()
  }

  private func store(for name: String) throws(ZoneError) -> ImageStore {
    guard let store = try ImageStore.open(directories) else {
      throw .refused("no image is named '\(name)': none is here (zonectl image import brings one)")
    }
    return store
  }

  // MARK: verbs

  private func show(_ name: String) throws -> Int32 {
    let format = try Self.format(invocation)
    let store = try store(for: name)
    let details = ImageDetails(try store.find(name).record, try store.look())
    if format == .json { try Self.json(details) } else { Terminal.write(details.text, to: STDOUT_FILENO) }
    return 0
  }

  private func set(_ words: [String]) throws -> Int32 {
    let name = try Self.reference(words[0])
    try Zones(directories).renew(.image(name), until: try Leases.parse(words[1], "image set"))
    return 0
  }

  /// - Parameter expires: nil: nobody has said until when.
  private func lease(_ name: ImageReference, _ expires: Leases.Until?) throws(ZoneError) {
    if let expires { try Zones(directories).renew(.image(name), until: expires.time) }
  }

  /// Tells every failure and goes on.
  private func delete(_ names: [String]) -> Int32 {
    var status: Int32 = 0
    for name in names {
      do throws(ZoneError) { _ = try store(for: name).delete(name, force: invocation.has(.force)) } catch {
        HandedOver.complain(error.description)
        status = error.exitStatus
      }
    }
    return status
  }

  private func prune() throws -> Int32 {
    let isDry = invocation.has(.dryRun)
    let wish = PrunePlan.Wish(all: invocation.has(.all), blobs: invocation.has(.blobs))
    let format = try Self.format(invocation)
    if wish.all, !isDry, !invocation.has(.yes), isatty(STDIN_FILENO) == 1,
      !Self.confirmed("remove all images that no zone was made from?")
    {
      throw ZoneError.refused("nothing was pruned")
    }
    let plan = try Self.pruned(wish, directories, isDry: isDry)
    if format == .json {
      try Self.json(plan)
      return 0
    }
    Self.print(plan)
    Terminal.print("\(isDry ? "would free" : "freed") \(Words.bytes(plan.bytes))")
    return 0
  }

  static func pruned(_ wish: PrunePlan.Wish, _ directories: Directories, isDry: Bool) throws(ZoneError) -> PrunePlan {
    guard let store = try ImageStore.open(directories) else { return PrunePlan() }
    let prune = { () throws(ZoneError) in
      try store.prune(wish, dry: isDry) { Terminal.error("waiting for who adds to the images …") }
    }
    var plan = try prune()
    // On a full disk there is room for it now; what it has put together goes by another.
    let states = ZoneStates(store, root: nil) { HandedOver.complain($0) }
    plan.folds = try states.foldAll(dry: isDry)
    if !plan.folds.isEmpty, !isDry { plan.add(try prune()) }
    return plan
  }

  static func print(_ plan: PrunePlan) {
    for fold in plan.folds {
      Terminal.print("folded    \(fold.zone): layers \(fold.layers.map(String.init).joined(separator: ", "))")
    }
    for name in plan.names { Terminal.print("name      \(name.familiar)") }
    for image in plan.images { Terminal.print("image     \(image.text)") }
    for layer in plan.layers { Terminal.print("layer     \(layer)") }
    for blob in plan.blobs { Terminal.print("blob      \(blob.text)") }
    for path in plan.leftovers { Terminal.print("leftover  \(TextTable.printable(path))") }
  }

  /// Anything but y or yes is no.
  static func confirmed(_ question: String) -> Bool {
    Terminal.write("\(question) [y/N] ", to: STDERR_FILENO)
    return ["y", "yes"].contains(readLine()?.trimmingCharacters(in: .whitespaces).lowercased())
  }

  /// nil: nobody has said which.
  private func platform() throws(ZoneError) -> Platform? {
    guard let text = invocation.value(.platform) else { return nil }
    do throws(SyntaxError) { return try Platform(parsing: text) } catch { throw .commandLine(error.description) }
  }

  private func registryOptions() throws(UsageError) -> RegistryOptions {
    var options = RegistryOptions()
    options.isPlain = invocation.has(.plainHttp)
    options.authorities = invocation.value(.ca)
    options.logins = invocation.value(.login)
    options.jobs = try invocation.number(.jobs, in: 1...64) ?? options.jobs
    return options
  }

  static func reference(_ text: String) throws(ZoneError) -> ImageReference {
    do throws(SyntaxError) { return try ImageReference(parsing: text) } catch { throw .commandLine(error.description) }
  }

  /// Tells every failure and goes on.
  private func pull(_ texts: [String]) throws -> Int32 {
    let options = try registryOptions()
    let platform = try platform()
    let names = try texts.map(Self.reference)
    let expires = try invocation.expires()
    let lines = PullLines(isQuiet: invocation.has(.quiet))
    var status: Int32 = 0
    for name in names {
      do throws(ImageError) {
        let store: ImageStore
        do throws(ZoneError) { store = try ImageStore.make(directories) } catch { throw ImageError(error.description) }
        let puller = try ImagePuller(
          store, platform: platform, options, environment: ProcessInfo.processInfo.environment,
          notice: { lines.say($0) }, tell: { lines.show($0) })
        defer { puller.end() }
        let pulled = try puller.run(name)
        do throws(ZoneError) { try lease(pulled.name, expires) } catch { throw ImageError(error.description) }
        lines.end()
        let text = pulled.name.digest == nil ? "\(pulled.name.familiar)@\(pulled.digest.text)" : pulled.name.familiar
        Terminal.print(text)
      } catch {
        lines.end()
        HandedOver.complain("cannot pull \(name.familiar): \(error)")
        status = 1
      }
    }
    return status
  }

  /// Brings what registries have under names that were pulled, and tells which zones are of an older image.
  private func update(_ texts: [String]) throws -> Int32 {
    guard invocation.has(.all) != !texts.isEmpty else {
      throw ZoneError.commandLine("it is: image update NAME… or image update --all")
    }
    let format = try Self.format(invocation)
    guard let store = try ImageStore.open(directories) else {
      guard texts.isEmpty else { throw ZoneError.refused("no image is here (zonectl image pull brings one)") }
      if format == .json { try Self.json(ImageUpdater.Report.blank) }
      return 0
    }
    let lines = PullLines(isQuiet: invocation.has(.quiet))
    var wish = ImageUpdater.Wish(platform: try platform(), options: try registryOptions())
    wish.isDry = invocation.has(.dryRun)
    wish.names = try invocation.has(.all) ? nil : texts.map(Self.reference)
    let updater = ImageUpdater(
      store, wish, environment: ProcessInfo.processInfo.environment, notice: { lines.say($0) },
      tell: { lines.show($0) })
    let report = try updater.run { name, error in
      lines.end()
      HandedOver.complain("cannot update \(name.familiar): \(error)")
    }
    lines.end()
    if format == .json {
      try Self.json(report)
    } else if !report.rows.isEmpty {
      var table = TextTable(["name", "state", "old", "new", "zones to rebase"])
      for row in report.rows {
        table.add([
          row.name, row.state.rawValue, row.old.short, row.new?.short ?? "-",
          row.zones.isEmpty ? "-" : row.zones.joined(separator: ","),
        ])
      }
      Terminal.write(table.text(), to: STDOUT_FILENO)
    }
    return report.rows.contains { $0.state == .failed } ? 1 : 0
  }

  private func push(_ text: String, as new: String?) throws -> Int32 {
    let options = try registryOptions()
    let store = try store(for: text)
    let image = try store.find(text)
    guard let name = try new.map(Self.reference) ?? image.name else {
      throw ZoneError.commandLine("image push: an id is no name; say as which: image push \(text) NAME")
    }
    guard name.digest == nil else {
      throw ZoneError.commandLine("image push: \(name.familiar) has a digest, which nobody can give")
    }
    let lines = PullLines(isQuiet: invocation.has(.quiet))
    do throws(ImageError) {
      let pusher = try ImagePusher(
        store, options, environment: ProcessInfo.processInfo.environment, notice: { lines.say($0) },
        tell: { lines.show($0) })
      defer { pusher.end() }
      try pusher.run(image.record, as: name)
      lines.end()
    } catch {
      lines.end()
      throw ZoneError.refused("cannot push \(name.familiar): \(error)")
    }
    Terminal.print("\(name.familiar)@\(image.record.manifest.text)")
    return 0
  }

  private func export(_ text: String, to path: String) throws -> Int32 {
    guard path != "-" || isatty(STDOUT_FILENO) == 0 else {
      throw ZoneError.refused(
        "cannot export \(shortened(text)) to a terminal (name a file, or lead it on: … - | podman load)")
    }
    let store = try store(for: text)
    let image = try store.find(text)
    let lines = PullLines(isQuiet: invocation.has(.quiet))
    do throws(ImageError) {
      try ImageExporter(store) { lines.show($0) }.run(
        image.record, name: image.name.flatMap { $0.digest == nil ? $0 : nil }, to: path)
      lines.end()
    } catch {
      lines.end()
      throw ZoneError.refused("cannot export \(shortened(text)) to \(path): \(error)")
    }
    return 0
  }

  private func importing(_ path: String, name: String?) throws -> Int32 {
    let form = try invocation.choice("from", ImageImporter.Form.allCases.map(\.rawValue))
    let expires = try invocation.expires()
    let importer = ImageImporter(try ImageStore.make(directories), platform: try platform()) {
      HandedOver.complain($0)
    }
    do throws(ImageError) {
      for image in try importer.run(path, form.flatMap { ImageImporter.Form(rawValue: $0) } ?? .auto, name: name) {
        do throws(ZoneError) { try lease(image.name, expires) } catch { throw ImageError(error.description) }
        Terminal.print("\(image.name.familiar)@\(image.digest.text)")
      }
    } catch { throw ZoneError.refused("cannot import \(path): \(error)") }
    return 0
  }

  func diskUsage() throws -> Int32 {
    let format = try Self.format(invocation)
    let usage = try Zones(directories).usage()
    if format == .json {
      try Self.json(usage)
      return 0
    }
    var table = TextTable(["kind", "count", "size", "freeable"])
    for row in usage.rows {
      table.add([
        row.kind, String(row.count), Words.bytes(row.bytes) + (row.isPartial ? "+" : ""),
        row.freeable > 0 ? Words.bytes(row.freeable) : "-",
      ])
    }
    Terminal.write(table.text(), to: STDOUT_FILENO)
    return 0
  }
}
