import CommandLineTable
import ZoneRuntime

func features(_ invocation: Invocation) throws(ZoneError) -> Int32 {
  let format = try Output.format(invocation)
  let probed = KernelFeatures.probe()
  if format == .json {
    try Output.json(probed)
    return 0
  }
  var table = TextTable(["feature", "there", "detail"] + (format == .wide ? ["without it"] : []))
  for feature in probed.features {
    let lack = format == .wide ? [feature.without] : []
    let detail = feature.available || format == .wide ? feature.detail : "\(feature.detail); \(feature.without)"
    table.add([feature.name, feature.available ? "yes" : "no", detail] + lack)
  }
  Output.write("Linux \(probed.kernel) on \(probed.machine), asked as uid \(probed.uid)\n" + table.text())
  return 0
}
