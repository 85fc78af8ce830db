import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// A classic BPF machine (linux/filter.h), so far as filters use it. `arguments` are the first of six.
func runFilter(_ program: [UInt8], _ machine: UInt32, _ number: UInt32, _ arguments: [UInt64]) -> UInt32 {
  var data = [number, machine, 0, 0]
  for index in 0..<6 {
    let argument = index < arguments.count ? arguments[index] : 0
    data += [UInt32(truncatingIfNeeded: argument), UInt32(argument >> 32)]
  }
  var (at, accumulator) = (0, UInt32(0))
  while at * 8 < program.count {
    let word = program[at * 8..<at * 8 + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let (code, yes, no, k) = (
      UInt16(truncatingIfNeeded: word), Int(word >> 16 & 0xff), Int(word >> 24 & 0xff), UInt32(word >> 32)
    )
    at += 1
    switch code {
    case 0x20: accumulator = data[Int(k) / 4]
    case 0x54: accumulator &= k
    case 0x05: at += Int(k)
    case 0x15: at += accumulator == k ? yes : no
    case 0x25: at += accumulator > k ? yes : no
    case 0x35: at += accumulator >= k ? yes : no
    case 0x45: at += accumulator & k != 0 ? yes : no
    case 0x06: return k
    default: fatalError("instruction \(code) at \(at - 1)")
    }
  }
  fatalError("the program has no end")
}

private let standard = SeccompProfile(capabilities: .zoneDefault)

@Suite struct SeccompTests {
  @Test func everyCallIsInOneTable() {
    var seen: [String: Int] = [:]
    let tables =
      [SeccompTables.allowed, SeccompTables.allowedNewer, SeccompTables.refused]
      + SeccompTables.conditional.map(\.calls)
    for name in tables.flatMap(SeccompTables.names) + SeccompTables.special { seen[name, default: 0] += 1 }
    #expect(seen.filter { $0.value != 1 }.isEmpty)
    // Each is a call of some machine, and each call of a machine is in a table.
    let machines = [
      SeccompCompiler.tokenX8664, SeccompCompiler.tokenX86, SeccompCompiler.tokenAArch64, SeccompCompiler.tokenARM,
    ]
    var known: Set<String> = []
    for machine in machines {
      for number in Array(UInt32(0)..<1000) + Array(0x0f_0000..<0x0f_0100) {
        guard let name = SeccompCallTable.name(of: number, machine) else { continue }
        known.insert(name)
        #expect(seen[name] == 1, "\(name) of machine \(String(machine, radix: 16))")
      }
    }
    #expect(Set(seen.keys) == known)
  }

  /// The whole program, run by a machine of ours, against the tables: for every number of every machine.
  @Test func theProgramIsWhatTheTablesSay() throws {
    let pairs = [
      [SeccompCompiler.tokenX8664, SeccompCompiler.tokenX86],
      [SeccompCompiler.tokenAArch64, SeccompCompiler.tokenARM],
    ]
    for capabilities in [CapabilitySet.zoneDefault, .known(last: .checkpointRestore)] {
      let profile = SeccompProfile(capabilities: capabilities)
      var answers: [String: UInt32] = [:]
      for rule in profile.plainRules() { answers[rule.call] = SeccompCompiler.value(of: rule.action) }
      for architectures in pairs {
        let program = try SeccompCompiler.compile(profile, architectures: architectures)
        #expect(program.count / 8 < 600)
        for machine in architectures {
          for number in Array(UInt32(0)..<700) + Array(0x0f_0000..<0x0f_0020) + [
            0x0eff_ff, 0x4000_0000, 0x4000_0027, 0x7fff_ffff, .max,
          ] {
            // Arguments that no rule tests for: flags of nothing, family 0xfffffff0.
            let told = runFilter(program, machine, number, [0xffff_ff00_ffff_ff00 & ~0x7e02_0080, 0])
            let name = SeccompCallTable.name(of: number, machine)
            #expect(
              told == name.flatMap { answers[$0] } ?? 0x0005_0026,
              "\(number) \(name ?? "") of \(String(machine, radix: 16))")
          }
        }
        for machine: UInt32 in [0, 0x8000_0016, .max, 0xc000_00f3] {
          #expect(runFilter(program, machine, 1, [0]) == 0x0005_0026)
        }
      }
    }
  }

  @Test func rulesChangeOnlyWithTheirVersion() {
    // Where this fails on purpose: raise SeccompKey.rulesVersion, then write the new number here.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for nesting in [false, true] {
      for capabilities in [CapabilitySet.zoneDefault, .known(last: .checkpointRestore), []] {
        let profile = SeccompProfile(capabilities: capabilities, nesting: nesting)
        for rule in profile.argumentRules(sockets: true) + profile.plainRules() {
          for byte in "\(rule)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
      }
    }
    #expect(SeccompKey.rulesVersion == 1)
    #expect(hash == 15_442_756_642_852_194_272)
  }

  @Test func profilesDiffer() throws {
    var profiles: [[UInt8]] = []
    for nesting in [false, true] {
      for capabilities in [
        CapabilitySet.zoneDefault, CapabilitySet.zoneDefault.union(CapabilitySet([.sysAdmin])),
        CapabilitySet([.netRaw]),
      ] {
        let program = try SeccompCompiler.compile(SeccompProfile(capabilities: capabilities, nesting: nesting))
        #expect(program.count % 8 == 0)
        #expect(program.count / 8 <= SeccompCompiler.instructionLimit)
        profiles.append(program)
      }
    }
    #expect(Set(profiles).count == profiles.count)
    #expect(try SeccompCompiler.compile(standard) == profiles[0])
  }

  @Test func theCacheGivesWhatWasCompiled() throws {
    try withTemporaryFolder { folder in
      let cache = SeccompCache(directory: "\(folder)/cache")
      let key = SeccompKey(standard)
      #expect(cache.stored(key) == nil)
      let program = try cache.bytes(for: standard)
      #expect(cache.stored(key) == program)
      #expect(try cache.bytes(for: standard) == program)
      #expect(try FileSystem.list("\(folder)/cache").count == 1)
      _ = try cache.bytes(for: SeccompProfile(capabilities: [], nesting: true))
      #expect(try FileSystem.list("\(folder)/cache").count == 2)
      #expect(try FileSystem.status("\(folder)/cache").st_mode & 0o777 == 0o700)
    }
  }

  @Test func damagedFilesAreCompiledAnew() throws {
    try withTemporaryFolder { folder in
      let cache = SeccompCache(directory: folder)
      let key = SeccompKey(standard)
      let path = cache.path(key)
      let program = try cache.bytes(for: standard)
      let good = try FileSystem.read(path)
      var flipped = good
      flipped[good.count / 2] ^= 1
      var versioned = good
      versioned[7] ^= 1
      var swapped = good
      swapped[12] ^= 0x80
      let damages: [[UInt8]] = [
        [], Array(good.dropLast(8)), Array(good.dropLast(3)), Array(good.prefix(32)), good + [0, 0, 0, 0, 0, 0, 0, 0],
        flipped, versioned, swapped,
        Array(repeating: 0, count: good.count), Array(repeating: 0x41, count: 1 << 20),
      ]
      for damage in damages {
        try FileSystem.replace(path, with: damage)
        #expect(cache.stored(key) == nil)
        #expect(try cache.bytes(for: standard) == program)
        #expect(try FileSystem.read(path) == good)
      }
    }
  }

  @Test func anotherProfilesFileInItsPlaceIsNotTaken() throws {
    try withTemporaryFolder { folder in
      let cache = SeccompCache(directory: folder)
      let wide = SeccompProfile(capabilities: .zoneDefault, nesting: true)
      _ = try cache.bytes(for: wide)
      try FileSystem.call("link", nil) { link(cache.path(SeccompKey(wide)), cache.path(SeccompKey(standard))) }
      #expect(cache.stored(SeccompKey(standard)) == nil)
    }
  }

  @Test func filesThatOthersCouldHaveMadeAreNotTaken() throws {
    try withTemporaryFolder { folder in
      let cache = SeccompCache(directory: folder)
      let key = SeccompKey(standard)
      let path = cache.path(key)
      let program = try cache.bytes(for: standard)
      for mode: UInt32 in [0o620, 0o602, 0o666] {
        chmod(path, mode)
        #expect(cache.stored(key) == nil, "mode \(String(mode, radix: 8))")
      }
      chmod(path, 0o600)
      #expect(cache.stored(key) == program)
      for mode: UInt32 in [0o720, 0o777] {
        chmod(folder, mode)
        #expect(cache.stored(key) == nil, "directory \(String(mode, radix: 8))")
      }
      chmod(folder, 0o700)
      rename(path, "\(folder)/elsewhere")
      symlink("\(folder)/elsewhere", path)
      #expect(cache.stored(key) == nil)
      unlink(path)
      mkfifo(path, 0o600)
      #expect(cache.stored(key) == nil)
      unlink(path)
      rename("\(folder)/elsewhere", path)
      if geteuid() == 0 {
        chown(path, 12345, 0)
        #expect(cache.stored(key) == nil)
      }
    }
  }

  @Test func aFolderThatCannotBeWrittenCostsOnlyTime() throws {
    #expect(try SeccompCache(directory: "/proc/no/such").bytes(for: standard).count > 0)
  }
}
