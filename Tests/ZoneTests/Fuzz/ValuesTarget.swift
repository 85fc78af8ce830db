import CommandLineTable
import LinuxNS

@testable import ResourceControl
@testable import VirtualNet
@testable import ZoneRuntime

extension FuzzTarget {
  /// Every syntax of a value, on any word: what is taken has a spelling that is taken as the same.
  static let values = FuzzTarget("values") { (bytes) throws(Finding) in
    // A word of a command line has no NUL. Refusals look for the nearest of many names, which takes its time on long ones.
    let word = text(bytes.prefix(48).filter { $0 != 0 })
    try specValues(word)
    try numbers(word)
    try addresses(word)
    if let words = accepted({ try ShellWords.split(word) }) {
      let again = accepted { try ShellWords.split(ShellWords.join(words)) }
      try hold(again == words, "the words \(words) read as \(again ?? [])")
    }
    _ = accepted { try DetachKeys.parse(word) }
    if let seconds = Invocation.seconds(parsing: word) { try hold(seconds >= 0, "\(seconds) seconds") }
  }

  private static func same<Value: Equatable>(
    _ value: Value?, _ spelling: (Value) -> String, _ read: (String) throws -> Value
  ) throws(Finding) {
    guard let value else { return }
    let text = spelling(value)
    let again = accepted { try read(text) }
    try hold(again == value, "\(value) is spelled '\(text)', which reads as \(again.map { "\($0)" } ?? "nothing")")
  }

  private static func specValues(_ word: String) throws(Finding) {
    try same(accepted { try Brand(parsing: word) }, \.text) { try Brand(parsing: $0) }
    try same(accepted { try NetworkChoice(parsing: word) }, \.text) { try NetworkChoice(parsing: $0) }
    try same(accepted { try RestartPolicy(parsing: word) }, \.text) { try RestartPolicy(parsing: $0) }
    try same(accepted { try SecretMount(parsing: word) }, \.text) { try SecretMount(parsing: $0) }
    let tmpfs = accepted { try VolumeMount(parsingTmpfs: word) }
    let volume = accepted { try VolumeMount(parsing: word, zone: "web") }
    try same(tmpfs, \.text) { try VolumeMount(parsingTmpfs: $0) }
    try same(volume, \.text) { try VolumeMount(parsing: $0, zone: "web") }
    for mount in [tmpfs, volume] {
      guard let target = mount?.target else { continue }
      try hold(target.hasPrefix("/") && target != "/" && !target.split(separator: "/").contains(".."), "at \(target)")
    }
    try same(accepted { try Capability(parsing: word) }, \.description) { try Capability(parsing: $0) }
    if let number = accepted({ try Signals.number(parsing: word) }) {
      try hold((1...64).contains(number), "signal \(number)")
      try same(number, Signals.name) { try Signals.number(parsing: $0) }
    }
  }

  private static func numbers(_ word: String) throws(Finding) {
    if let bytes = accepted({ try ByteSize.parse(word) }) {
      try hold(bytes >= 0, "\(bytes) bytes")
      try same(bytes, ByteSize.text) { try ByteSize.parse($0) }
    }
    if let cpus = accepted({ try CPUCount.parse(word) }) { try hold(cpus >= 0 && cpus.isFinite, "\(cpus) CPUs") }
    if let list = accepted({ try CPUList.parse(word) }) {
      try hold(!list.isEmpty && list.allSatisfy { (0..<8192).contains($0) }, "the CPUs \(list)")
      try same(list, CPUList.text) { try CPUList.parse($0) }
    }
    if let mask = NumberList.numbers(word).map(NumberList.mask) { try hold(mask.count % 8 == 0, "\(mask.count) bytes") }
  }

  private static func addresses(_ word: String) throws(Finding) {
    try same(IPv4Address(word), \.description) { IPv4Address($0) ?? IPv4Address(0) }
    try same(MACAddress(word), \.description) { MACAddress($0) ?? MACAddress(zone: "", network: "") }
    try same(IPv4Subnet(word), \.description) { IPv4Subnet($0) ?? IPv4Subnet(IPv4Address(0), length: 0) }
    try same(IPv6Text.canonical(word), { $0 }) { IPv6Text.canonical($0) ?? "" }
    try same(IPPrefix(word), \.description) { IPPrefix($0) ?? IPPrefix(IPAddress(IPv4Address(0)), length: 0) }
    try same(accepted { try EgressRule(word) }, \.description) { try EgressRule($0) }
    for port in accepted({ try PublishedPort.parse(word) }) ?? [] {
      try hold(port.hostPort > 0 && port.zonePort > 0, "a port of \(port)")
      try same([port], { $0[0].text }) { try PublishedPort.parse($0) }
    }
  }
}
