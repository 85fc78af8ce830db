internal import CommandLineTable
internal import Glibc
internal import LinuxNS
internal import Orchestrator
internal import ZoneRuntime

/// import: what was no zone here becomes one.
struct MachineVerbs {
  private let invocation: Invocation
  private let directories: Directories

  init(_ invocation: Invocation) throws(ZoneError) {
    self.invocation = invocation
    directories = try Directories.standard(root: invocation.value(.root))
  }

  func importing() throws -> Int32 {
    guard invocation.has(.machine) else {
      throw ZoneError.commandLine("import: say --machine (of an image: zonectl image import)")
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
}
