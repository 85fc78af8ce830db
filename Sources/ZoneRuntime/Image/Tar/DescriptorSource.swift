internal import Glibc
public import LinuxNS

/// A file, a pipe or a socket as a source of bytes.
public struct DescriptorSource: ByteSource, ~Copyable {
  private let file: OwnedFD

  public init(_ file: consuming OwnedFD) { self.file = file }

  public mutating func read(into room: UnsafeMutableRawBufferPointer) throws(ByteSourceError) -> Int {
    while true {
      let got = Glibc.read(file.raw, room.baseAddress, room.count)
      let error = errno
      if got >= 0 { return got }
      if error != EINTR { throw ByteSourceError("read: \(SyscallError.describe(error))") }
    }
  }
}
