import CommandLineTable
import LinuxNS
import ZoneRuntime

/// --pull: the image that a zone is to be made of is brought before anything is made, by who speaks to registries.
/// - Returns: false where it failed, which was told then.
func bringImage(of spec: ZoneSpec, _ context: Context) throws(ZoneError) -> Bool {
  let invocation = context.invocation
  let when = try asked(invocation.choice("pull", ["missing", "always", "never"]))
  guard case .image(let name) = spec.brand else {
    guard when == nil else { throw .commandLine("\(invocation.verb.name): --pull is for --image oci:NAME") }
    return true
  }
  switch when {
  case "never": return true
  case "always": break
  default: if try context.zones.hasImage(name) { return true }
  }
  var words = ["zonectl"]
  if let root = invocation.value(.root) { words += ["--root", root] }
  return try runOrchestrator(words + ["image", "pull", name.familiar], for: "image pull")
}
