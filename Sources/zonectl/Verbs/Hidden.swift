import CommandLineTable
import VirtualNet
import ZoneRuntime

/// Verbs that our own processes call; their arguments are ours.

/// A keeper's last act: restart by the policy, or clean up.
func zoneEnded(_ context: Context) throws(ZoneError) -> Int32 {
  guard context.invocation.command.count == 1 else {
    throw .commandLine(.missingOperand("NAME", verb: "zone-ended", grammar: "NAME"))
  }
  try context.zones.zoneEnded(context.invocation.command[0])
  return 0
}

/// The names helper of a network: serves until the last zone has left.
func networkNames(_ context: Context) throws(ZoneError) -> Int32 {
  guard context.invocation.command.count == 1 else {
    throw .commandLine(.missingOperand("NETWORK", verb: "network-names", grammar: "NETWORK"))
  }
  let directories = context.zones.directories
  NamesServer.run(
    NetworkDirectories(data: directories.shared, run: directories.sharedRun, instanceTag: directories.tag),
    network: context.invocation.command[0])
}

/// The same for an ordinary user's network; it also holds the network's namespaces and relays its published ports.
func userNetwork(_ invocation: Invocation) throws(ZoneError) -> Int32 {
  guard invocation.command.count == 3 else {
    throw .commandLine(.missingOperand("NETWORK", verb: "user-network", grammar: "DATA RUN NETWORK"))
  }
  NamesServer.run(
    NetworkDirectories(data: invocation.command[0], run: invocation.command[1], instanceTag: ""),
    network: invocation.command[2], ofUser: true)
}

/// The proxy of a zone that has no route, started by `EgressProxy`: an argument is a rule.
func egressProxy(_ invocation: Invocation) throws(ZoneError) -> Int32 {
  guard !invocation.command.isEmpty else {
    throw .commandLine(.missingOperand("RULE", verb: "egress-proxy", grammar: "RULE…"))
  }
  EgressServer.run(invocation.command) { Denial($0).line }
}

/// The watcher of a sandbox, started by `SandboxWatch`.
func sandboxWatch(_ invocation: Invocation) throws(ZoneError) -> Int32 { Watcher.run() }
