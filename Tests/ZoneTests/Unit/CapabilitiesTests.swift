import LinuxNS
import Testing

@testable import ZoneRuntime

private let known = CapabilitySet.known(last: .checkpointRestore)

@Suite struct CapabilitiesTests {
  @Test func namesAndNumbersAreTheKernels() throws {
    // linux/capability.h, picked over the whole range.
    for (name, number) in [
      ("CHOWN", 0), ("SETPCAP", 8), ("LINUX_IMMUTABLE", 9), ("NET_ADMIN", 12), ("IPC_LOCK", 14), ("SYS_ADMIN", 21),
      ("SYS_RESOURCE", 24), ("MKNOD", 27), ("SETFCAP", 31), ("SYSLOG", 34), ("AUDIT_READ", 37),
      ("CHECKPOINT_RESTORE", 40),
    ] {
      #expect(try Capability(parsing: name).number == UInt8(number))
      #expect(try Capability(parsing: "cap_" + name.lowercased()).description == "CAP_\(name)")
    }
    #expect(Capability.names.count == 41)
    #expect(Capability.names.last == "CHECKPOINT_RESTORE")
    for capability in known.list { #expect(try Capability(parsing: capability.description) == capability) }
    // Every constant by its name.
    let constants: [(Capability, String)] = [
      (.chown, "CHOWN"), (.dacOverride, "DAC_OVERRIDE"), (.dacReadSearch, "DAC_READ_SEARCH"), (.fowner, "FOWNER"),
      (.fsetid, "FSETID"), (.kill, "KILL"), (.setgid, "SETGID"), (.setuid, "SETUID"), (.setpcap, "SETPCAP"),
      (.netBindService, "NET_BIND_SERVICE"), (.netAdmin, "NET_ADMIN"), (.netRaw, "NET_RAW"), (.sysModule, "SYS_MODULE"),
      (.sysRawio, "SYS_RAWIO"), (.sysChroot, "SYS_CHROOT"), (.sysPtrace, "SYS_PTRACE"), (.sysPacct, "SYS_PACCT"),
      (.sysAdmin, "SYS_ADMIN"), (.sysBoot, "SYS_BOOT"), (.sysNice, "SYS_NICE"), (.sysTime, "SYS_TIME"),
      (.sysTtyConfig, "SYS_TTY_CONFIG"), (.mknod, "MKNOD"), (.auditWrite, "AUDIT_WRITE"), (.setfcap, "SETFCAP"),
      (.syslog, "SYSLOG"), (.perfmon, "PERFMON"), (.bpf, "BPF"), (.checkpointRestore, "CHECKPOINT_RESTORE"),
    ]
    for (capability, name) in constants { #expect(capability.description == "CAP_\(name)") }
  }

  @Test func theDefaultIsDockersLessTwo() {
    #expect(CapabilitySet.zoneDefault.rawValue == 0xa804_25fb & ~(1 << 13) & ~(1 << 27))
    #expect(CapabilitySet.zoneDefault.list.count == 12)
  }

  @Test(arguments: ["", "CAP_", "cap", "ALL", "CAP_CAP_KILL", "KILL ", "0", "-1", "CAP_41"])
  func whatIsNoNameIsRefused(_ text: String) {
    #expect(throws: SyntaxError.self) { try Capability(parsing: text) }
  }

  @Test func anErrorNamesTheNearest() {
    do {
      _ = try Capability(parsing: "CAP_NET_ADMN")
      Issue.record("taken")
    } catch {
      #expect(
        error.description
          == "capability 'CAP_NET_ADMN': no such capability, see capabilities(7); did you mean NET_ADMIN?")
    }
  }

  @Test func addAndDrop() throws {
    let start = CapabilitySet.zoneDefault
    #expect(try start.applying(add: [], drop: [], known: known) == start)
    #expect(
      try start.applying(add: ["net_raw"], drop: ["CAP_KILL"], known: known)
        == start.union(CapabilitySet([.netRaw])).subtracting(CapabilitySet([.kill])))
    #expect(try start.applying(add: [], drop: ["all"], known: known).isEmpty)
    #expect(try start.applying(add: ["KILL"], drop: ["ALL"], known: known) == CapabilitySet([.kill]))
    #expect(
      try start.applying(add: ["ALL"], drop: ["SYS_ADMIN"], known: known)
        == known.subtracting(CapabilitySet([.sysAdmin])))
    #expect(
      try start.applying(add: ["KILL"], drop: ["KILL"], known: known) == start.subtracting(CapabilitySet([.kill])))
    #expect(throws: SyntaxError.self) { try start.applying(add: ["KIL"], drop: [], known: known) }
    #expect(throws: SyntaxError.self) { try start.applying(add: [], drop: ["NET_RAWW"], known: known) }
    #expect(throws: SyntaxError.self) { try start.applying(add: ["BPF"], drop: [], known: .known(last: .syslog)) }
  }

  @Test func setsAreStoredAsTheKernelsDigits() throws {
    let bytes = try JSON.encode(CapabilitySet([.kill, .chown]))
    #expect(String(decoding: bytes, as: UTF8.self) == #""0000000000000021""#)
    #expect(try JSON.decode(CapabilitySet.self, from: bytes, name: "caps") == CapabilitySet([.kill, .chown]))
    // Earlier records have the names.
    let names = #"["CAP_CHOWN","CAP_KILL"]"#
    #expect(
      try JSON.decode(CapabilitySet.self, from: Array(names.utf8), name: "caps") == CapabilitySet([.kill, .chown]))
    for bad in [
      #"["ALL"]"#, #"["CAP_NONE"]"#, #""21""#, #""000001000000002g""#, #""+000010000000021""#, #""-000000000000000""#,
      "33",
    ] {
      #expect(throws: JSONError.self, "\(bad)") {
        try JSON.decode(CapabilitySet.self, from: Array(bad.utf8), name: "x")
      }
    }
  }

  @Test func theRunningKernelsLast() throws {
    let last = Capability.last()
    #expect(last.number >= Capability.checkpointRestore.number)
    #expect(CapabilitySet.known(last: last).contains(.checkpointRestore))
    #expect(CapabilitySet.known(last: Capability(number: 63)!).rawValue == .max)
  }
}

@Suite struct CapabilitiesNeighboursSignalsTests {
  @Test func namesAndNumbers() throws {
    for entry in Signals.table {
      #expect(try Signals.number(parsing: entry.name) == entry.number)
      #expect(try Signals.number(parsing: "SIG" + entry.name) == entry.number)
      #expect(try Signals.number(parsing: entry.name.lowercased()) == entry.number)
      #expect(try Signals.number(parsing: String(entry.number)) == entry.number)
      #expect(Signals.name(entry.number) == entry.name)
    }
    #expect(Signals.table.map(\.number) == Array(1...31))
    #expect(try Signals.number(parsing: "RTMIN") == 34)
    #expect(try Signals.number(parsing: "SIGRTMIN+1") == 35)
    #expect(try Signals.number(parsing: "rtmax-1") == 63)
    for number in Int32(1)...64 { #expect(try Signals.number(parsing: Signals.name(number)) == number) }
  }

  @Test(arguments: [
    "", "0", "-1", "-9", "65", "+9", " 9", "9 ", "99999999999", "SIG", "KIL", "RTMIN+", "RTMIN-1", "RTMIN+31",
    "RTMAX+1",
    "RTMIN+1+1", "RTMAX-31", "TERM\n", "0x9", "９", "RTMIN+-1", "SIG9",
  ])
  func whatIsNoSignalIsRefused(_ text: String) {
    #expect(throws: SyntaxError.self) { try Signals.number(parsing: text) }
  }

  @Test func nearestNames() {
    #expect(nearest("TREM", in: ["TERM", "TRAP"]) == "TERM")
    #expect(nearest("kil", in: ["KILL", "ILL"]) == "KILL")
    #expect(nearest("zzzzzz", in: ["KILL", "TERM"]) == nil)
    #expect(nearest("", in: ["A"]) == nil)
    #expect(nearest("x", in: ["y"]) == "y")
    #expect(nearest("image", in: [String]()) == nil)
    #expect(nearest("enviroment", in: ["environment", "env"]) == "environment")
  }
}
