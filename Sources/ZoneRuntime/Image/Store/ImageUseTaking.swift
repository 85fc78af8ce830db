extension ImageUse {
  /// Of what an image says of itself.
  /// - Throws: for what nobody can run, by its field.
  public init(_ said: ImageExecution) throws(ImageError) {
    self.init()
    entrypoint = said.entrypoint ?? []
    command = said.command ?? []
    environment = said.variables
    user = said.user.flatMap { $0.isEmpty ? nil : $0 }
    workdir = try said.workdir.flatMap { (path) throws(ImageError) in
      path.isEmpty ? nil : try Self.path(path, "WorkingDir")
    }
    labels = said.labels ?? [:]
    for path in said.volumes?.keys ?? [] {
      let path = try Self.path(path, "Volumes")
      if !volumes.contains(path) { volumes.append(path) }
    }
    for text in said.exposedPorts?.keys ?? [] {
      guard let port = Self.port(text) else {
        throw ImageError("its ExposedPorts have '\(shortened(text))', which is none")
      }
      if !ports.contains(port) { ports.append(port) }
    }
    if let text = said.stopSignal, !text.isEmpty {
      do throws(SyntaxError) { stopSignal = try Signals.number(parsing: text) } catch {
        throw ImageError("its StopSignal '\(shortened(text))' is none")
      }
    }
    stopTimeout = said.stopTimeout
    health = try said.healthcheck.flatMap { (check) throws(ImageError) in try Self.health(check) }
    if let why = unsound { throw ImageError("its configuration has \(why)") }
  }

  /// Absolute and plain: as Docker has it, a relative one is one below the top.
  private static func path(_ text: String, _ field: String) throws(ImageError) -> String {
    var parts: [String] = []
    for part in text.utf8.split(separator: UInt8(ascii: "/")) where !part.elementsEqual([46]) {
      guard !part.elementsEqual([46, 46]) else {
        throw ImageError("its \(field) '\(shortened(text))' leads upwards by '..'")
      }
      parts.append(String(decoding: part.map { $0 }, as: UTF8.self))
    }
    return "/" + parts.joined(separator: "/")
  }

  private static func health(_ check: ImageHealthcheck) throws(ImageError) -> ImageHealth? {
    let words = check.test ?? []
    var health: ImageHealth
    switch words.first {
    case nil, "NONE"?: return nil
    case "CMD"? where words.count > 1: health = ImageHealth(command: Array(words.dropFirst()))
    case "CMD-SHELL"? where words.count == 2: health = ImageHealth(command: ["/bin/sh", "-c", words[1]])
    default: throw ImageError("its Healthcheck is neither NONE, CMD and words, nor CMD-SHELL and a line")
    }
    // 0 is the engine's own.
    let told = { (value: Int64?) in value == 0 ? nil : value }
    health.interval = told(check.interval)
    health.timeout = told(check.timeout)
    health.startPeriod = told(check.startPeriod)
    health.retries = told(check.retries)
    return health
  }
}
