internal import Glibc

/// socket(2)'s types and their flags as the numbers they are: glibc makes an enumeration of them, musl macros.
public enum SocketType {
  #if hasFeature(Embedded)
    public static var stream: CInt { SOCK_STREAM }
    public static var datagram: CInt { SOCK_DGRAM }
    public static var raw: CInt { SOCK_RAW }
    public static var packets: CInt { SOCK_SEQPACKET }
    public static var closeOnExec: CInt { SOCK_CLOEXEC }
    public static var nonBlocking: CInt { SOCK_NONBLOCK }
  #else
    public static var stream: CInt { CInt(SOCK_STREAM.rawValue) }
    public static var datagram: CInt { CInt(SOCK_DGRAM.rawValue) }
    public static var raw: CInt { CInt(SOCK_RAW.rawValue) }
    public static var packets: CInt { CInt(SOCK_SEQPACKET.rawValue) }
    public static var closeOnExec: CInt { CInt(SOCK_CLOEXEC.rawValue) }
    public static var nonBlocking: CInt { CInt(SOCK_NONBLOCK.rawValue) }
  #endif
}
