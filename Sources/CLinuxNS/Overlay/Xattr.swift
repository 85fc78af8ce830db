internal import CLinuxNS
internal import Glibc

/// An extended attribute (xattr(7)); its name is bytes, as a file's is.
public struct Xattr: Equatable, Sendable {
  public var name: [UInt8]
  public var value: [UInt8]

  public init(name: [UInt8], value: [UInt8]) {
    self.name = name
    self.value = value
  }

  public init(_ name: String, _ value: String) { self.init(name: Array(name.utf8), value: Array(value.utf8)) }

  public func has(prefix: String) -> Bool { name.starts(with: prefix.utf8) }
  public func isNamed(_ name: String) -> Bool { self.name.elementsEqual(name.utf8) }

  /// All that the caller may see of a file or directory, in the order of their names' bytes. A file system without any
  /// has none.
  public static func all(of file: borrowing OwnedFD, _ name: BytePath) throws(SyscallError) -> [Xattr] {
    // XATTR_LIST_MAX and XATTR_SIZE_MAX.
    var names = [UInt8](repeating: 0, count: 65536)
    let count = names.withUnsafeMutableBytes {
      zns_list_xattrs(file.raw, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    if count == -Int(EOPNOTSUPP) || count == 0 { return [] }
    try check(count, "listxattr", name.words)
    var found: [Xattr] = []
    var value = [UInt8](repeating: 0, count: 65536)
    for attribute in names[..<count].split(separator: 0) {
      let attribute = Array(attribute)
      let got = value.withUnsafeMutableBytes { room in
        attribute.withCString { zns_get_xattr(file.raw, $0, room.baseAddress, room.count) }
      }
      if got == -Int(ENODATA) { continue }  // it went meanwhile
      try check(got, "getxattr", name.words)
      found.append(Xattr(name: attribute, value: Array(value[..<got])))
    }
    return found.sorted { $0.name.lexicographicallyPrecedes($1.name) }
  }

  public func set(on file: borrowing OwnedFD, _ path: BytePath) throws(SyscallError) {
    let result = value.withUnsafeBytes { value in
      name.withCString { zns_set_xattr(file.raw, $0, value.baseAddress, value.count) }
    }
    try check(result, "setxattr \(BytePath(name).words)", path.words)
  }

  /// A missing one is fine.
  public static func remove(_ name: [UInt8], of file: borrowing OwnedFD, _ path: BytePath) throws(SyscallError) {
    let result = name.withCString { zns_remove_xattr(file.raw, $0) }
    if result == -Int(ENODATA) { return }
    try check(result, "removexattr \(BytePath(name).words)", path.words)
  }
}
