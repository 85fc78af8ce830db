/// A bundle's config.json (OCI runtime specification 1.3, config.md and config-linux.md), as far as Linux has it. What
/// cannot be honoured is refused here, by its name; docs/OCI.md says of each field which it is.
public struct BundleConfig: Sendable {
  /// A feature of the specification that this runtime does not have says so with its version.
  var version: String
  var root: Root?
  var process: BundleProcess?
  var hostname: String?
  var domainname: String?
  var mounts: [BundleMount]
  var hooks: BundleHooks
  var annotations: [(key: String, value: String)]
  var linux: BundleLinux

  struct Root: Sendable {
    var path: String
    var readonly: Bool
  }

  public static func parse(_ bytes: [UInt8], name: String = "config.json") throws(ZoneError) -> BundleConfig {
    try BundleConfig(BundleNode.parse(bytes, name: name))
  }

  init(_ node: BundleNode) throws(ZoneError) {
    version = try node.needed("ociVersion")
    guard version.hasPrefix("1.") else { throw node.refused("ociVersion", "'\(version)' is not a version 1") }
    if let root = try node.object("root") {
      self.root = Root(path: try root.needed("path"), readonly: try root.bool("readonly"))
    }
    process = try node.object("process").map { (process) throws(ZoneError) in try BundleProcess(process) }
    hostname = try node.string("hostname")
    domainname = try node.string("domainname")
    mounts = []
    for mount in try node.objects("mounts") { mounts.append(try BundleMount(mount)) }
    hooks = try BundleHooks(node.object("hooks"))
    annotations = try node.texts("annotations")
    linux = try BundleLinux(node.object("linux"))
    for other in ["solaris", "windows", "vm", "zos", "freebsd"] where node.has(other) {
      // A bundle for several platforms may have them; this one is Linux, and says nothing of theirs.
      guard node.has("linux") else { throw node.refused(other, "is not for Linux") }
    }
  }
}

/// A program that the runtime executes at a point of the container's life, with its state as standard input.
struct BundleHook: Sendable {
  var path: String
  var arguments: [String]
  var environment: [String]
  /// Seconds, from 1 on; nil: as long as it takes.
  var timeout: UInt32?

  init(_ node: BundleNode) throws(ZoneError) {
    path = try node.needed("path")
    guard path.hasPrefix("/") else { throw node.refused("path", "'\(path)' is not absolute") }
    arguments = try node.strings("args")
    if arguments.isEmpty { arguments = [path] }
    environment = try node.strings("env")
    timeout = try node.number("timeout")
    if timeout == 0 { throw node.refused("timeout", "0 is less than a second") }
  }
}

struct BundleHooks: Sendable {
  /// In the runtime's namespaces, after the container's were made and before its root is entered; the first one is
  /// the older word for the second.
  var prestart: [BundleHook] = []
  var createRuntime: [BundleHook] = []
  /// In the container's namespaces, before its root is entered.
  var createContainer: [BundleHook] = []
  /// In the container, before the process is executed.
  var startContainer: [BundleHook] = []
  /// In the runtime's namespaces, after the process was executed, and after the container was deleted.
  var poststart: [BundleHook] = []
  var poststop: [BundleHook] = []

  /// None is to run before the container is made.
  var isEmptyUntilCreated: Bool { [prestart, createRuntime, createContainer].allSatisfy { $0.isEmpty } }

  /// None is to run before the process was executed, or right after.
  var isEmptyUntilStarted: Bool { isEmptyUntilCreated && startContainer.isEmpty && poststart.isEmpty }

  init(_ node: BundleNode?) throws(ZoneError) {
    guard let node else { return }
    prestart = try Self.hooks(node, "prestart")
    createRuntime = try Self.hooks(node, "createRuntime")
    createContainer = try Self.hooks(node, "createContainer")
    startContainer = try Self.hooks(node, "startContainer")
    poststart = try Self.hooks(node, "poststart")
    poststop = try Self.hooks(node, "poststop")
  }

  private static func hooks(_ node: BundleNode, _ key: String) throws(ZoneError) -> [BundleHook] {
    var hooks: [BundleHook] = []
    for hook in try node.objects(key) { hooks.append(try BundleHook(hook)) }
    return hooks
  }
}
