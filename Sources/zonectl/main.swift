import CommandLineTable
import Glibc

do {
  switch try zonectlTable.parse(Array(CommandLine.arguments.dropFirst())) {
  case .help(nil): print(zonectlTable.help(), terminator: "")
  case .help(let verb?): print(zonectlTable.help(verb), terminator: "")
  case .version: print(zonectlTable.version)
  case .run(let i):
    switch i.zonectlVerb {
    case .completion: print(zonectlTable.completion(shell: i.operands[0]) ?? "", terminator: "")
    case .man: print(i.operands.isEmpty ? zonectlTable.manPage() : zonectlTable.manPage(zonectlTable.verb(i.operands[0])!), terminator: "")
    default: print(i)
    }
  }
} catch {
  print("zonectl: \(error)")
  exit(2)
}
