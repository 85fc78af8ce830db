/// What a container's process is executed with. Of variables by one name the last counts, as with runc: `exec --env` replaces
/// what the bundle says. And there is a HOME, which programs count on; engines leave it to the runtime.
struct ContainerEnvironment: Sendable {
  private(set) var variables: [String] = []
  /// Which of them is HOME, where nobody has said it, or said it to be empty: `/`, until the stage has found another one.
  private(set) var homeToFind: Int?
  /// The folders that a command without a slash is looked for in.
  private(set) var searchPath = LaunchPlanner.searchPath

  /// - Parameter wanted: NAME=VALUE each.
  init(_ wanted: [String]) {
    var known: Set<String> = []
    var hasHome = false
    for variable in wanted.reversed() {
      let name = String(Substring(variable.utf8.prefix { $0 != UInt8(ascii: "=") }))
      guard known.insert(name).inserted, variable != "HOME=" else { continue }
      if name == "HOME" { hasHome = true }
      if name == "PATH" { searchPath = String(Substring(variable.utf8.dropFirst(5))) }
      variables.append(variable)
    }
    variables.reverse()
    if hasHome { return }
    homeToFind = variables.count
    variables.append("HOME=/")
  }
}
