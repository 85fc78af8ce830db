import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

/// A verb's run: what was asked, and the zones of the place it was asked for.
struct Context {
  let invocation: Invocation
  let zones: Zones

  init(_ invocation: Invocation) throws(ZoneError) {
    self.invocation = invocation
    zones = Zones(try Directories.standard(root: invocation.value(.root))) { Output.complain($0) }
  }

  /// The one NAME of a verb that takes one.
  var name: String { invocation.operands[0] }

  /// Does it to each NAME, or to those of --all; tells every failure and goes on.
  /// - Returns: the exit status: 0, or that of the last failure.
  func each(all: ((ZoneStatus) -> Bool)? = nil, _ body: (String) throws(ZoneError) -> Void) throws(ZoneError) -> CInt {
    var names = invocation.operands
    if invocation.has(.all), let all {
      guard names.isEmpty else { throw .commandLine("\(invocation.verb.name): --all and a NAME exclude each other") }
      names = try zones.list().filter(all).map { $0.name }
    } else if names.isEmpty {
      let wanted = all == nil ? "NAME" : "NAME or --all"
      throw .commandLine(.missingOperand(wanted, verb: invocation.verb.name, grammar: invocation.verb.grammar))
    }
    var status: CInt = 0
    for name in names {
      do { try body(name) } catch { status = Failure.tell(error, of: invocation) }
    }
    return status
  }

  /// Refuses to change a zone that a fleet owns, unless --force was given: the fleet would change it back.
  func mayChange(_ name: String) throws(ZoneError) {
    guard !invocation.has(.force), let fleet = try zones.status(name).spec.fleet else { return }
    throw .refused(
      "cannot \(invocation.verb.name) zone \(name): the fleet \(fleet) owns it (change the fleet, or use --force)")
  }
}

/// How what went wrong is told, and which exit status it has.
enum Failure {
  static func tell(_ error: ZoneError, of invocation: Invocation?) -> CInt {
    Output.complain(error.description)
    return status(error, of: invocation)
  }

  /// VOCABULARY.md: 1 failed, 2 usage; of run and exec 125, 126 and 127, since the command's own statuses are told as
  /// they are. A command line that cannot be read is 2 everywhere: nothing was tried.
  static func status(_ error: ZoneError, of invocation: Invocation?) -> CInt {
    if case .commandLine = error { return 2 }
    let runs = [.run, .exec, .login, .attach, .sandbox, .learn].contains(invocation?.zonectlVerb)
    return runs && error.exitStatus < 126 ? 125 : error.exitStatus
  }
}
