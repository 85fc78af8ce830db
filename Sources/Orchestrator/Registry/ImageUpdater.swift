public import ZoneRuntime

/// `image update`: what registries have now under names that were pulled from them, and who is of an older image.
public struct ImageUpdater {
  public struct Wish: Sendable {
    /// nil: each image stays of its own.
    public var platform: Platform?
    public var options: RegistryOptions
    /// nil: all that were pulled by a tag.
    public var names: [ImageReference]?
    /// Nothing is brought.
    public var isDry = false

    public init(platform: Platform?, options: RegistryOptions) {
      self.platform = platform
      self.options = options
    }
  }

  public enum State: String, Sendable, JSONText {
    /// The registry has what is here.
    case current
    /// It has something newer, which was brought.
    case updated
    /// It has something newer, which was not asked for.
    case newer
    case failed
  }

  public struct Row: Equatable, Sendable, JSONObject {
    public var name: String
    public var state: State
    /// What the name meant, and what it means in the registry.
    public var old: ContentDigest
    public var new: ContentDigest?
    /// Those that were made from it and are of an older image than is here.
    public var zones: [String] = []

    public static var blank: Row { Row(name: "", state: .current, old: .ofNothing) }

    public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("name", &name)
      try json.field("new", &new)
      try json.field("old", &old)
      try json.field("state", &state)
      try json.field("zones", &zones)
    }
  }

  public struct Report: Equatable, Sendable, JSONObject {
    public var rows: [Row] = []
    public static var blank: Report { Report() }
    public mutating func fields(_ json: inout some JSONFields) throws(JSONError) { try json.field("images", &rows) }
  }

  let store: ImageStore
  let wish: Wish
  let environment: [String: String]
  let notice: @Sendable (String) -> Void
  let tell: @Sendable (FetchNews) -> Void

  public init(
    _ store: ImageStore, _ wish: Wish, environment: [String: String], notice: @escaping @Sendable (String) -> Void,
    tell: @escaping @Sendable (FetchNews) -> Void
  ) {
    self.store = store
    self.wish = wish
    self.environment = environment
    self.notice = notice
    self.tell = tell
  }

  /// - Parameter failed: called for each name that could not be asked for or brought; the others are done all the same.
  /// - Throws: for a name that was not pulled.
  public func run(_ failed: (ImageReference, ImageError) -> Void) throws(ZoneError) -> Report {
    var report = Report()
    for (name, record) in try chosen() {
      let old = record.index ?? record.manifest
      var row = Row(name: name.familiar, state: .current, old: old)
      do throws(ImageError) {
        let own = try stored { () throws(ZoneError) in try platform(of: record) }
        let puller = try ImagePuller(
          store, platform: wish.platform ?? own, wish.options, environment: environment, notice: notice, tell: tell)
        defer { puller.end() }
        row.new = try puller.newest(name)
        // What an index is chosen from is the same for all platforms.
        if row.new != old || wish.platform.map({ own.fitness(on: $0) == nil }) == true {
          row.state = wish.isDry ? .newer : .updated
          if !wish.isDry { row.new = try puller.run(name).digest }
        }
      } catch {
        row.state = .failed
        failed(name, error)
      }
      report.rows.append(row)
    }
    try addZones(&report)
    return report
  }

  private func platform(of record: ReferenceRecord) throws(ZoneError) -> Platform {
    guard let text = try store.image(record.manifest)?.platform else { return .ours }
    return (try? Platform(parsing: text)) ?? .ours
  }

  /// A name with a digest means one image for ever.
  private func chosen() throws(ZoneError) -> [(name: ImageReference, record: ReferenceRecord)] {
    guard let names = wish.names else {
      return try store.allReferences().filter { $0.record.origin == "pull" && $0.name.digest == nil }
    }
    var found: [(name: ImageReference, record: ReferenceRecord)] = []
    for name in names {
      guard name.digest == nil else { throw .commandLine("image update: \(name.familiar) is one image for ever") }
      guard let record = try store.reference(name) else {
        throw .refused("no image is named \(name.familiar) (zonectl image list shows what is here)")
      }
      guard record.origin == "pull" else {
        throw .refused("cannot update \(name.familiar): it came by \(record.origin), and from no registry")
      }
      found.append((name, record))
    }
    return found
  }

  private func addZones(_ report: inout Report) throws(ZoneError) {
    let look = try store.look()
    for index in report.rows.indices {
      guard let name = look.names.first(where: { $0.name.familiar == report.rows[index].name }) else { continue }
      report.rows[index].zones = look.roots.filter { root in
        root.record.image.map { $0.name.byTag == name.name && $0.manifest != name.record.manifest } ?? false
      }.map { $0.zone }
    }
  }
}
