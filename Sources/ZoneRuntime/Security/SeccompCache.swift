internal import CLinuxNS
internal import CSeccomp
internal import Glibc
internal import LinuxNS

/// Compiled filters, kept as files: making one takes 3 ms, reading it some microseconds.
///
/// A file is `znsbpf01`, the key (16 bytes), a checksum (8 bytes), and the program. Whatever is not as it was written, or
/// could have been written by somebody else, is compiled anew.
public struct SeccompCache: Sendable {
  let directory: String

  /// - Parameter directory: made, 0700, when first written to. Below the data directory, so it outlives a boot.
  public init(directory: String) { self.directory = directory }

  /// The program as seccomp(2) takes it: an array of `struct sock_filter`, 8 bytes each.
  public func bytes(for profile: SeccompProfile) throws(SeccompError) -> [UInt8] {
    let key = SeccompKey(profile)
    if let program = stored(key) { return program }
    let program = try SeccompCompiler.compile(profile)
    // Best effort: a directory that cannot be written costs time and nothing else.
    try? store(program, key)
    return program
  }

  private static let magic = Array("znsbpf01".utf8)
  private static let headerSize = 32

  func name(_ key: SeccompKey) -> String { "seccomp-" + key.text + ".bpf" }
  func path(_ key: SeccompKey) -> String { directory + "/" + name(key) }

  /// nil for a file that is missing, damaged, another's or open to others.
  func stored(_ key: SeccompKey) -> [UInt8]? {
    // The directory too: who can write there could put another of our files in this one's place.
    guard let folder = try? OwnedFD.open(directory, O_RDONLY | O_DIRECTORY), isOurs(folder, S_IFDIR),
      let file = try? OwnedFD.openat(folder.raw, name(key), O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
      isOurs(file, S_IFREG),
      let bytes = try? FileSystem.read(
        file, limit: Self.headerSize + SeccompCompiler.instructionLimit * SeccompCompiler.instructionSize)
    else { return nil }
    let program = Array(bytes.dropFirst(Self.headerSize))
    guard !program.isEmpty, program.count % SeccompCompiler.instructionSize == 0,
      bytes.prefix(Self.headerSize).elementsEqual(Self.header(program, key))
    else { return nil }
    return program
  }

  private func store(_ program: [UInt8], _ key: SeccompKey) throws(SyscallError) {
    try FileSystem.makeDirectories(directory, mode: 0o700)
    try FileSystem.replace(path(key), with: Self.header(program, key) + program)
  }

  private static func header(_ program: [UInt8], _ key: SeccompKey) -> [UInt8] {
    var bytes = magic
    for word in [key.words.0, key.words.1, checksum(program)] {
      withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
    }
    return bytes
  }

  /// Tells a half or damaged file: FNV-1a by words of one instruction instead of bytes. Not meant against somebody who
  /// can write our files: he could write our executable.
  private static func checksum(_ program: [UInt8]) -> UInt64 {
    program.withUnsafeBytes { bytes in
      var hash = SeccompKey.basis ^ UInt64(bytes.count)
      for offset in stride(from: 0, to: bytes.count, by: 8) {
        hash =
          (hash ^ UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
          &* SeccompKey.prime
        hash ^= hash >> 29
      }
      return hash
    }
  }

  private func isOurs(_ file: borrowing OwnedFD, _ type: mode_t) -> Bool {
    var status = stat()
    guard fstat(file.raw, &status) == 0 else { return false }
    return status.st_mode & S_IFMT == type && status.st_uid == geteuid() && status.st_mode & 0o022 == 0
  }
}

/// Everything a compiled filter depends on, in 128 bits: two FNV-1a hashes with different begins. A cryptographic hash
/// would be code of ours or a library in the static executable, against nobody: an attacker has no say in what is
/// hashed beside a set of capabilities and a flag.
struct SeccompKey {
  static let basis: UInt64 = 0xcbf2_9ce4_8422_2325
  static let prime: UInt64 = 0x100_0000_01b3

  let words: (UInt64, UInt64)

  init(_ profile: SeccompProfile) {
    // The header's version: the library is linked statically, from the same package.
    let library = UInt64(SCMP_VER_MAJOR) << 32 | UInt64(SCMP_VER_MINOR) << 16 | UInt64(SCMP_VER_MICRO)
    // Without an array and a stride: their types, made at the first use, cost more than all the rest.
    var words = (Self.basis, ~Self.basis)
    Self.add(profile.capabilities.rawValue, to: &words)
    Self.add((profile.nesting ? 1 : 0) | (profile.shared?.rawValue ?? 0) << 1, to: &words)
    if profile.groups != .all { Self.add(UInt64(profile.groups.rawValue), to: &words) }
    Self.add(Self.machine, to: &words)
    Self.add(library, to: &words)
    Self.add(Self.rulesVersion, to: &words)
    self.words = words
  }

  #if arch(x86_64)
    private static let machine: UInt64 = 1
  #elseif arch(arm64)
    private static let machine: UInt64 = 2
  #else
    #error("the tables of calls know x86-64 and aarch64")
  #endif

  private static func add(_ word: UInt64, to words: inout (UInt64, UInt64)) {
    var rest = word
    var count = 0
    while count < 8 {
      words.0 = (words.0 ^ (rest & 0xff)) &* prime
      words.1 = (words.1 ^ (rest & 0xff)) &* prime
      rest >>= 8
      count += 1
    }
  }

  /// Goes up with every change of SeccompProfile, SeccompTables or SeccompCompiler. Hashing the tables themselves cost
  /// each start 0.2 ms; a test compares all rules with what this number stands for instead.
  static let rulesVersion: UInt64 = 1

  /// 32 hexadecimal digits.
  var text: String {
    String(unsafeUninitializedCapacity: 32) { room in
      for index in 0..<32 {
        let word = index < 16 ? words.0 : words.1
        let digit = UInt8(truncatingIfNeeded: word >> UInt64(60 - index % 16 * 4)) & 0xf
        room[index] = digit < 10 ? 48 + digit : 87 + digit
      }
      return 32
    }
  }
}
