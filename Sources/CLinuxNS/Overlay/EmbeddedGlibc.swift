#if hasFeature(Embedded)
  internal import CLinuxNS

  // What is used of that which the Glibc module of a whole Swift adds to the C library's headers; ours (Sources/Glibc)
  // has the headers alone, and Embedded Swift no CommandLine. Swift imports no macro that computes, and takes those of plain numbers as Int32.

  /// errno(3).
  public var errno: CInt {
    get { zns_errno().pointee }
    set { zns_errno().pointee = newValue }
  }

  public var S_IFMT: UInt32 { 0o170_000 }
  public var S_IFSOCK: UInt32 { 0o140_000 }
  public var S_IFLNK: UInt32 { 0o120_000 }
  public var S_IFREG: UInt32 { 0o100_000 }
  public var S_IFBLK: UInt32 { 0o060_000 }
  public var S_IFDIR: UInt32 { 0o040_000 }
  public var S_IFCHR: UInt32 { 0o020_000 }
  public var S_IFIFO: UInt32 { 0o010_000 }

  public enum CommandLine {
    public static var arguments: [String] {
      var words: [String] = []
      var next = zns_arguments()
      while let word = next?.pointee {
        words.append(String(cString: word))
        next = next?.successor()
      }
      return words
    }
  }
#endif
