import Foundation
import Glibc
import LinuxNS
import Testing

@testable import ZoneRuntime

/// The terminal client and a keeper: the words on the socket.
@Suite(.serialized, .ends(within: 1)) struct ConsoleKeeperTests {
  @Test func attachesThenRelaysOutputErrorAndExit() throws {
    let keeper = try FakeKeeper()
    let running = keeper.start()
    #expect(keeper.receive() == [UInt8(ascii: "A")])
    keeper.send("O", Array("out".utf8))
    keeper.send("R", Array("err".utf8))
    keeper.send("Z", [1, 2, 3])  // a later version's word
    keeper.send("X", [9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    #expect(running.outcome() == .ended(.exited(9), oomKilled: false))
    #expect(keeper.written(keeper.output) == Array("out".utf8))
    #expect(keeper.written(keeper.errors) == Array("err".utf8))
  }

  @Test func anEndBySignalIsTold() throws {
    let keeper = try FakeKeeper()
    let running = keeper.start()
    keeper.send("X", [0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0])
    #expect(running.outcome() == .ended(.signaled(SIGKILL), oomKilled: true))
  }

  @Test func inputAndItsEndArePassedOn() throws {
    let keeper = try FakeKeeper()
    let running = keeper.start()
    #expect(keeper.receive() == [UInt8(ascii: "A")])
    var sent = [UInt8]()
    for index in 0..<100_000 { sent.append(UInt8(truncatingIfNeeded: index &* 7)) }
    let feeder = Thread { [fd = keeper.inputEnd, sent] in
      var rest = sent[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
        guard count > 0 else { break }
        rest = rest.dropFirst(count)
      }
      close(fd)
    }
    keeper.inputEnd = -1
    feeder.start()
    var received: [UInt8] = []
    while let message = keeper.receive(), message != [UInt8(ascii: "E")] {
      #expect(message.first == UInt8(ascii: "I") && message.count <= 16384)
      received += message.dropFirst()
    }
    #expect(received == sent)
    keeper.send("X", [0, 0, 0, 0, 0, 0, 0, 0])
    #expect(running.outcome() == .ended(.exited(0), oomKilled: false))
  }

  @Test func ourSignalsGoToTheCommandWhereNoTerminalCarriesThem() throws {
    let keeper = try FakeKeeper()
    let running = keeper.start { $0.forwardsSignals = true }
    #expect(keeper.receive() == [UInt8(ascii: "A")])
    running.signal(SIGINT)
    #expect(keeper.receive() == [UInt8(ascii: "K"), UInt8(SIGINT), 0, 0, 0])
    keeper.send("X", [130, 0, 0, 0, 0, 0, 0, 0])
    #expect(running.outcome() == .ended(.exited(130), oomKilled: false))
  }

  @Test func aKeeperThatGoesAwayIsTold() throws {
    let keeper = try FakeKeeper()
    let running = keeper.start()
    keeper.send("O", Array("last".utf8))
    keeper.hangUp()
    #expect(running.outcome() == .lost)
    #expect(keeper.written(keeper.output) == Array("last".utf8))
  }

  @Test func aReaderThatWentAwayEndsTheRelayAndNotTheProcess() throws {
    let keeper = try FakeKeeper()
    keeper.closeOutput()
    let running = keeper.start()
    keeper.send("O", Array("for nobody".utf8))
    #expect(running.outcome() == .interrupted(SIGPIPE))
  }

  /// A slow reader slows the sender down; nothing is lost, and the client does not spin meanwhile.
  @Test func aMegabytePassesThroughASlowReader() throws {
    let keeper = try FakeKeeper()
    let running = keeper.start()
    let sender = Thread {
      for index in 0..<128 { keeper.send("O", [UInt8](repeating: UInt8(index), count: 8192)) }
      keeper.send("X", [0, 0, 0, 0, 0, 0, 0, 0])
    }
    sender.start()
    _ = poll(nil, 0, 200)  // not for a state: time in which a loop that spins shows
    let before = running.spent()
    _ = poll(nil, 0, 300)
    #expect(running.spent() - before < 0.05, "the relay was busy while nothing could move")
    var received: [UInt8] = []
    while received.count < 1_048_576, case let more = keeper.read(keeper.output, milliseconds: 5000), !more.isEmpty {
      received += more
    }
    var sent: [UInt8] = []
    for index in 0..<128 { sent += [UInt8](repeating: UInt8(index), count: 8192) }
    #expect(received == sent)
    #expect(running.outcome() == .ended(.exited(0), oomKilled: false))
  }

  // MARK: detach keys

  @Test func detachKeysAreDockersSyntax() throws {
    #expect(try DetachKeys.parse("ctrl-p,ctrl-q") == .standard)
    #expect(try DetachKeys.parse("a,ctrl-@,ctrl-[,ctrl-_")?.bytes == [97, 0, 27, 31])
    #expect(try DetachKeys.parse("") == nil)
    for wrong in ["ctrl-", "ctrl-pp", "ab", "ctrl-1", "a,,b", "ctrl-p,"] {
      #expect(throws: SyntaxError.self) { try DetachKeys.parse(wrong) }
    }
  }

  /// However the bytes are cut, the same ones pass and the keys are found at the same place.
  @Test(arguments: 0..<100) func theMatcherDoesNotDependOnHowBytesCome(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let keys = try DetachKeys.parse(["a,a,b", "a,b,a,c", "a", "a,a,a,a"][Int(seed % 4)])!
    let input = (0..<60).map { _ in [97, 97, 98, 99][Int.random(in: 0..<4, using: &random)] as UInt8 }
    // What a plain search finds.
    let at = (0...(input.count - keys.bytes.count)).first { input[$0...].starts(with: keys.bytes) }
    var matcher = DetachMatcher(keys)
    var output = ByteQueue()
    var rest = input[...]
    var detached = false
    while !rest.isEmpty && !detached {
      let piece = rest.prefix(Int.random(in: 1...5, using: &random))
      rest = rest.dropFirst(piece.count)
      detached = matcher.feed(piece, into: &output)
    }
    if !detached { matcher.flush(into: &output) }
    #expect(detached == (at != nil))
    #expect(output.withFront(1000) { Array($0) } == Array(input[..<(at ?? input.count)]))
  }
}

/// The keeper's end of the socket, and the pipes that stand for our standard descriptors.
final class FakeKeeper: @unchecked Sendable {  // each descriptor is used by one thread at a time
  private var socket: CInt
  private let client: CInt
  let output: CInt, errors: CInt
  var inputEnd: CInt
  private let ours: [CInt]

  init() throws {
    let pair = try DescriptorPair.sockets(SocketType.packets)
    socket = try pair.first.duplicate().take()
    client = try pair.second.duplicate().take()
    var ends: [CInt] = []
    for _ in 0..<3 {
      let pipe = try OwnedFD.pipe()
      ends.append(try pipe.first.duplicate().take())
      ends.append(try pipe.second.duplicate().take())
    }
    (inputEnd, output, errors) = (ends[1], ends[2], ends[4])
    ours = [ends[0], ends[3], ends[5]]
  }

  deinit {
    for fd in [socket, client, output, errors, inputEnd] + ours where fd >= 0 { close(fd) }
  }

  func start(_ change: (inout TerminalClient) -> Void = { _ in }) -> RunningClient {
    var relay = TerminalClient(input: ours[0], output: ours[1], error: ours[2], isTerminal: false)
    change(&relay)
    let client = client
    return RunningClient { [relay] in
      let socket = OwnedFD(raw: try OwnedFD(raw: client).borrowedDuplicate())
      return try relay.relay(keeper: socket.raw, attaching: true)
    }
  }

  func send(_ kind: Character, _ bytes: [UInt8]) {
    let message = [kind.asciiValue!] + bytes
    _ = Glibc.send(socket, message, message.count, CInt(MSG_NOSIGNAL))
  }

  /// The next message, or nil where none came in time.
  func receive() -> [UInt8]? {
    let bytes = read(socket, milliseconds: 5000)
    return bytes.isEmpty ? nil : bytes
  }

  func hangUp() {
    shutdown(socket, CInt(SHUT_RDWR))
    close(socket)
    socket = -1
  }

  func closeOutput() { dup2(ours[2], output) }

  func written(_ fd: CInt) -> [UInt8] { read(fd, milliseconds: 0) }

  func read(_ fd: CInt, milliseconds: CInt) -> [UInt8] {
    var entry = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, milliseconds) > 0 else { return [] }
    var room = [UInt8](repeating: 0, count: 65536)
    let count = Glibc.read(fd, &room, room.count)
    return count > 0 ? Array(room[0..<count]) : []
  }
}
