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
  return try runOrchestrator(words + ["image", "pull", name.familiar], for: "image pull").isDone
}

/// What is no image yet: `tar:FILE` and `debootstrap:SUITE` are made one before the zone is.
/// - Returns: the brand of what it is then; what is none of them is returned as it is.
func broughtBrand(_ text: String, _ context: Context) throws(ZoneError) -> String {
  guard text.hasPrefix("tar:") || text.hasPrefix("debootstrap:") else { return text }
  switch context.invocation.zonectlVerb {
  case .create, .run: break
  default: return text
  }
  let root = context.invocation.value(.root).map { [$0] } ?? []
  let answer = try runOrchestrator(["bring", text] + root, for: "--image \(text)")
  let said = String(decoding: answer.said, as: UTF8.self)
  guard answer.isDone else {
    throw .refused(said.isEmpty ? "cannot make an image of \(text): who was to do it ended" : said)
  }
  return "oci:\(said)"
}
