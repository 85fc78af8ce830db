import CommandLineTable
import LinuxNS
import ZoneRuntime

/// What came of --pull.
struct Brought: ~Copyable {
  /// False: it failed, which was told then.
  var isDone = true
  /// What the zone is made of, where that was looked at and is here.
  var root: FoundRoot?

  /// The image says itself what is run.
  var saysCommand: Bool {
    switch root {
    case .some(let root): root.hasCommand
    case .none: false
    }
  }
}

/// --pull: the image that a zone is to be made of is brought before anything is made, by who speaks to registries.
func bringImage(of spec: ZoneSpec, _ context: Context) throws(ZoneError) -> Brought {
  let invocation = context.invocation
  let when = try asked(invocation.choice("pull", ["missing", "always", "never"]))
  guard case .image(let name) = spec.brand else {
    guard when == nil else { throw .commandLine("\(invocation.verb.name): --pull is for --image oci:NAME") }
    return Brought()
  }
  if when != "always" {
    let root = try context.zones.findRoot(name)
    if root != nil || when == "never" { return Brought(root: root) }
  }
  var words = ["zonectl"]
  if let root = invocation.value(.root) { words += ["--root", root] }
  guard try runOrchestrator(words + ["image", "pull", name.familiar], for: "image pull").isDone else {
    return Brought(isDone: false)
  }
  return Brought(root: try context.zones.findRoot(name))
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
