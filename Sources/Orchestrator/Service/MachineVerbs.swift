internal import CommandLineTable
internal import Glibc
internal import LinuxNS
internal import Orchestrator
internal import ResourceControl
internal import ZoneRuntime

/// export and import: zones on their way elsewhere and back, and machines that become zones.
struct MachineVerbs {
  private let invocation: Invocation
  private let directories: Directories

  init(_ invocation: Invocation) throws(ZoneError) {
    self.invocation = invocation
    directories = try Directories.standard(root: invocation.value(.root))
  }

  func importing() throws -> Int32 {
    guard invocation.has(.machine) else { return try importZone() }
    guard invocation.operands.count == 2, !invocation.has(.noVolumes) else {
      throw ZoneError.commandLine("it is: import --machine [--hostname NAME] FOLDER|FILE|- ZONE")
    }
    let format = try ImageVerbs.format(invocation)
    let (path, name) = (invocation.operands[0], invocation.operands[1])
    var spec = ZoneSpec(name: name)
    spec.network = Zones(directories).networkWithoutAWord()
    spec.hostname = invocation.value(.hostname)
    let store = try ImageStore.make(directories)
    let imported = try MachineImporter(store) { HandedOver.complain($0) }.run(path, spec)
    if format == .json {
      try ImageVerbs.json(imported)
    } else if !imported.services.isEmpty {
      var table = TextTable(["service", "in the zone"])
      for service in imported.services { table.add([service.name, service.isKept ? "kept" : "masked"]) }
      Terminal.write(table.text(), to: STDOUT_FILENO)
    }
    return 0
  }

  private func importZone() throws -> Int32 {
    for option in [ZonectlOption.hostname, .output] where invocation.has(option) {
      throw ZoneError.commandLine("import: --\(option.rawValue) is of import --machine")
    }
    let path = invocation.operands[0]
    let store = try ImageStore.make(directories)
    do throws(ImageError) {
      let importer = ZoneImporter(store) { HandedOver.complain($0) }
      let name = try importer.run(
        path, as: invocation.operands.dropFirst().first, volumes: !invocation.has(.noVolumes))
      Terminal.print(name)
    } catch { throw ZoneError.refused("cannot import \(path): \(error)") }
    return 0
  }

  func exporting() throws -> Int32 {
    let (zone, path) = (invocation.operands[0], invocation.operands[1])
    guard path != "-" || isatty(STDOUT_FILENO) == 0 else {
      throw ZoneError.refused("cannot export zone \(zone) to a terminal (name a file, or lead it on: … - | ssh …)")
    }
    _ = try Zones(directories).spec(of: zone)
    guard let store = try ImageStore.open(directories) else {
      throw ZoneError.refused("cannot export zone \(zone): it is of no image, and none is here")
    }
    guard !invocation.has(.bootable) else { return try exportDisk(store) }
    for option in [ZonectlOption.size, .kernel, .network] where invocation.has(option) {
      throw ZoneError.commandLine("export: --\(option.rawValue) is of export --bootable")
    }
    let lines = PullLines(isQuiet: invocation.has(.quiet))
    do throws(ImageError) {
      let exporter = ZoneExporter(
        store, root: invocation.value(.root), notice: { lines.say($0) }, tell: { lines.show($0) })
      try exporter.run(zone, to: path, volumes: !invocation.has(.noVolumes))
      lines.end()
    } catch {
      lines.end()
      throw ZoneError.refused("cannot export zone \(zone): \(error)")
    }
    return 0
  }

  private func exportDisk(_ store: ImageStore) throws -> Int32 {
    let (zone, path) = (invocation.operands[0], invocation.operands[1])
    guard !invocation.has(.noVolumes) else {
      throw ZoneError.commandLine("export: a disk has no volumes anyway (leave --no-volumes out)")
    }
    var wish = BootableExporter.Wish()
    if let text = invocation.value(.size) {
      guard let bytes = try? ByteSize.parse(text, limit: "size") else {
        throw ZoneError.commandLine("export: --size '\(shortened(text))' is no size (8G)")
      }
      wish.size = bytes
    }
    wish.kernel = invocation.value(.kernel) ?? wish.kernel
    if let text = invocation.value(.network) {
      guard case .named(let name)? = try? NetworkChoice(parsing: text) else {
        throw ZoneError.commandLine(
          "export: --network '\(shortened(text))' is no network that brings anything (default)")
      }
      wish.network = name
    }
    let zonectl = try Place.zonectl()
    let isQuiet = invocation.has(.quiet)
    do throws(ImageError) {
      let exporter = BootableExporter(
        store, root: invocation.value(.root), zonectl: zonectl, notice: { if !isQuiet { HandedOver.complain($0) } })
      try exporter.run(zone, snapshot: nil, to: path, wish)
    } catch { throw ZoneError.refused("cannot make a disk of zone \(zone): \(error)") }
    return 0
  }
}
