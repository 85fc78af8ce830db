import Foundation
import Glibc
import Logging
import Testing

@testable import Orchestrator

@Suite(.serialized) struct PeerTests {
  /// Speaks to the socket as another user. perl-base is on every Debian, and setting both ids cannot be taken back.
  private func ask(_ socket: String, uid: Int) throws -> Command {
    let script = """
      use IO::Socket::UNIX; use Socket;
      my ($path, $uid) = @ARGV;
      if ($uid) { $) = "$uid $uid"; $( = $uid; $< = $> = $uid; die "still root" if $> != $uid || $< != $uid; }
      my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path) or die "connect: $!";
      print $s "GET /v1/version HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n";
      local $/; print <$s>;
      """
    return try Command.run("/usr/bin/perl", ["-e", script, socket, String(uid)], timeout: 20)
  }

  @Test(.enabled(if: geteuid() == 0, "becoming another user needs root"))
  func anotherUserIsRefusedWhateverTheModesAre() async throws {
    let folder = Folder()
    let directories = FleetDirectories(data: "\(folder.path)/d", run: "\(folder.path)/r")
    var daemon = Daemon(
      directories: directories, driver: SimulatedDriver(), executable: "/nonexistent",
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    daemon.idle = 2 * patience
    let running = Task { [daemon] in try await daemon.run() }
    #expect(eventually(10) { (try? ask(directories.socket, uid: 0).output.contains("200 OK")) == true })

    let mode = try FileManager.default.attributesOfItem(atPath: directories.socket)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    let closed = try ask(directories.socket, uid: 65534)
    #expect(closed.status != 0 && closed.errors.contains("connect: Permission denied"), "\(closed)")

    // With every door open the check itself refuses.
    for path in [folder.path, directories.run, directories.runDirectory, directories.socket] {
      try FileManager.default.setAttributes(
        [.posixPermissions: path == directories.socket ? 0o666 : 0o755], ofItemAtPath: path)
    }
    let refused = try ask(directories.socket, uid: 65534)
    #expect(refused.output.hasPrefix("HTTP/1.1 403"), "\(refused)")
    #expect(refused.output.contains("obeys its owner (uid 0) and root alone, not uid 65534"))
    #expect(!refused.output.contains("pid"))
    #expect(try ask(directories.socket, uid: 0).output.contains("200 OK"), "a refusal must not end the server")

    try await running.value
    // Nothing of a daemon that had nothing to do is left.
    #expect(!FileManager.default.fileExists(atPath: directories.stateDirectory))
    #expect(!FileManager.default.fileExists(atPath: directories.runDirectory))
  }

  @Test func twoDaemonsOfOnePlaceCannotBe() async throws {
    let folder = Folder()
    let directories = FleetDirectories(data: "\(folder.path)/d", run: "\(folder.path)/r")
    let first = try await DaemonLock(directories, patience: 1)
    await #expect(throws: FleetError.self) { _ = try await DaemonLock(directories, patience: 0.2) }
    // One that waits gets a lock that counts, though the first took the file away.
    let second = Task { try await DaemonLock(directories, patience: 10).remove() }
    first.remove()
    try await second.value
    #expect(!FileManager.default.fileExists(atPath: directories.lock))
  }
}
