import LinuxNS
import Testing

@testable import ZoneRuntime

/// `--change` of commit, and how much of an upload a registry has.
@Suite struct ImageChangeTests {
  @Test(arguments: [
    ("CMD=[\"a\",\"b c\"]", ImageChange.command(["a", "b c"])), ("cmd a b", .command(["/bin/sh", "-c", "a b"])),
    ("CMD=", .command([])), ("ENTRYPOINT [\"x\"]", .entrypoint(["x"])), ("ENV=A=b=c", .environment("A=b=c")),
    ("ENV A b c", .environment("A=b c")), ("EXPOSE=80", .port("80/tcp")), ("EXPOSE 53/udp", .port("53/udp")),
    ("LABEL=a=b c", .label(name: "a", value: "b c")), ("STOPSIGNAL=SIGINT", .stopSignal("SIGINT")),
    ("USER=5:6", .user("5:6")), ("USER=", .user("")), ("VOLUME=/data", .volume("/data")),
    ("WORKDIR  /srv", .workdir("/srv")),
  ])
  func aChangeIsReadAsItIsMeant(text: String, change: ImageChange) throws {
    #expect(try ImageChange(parsing: text) == change)
  }

  @Test(arguments: [
    ("CMD", "WORD=value"), ("ONBUILD=x", "not one of"), ("=x", "not one of"), ("ENV=", "wants a value"),
    ("ENV==x", "NAME=value"), ("ENV=A", "NAME=value"), ("EXPOSE=0", "from 1 to 65535"), ("EXPOSE=65536", "from 1"),
    ("EXPOSE=+80", "from 1"), ("EXPOSE=80/icmp", "from 1"), ("EXPOSE=80/tcp/x", "from 1"),
    ("CMD=[1]", "a list of words"),
    ("CMD=[\"a\"", "a list of words"), ("VOLUME=data", "absolute"), ("WORKDIR=.", "absolute"),
    ("STOPSIGNAL=NONE", "signal"),
  ])
  func whatMeansNothingIsRefused(text: String, why: String) throws {
    let error = #expect(throws: SyntaxError.self) { try ImageChange(parsing: text) }
    #expect("\(try #require(error))".contains(why), "\(String(describing: error))")
  }

  @Test func changesAreTakenInTheirOrder() {
    var image = ImageExecution()
    image.entrypoint = ["e"]
    image.command = ["c"]
    image.environment = ["A=1", "B=2"]
    #expect(image.changed(by: []) == image)
    #expect(image.changed(by: [.entrypoint(["n"])]).command == nil)
    #expect(image.changed(by: [.command(["d"]), .entrypoint(["n"])]).command == ["d"])
    #expect(image.changed(by: [.environment("A=3")]).environment == ["B=2", "A=3"])
    let all = image.changed(by: [
      .port("1/tcp"), .port("1/tcp"), .volume("/a"), .label(name: "x", value: "1"), .user("u"),
    ])
    #expect(all.exposedPorts == JSONKeySet(["1/tcp"]) && all.volumes == JSONKeySet(["/a"]))
    #expect(all.labels == ["x": "1"] && all.user == "u")
  }

  @Test(arguments: [
    ("0-4095", Int64(4096)), ("bytes=0-9", 10), ("0-0", 0), ("0-", nil), ("1-5", nil), ("0-5-6", nil), ("0-+5", nil),
    ("", nil), ("0-9999999999999999999", nil),
  ])
  func aRangeTellsTheNextByte(text: String, next: Int64?) {
    #expect(UploadRange.end(text) == next)
    #expect(UploadRange.end(nil) == nil)
  }
}
