public import LinuxNS

/// Why a layer was not unpacked: the end of a line that begins with the image and the layer.
public struct UnpackFailure: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Kind: Equatable, Sendable {
    /// The unpacker says why: the archive, its content, the disk.
    case refused(String)
    case cancelled
    /// The unpacker ended without a word.
    case ended(ExitStatus)
    /// What it said is nothing that it says.
    case answer(String)
    /// It could not be started or heard.
    case call(SyscallError)
  }

  public var kind: Kind
  /// Why the directory could not be emptied.
  public var leftover: String?
  /// Nothing was written.
  let isUntouched: Bool

  init(_ kind: Kind, isUntouched: Bool = false) {
    self.kind = kind
    self.isUntouched = isUntouched
  }

  public var description: String {
    let words: String =
      switch kind {
      case .refused(let why): why
      case .cancelled: "it was cancelled"
      case .ended(.exited(let code)) where code < 128: "the unpacker ended with status \(code) and no word"
      case .ended(.exited(let code)): Self.killed(code - 128)
      case .ended(.signaled(let number)): Self.killed(number)
      case .answer(let why): "the unpacker said what it never says: \(why)"
      case .call(let error): "cannot start the unpacker: \(error)"
      }
    return leftover.map { "\(words); and what there is of it was not removed: \($0)" } ?? words
  }

  private static func killed(_ signal: CInt) -> String {
    "the unpacker was ended by signal \(signal)" + (signal == 9 ? " (somebody's kill, or memory ran out)" : "")
  }
}
