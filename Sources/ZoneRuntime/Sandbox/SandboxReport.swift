internal import Glibc
internal import LinuxNS

/// `--report`: how a sandbox ended and what it took, for programs. Its names do not change.
public struct SandboxReport: JSONObject, Sendable {
  public static let currentVersion = 1
  public static var blank: SandboxReport { SandboxReport(id: "", command: []) }

  public var version = SandboxReport.currentVersion
  /// As `list` and events name the run.
  public var id: String
  public var command: [String]
  /// zonectl's own exit status (VOCABULARY: the command's; 128+n; 125, 126, 127).
  public var status = 0
  /// The command's exit code; nil where a signal ended it, or it never began.
  public var code: Int?
  public var signal: Int?
  public var oomKilled = false
  public var timedOut = false
  /// What failed, where it was zonectl that failed.
  public var error: String?
  /// From zonectl's first instruction, in seconds.
  public var seconds = 0.0
  /// Processor time of the command and all its children, in seconds (getrusage(2)).
  public var userSeconds = 0.0
  public var systemSeconds = 0.0
  /// Of the largest of its processes, in bytes (getrusage(2), ru_maxrss).
  public var peakMemory: Int64 = 0

  /// What the sandbox was refused, as far as somebody stood there.
  public var denials: [Denial] = []
  /// With `--review`: what apply would bring into the project, `A path`, `M path`, `D path`; nil without it.
  public var changes: [String]?

  public init(id: String, command: [String]) {
    self.id = id
    self.command = command
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("changes", &changes)
    try json.field("code", &code)
    try json.field("command", &command)
    try json.field("denials", &denials)
    try json.field("error", &error)
    try json.field("id", &id)
    try json.field("oomKilled", &oomKilled)
    try json.field("peakMemory", &peakMemory)
    try json.field("seconds", &seconds)
    try json.field("signal", &signal)
    try json.field("status", &status)
    try json.field("systemSeconds", &systemSeconds)
    try json.field("timedOut", &timedOut)
    try json.field("userSeconds", &userSeconds)
    try json.field("version", &version)
  }

  /// What our children took that have ended and were waited for: the keeper, and below it the zone.
  public mutating func addUsage() {
    var usage = rusage()
    guard getrusage(-1 /* RUSAGE_CHILDREN */, &usage) == 0 else { return }
    let seconds = { (time: timeval) in Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    userSeconds = seconds(usage.ru_utime)
    systemSeconds = seconds(usage.ru_stime)
    peakMemory = Int64(usage.ru_maxrss) * 1024
  }
}

/// Where a report goes: known by descriptor before the command runs, which could put a link on the way afterwards.
public struct ReportFile: ~Copyable {
  private let folder: OwnedFD
  private let name: String

  /// - Parameter path: absolute.
  public init(_ path: String) throws(ZoneError) {
    name = Paths.name(path)
    let parent = FileSystem.parent(of: path)
    folder = try attempt("write the report \(path)") { () throws(SyscallError) in
      try OwnedFD.open(parent, O_RDONLY | O_DIRECTORY)
    }
  }

  public borrowing func write(_ report: SandboxReport) throws(ZoneError) {
    let bytes: [UInt8]
    do throws(JSONError) { bytes = try JSON.encode(report, name: name, pretty: true) } catch { throw .json(error) }
    try attempt("write the report \(name)") { () throws(SyscallError) in
      try FileSystem.replace("/proc/self/fd/\(folder.raw)/\(name)", with: bytes, mode: 0o644)
    }
  }
}
