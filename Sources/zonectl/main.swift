import CommandLineTable
import Glibc
import LinuxNS
import ZoneRuntime

// Modes are what the code says, whatever the caller's umask is: control groups made closed would stop their zones.
umask(0o022)

if OCIName.isOurs { OCIProgram.main(Array(CommandLine.arguments.dropFirst())) }

// Only what a start needs is touched here: the table, the parser, one verb.
do throws(UsageError) {
  switch try zonectlTable.parse(Array(CommandLine.arguments.dropFirst())) {
  case .help(let verb):
    Output.write(verb.map(zonectlTable.help) ?? zonectlTable.help())
  case .version:
    Output.line("\(zonectlTable.program) \(zonectlTable.version)")
  case .run(let invocation):
    Heap.setStatusWhenShort(Failure.status(.refused(""), of: invocation))
    do throws(ZoneError) {
      exit(try action(of: invocation)(invocation))
    } catch {
      exit(Failure.tell(error, of: invocation))
    }
  }
} catch {
  exit(Failure.tell(.commandLine(error), of: nil))
}
