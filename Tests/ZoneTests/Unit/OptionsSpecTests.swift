import CommandLineTable
import ResourceControl
import Testing
import VirtualNet

@testable import ZoneRuntime

/// The settings of a zone by the names of their options.
@Suite struct OptionsSpecTests {
  func apply(_ words: String..., to base: ZoneSpec = ZoneSpec(name: "web")) throws(SyntaxError) -> ZoneSpec {
    var spec = base
    _ = try SpecKeys.apply(words, to: &spec)
    return spec
  }

  func refusal(_ words: String...) -> String {
    var spec = ZoneSpec(name: "web")
    do {
      _ = try SpecKeys.apply(words, to: &spec)
      return "taken"
    } catch { return error.description }
  }

  /// An option that nothing reads would be parsed and ignored.
  @Test func everyOptionOfAZoneIsASetting() {
    let spoken = zonectlTable.options(inSet: "zone").map(\.name) + ["env", "workdir", "user", "tty"]
    #expect(SpecKeys.table.map(\.name).sorted() == (spoken + ["command"]).sorted())
  }

  @Test func settingsAreWritten() throws {
    let spec = try apply(
      "memory=512M", "cpus=1.5", "cpu-shares=3072", "cpuset=0-1,3", "pids=100", "env.MODE=a=b", "label.tier=front",
      "autostart=true", "restart=on-failure:5", "stop-signal=SIGINT", "stop-timeout=2.5", "hostname=www",
      "user=1000:100",
      "workdir=/srv", "command=sh -c 'echo \"hi there\"'", "network=none", "cap-add=NET_RAW,SYS_TIME", "read-only=true")
    #expect(spec.limits.memory == 512 << 20 && spec.limits.cpus == 1.5 && spec.limits.cpuShares == 3072)
    #expect(spec.limits.cpuset == "0-1,3" && spec.limits.pids == 100)
    #expect(spec.environment == ["MODE": "a=b"] && spec.labels == ["tier": "front"])
    #expect(spec.autostart && spec.restart == .onFailure(limit: 5) && spec.readOnly)
    #expect(spec.stopSignal == "SIGINT" && spec.stopGrace == 2.5)
    #expect(spec.command == ["sh", "-c", "echo \"hi there\""] && spec.network == .none)
    #expect(spec.capAdd == ["NET_RAW", "SYS_TIME"])
  }

  @Test func volumesSecretsAndPorts() throws {
    let spec = try apply(
      "volume=/srv/data:/data:ro", "volume=cache:/var/cache", "volume=/var/lib/Db", "tmpfs=/scratch:64M,/other",
      "secret=key=/etc/key,uid=33", "publish=8080:80,127.0.0.1:53:53/udp")
    #expect(
      spec.volumes == [
        VolumeMount(source: .path("/srv/data"), target: "/data", readOnly: true),
        VolumeMount(source: .volume("cache"), target: "/var/cache"),
        VolumeMount(source: .volume("web-var-lib-db"), target: "/var/lib/Db"),
        VolumeMount(source: .tmpfs(size: 64 << 20), target: "/scratch"),
        VolumeMount(source: .tmpfs(size: nil), target: "/other"),
      ])
    #expect(spec.secrets == [SecretMount(name: "key", file: "/etc/key", uid: 33)])
    #expect(spec.publish.count == 2 && spec.publish[1].transport == .udp)
  }

  @Test func nothingTakesASettingAway() throws {
    let full = try apply(
      "memory=1G", "env.A=1", "env.B=2", "publish=80:80", "restart=always", "stop-timeout=3", "volume=/a")
    let less = try apply("memory=", "env.A=", "publish=", "restart=", "stop-timeout=", "volume=", to: full)
    var expected = ZoneSpec(name: "web")
    expected.environment = ["B": "2"]
    #expect(less == expected)
  }

  /// What `show` prints can be given to `set`.
  @Test func textsReadBackAsTheSameSpec() throws {
    let spec = try apply(
      "image=dir:/srv/root", "memory=1536M", "cpus=0.5", "cpu-shares=2", "cpuset=0", "pids=1", "env.A=x y", "label.b=",
      "volume=/a:/b", "volume=v:/c:ro", "tmpfs=/t:4K", "secret=s=/f", "publish=[::1]:1:2/udp", "command=a '' 'b c'",
      "user=www", "workdir=/w", "hostname=h.example", "network=lan", "network-alias=www", "read-only=true",
      "cap-drop=ALL", "restart=unless-stopped", "autostart=true", "init=true", "tty=true", "nesting=true",
      "stop-signal=HUP", "stop-timeout=0")
    var again = ZoneSpec(name: "web")
    for key in SpecKeys.table { try key.write(options: key.texts(spec), into: &again) }
    #expect(again == spec)
    #expect(SpecKeys.changed(from: spec, to: again).isEmpty)
    #expect(SpecKeys.changed(from: spec, to: try apply("memory=1G", to: spec)).map(\.name) == ["memory"])
  }

  @Test func refusalsAreOneLineAndNameTheNearest() {
    #expect(refusal("memry=1G") == "setting 'memry': no such setting; did you mean memory?")
    #expect(refusal("memory") == "setting 'memory': write KEY=VALUE, memory=512M say")
    #expect(refusal("env=1") == "setting 'env=1': write env.NAME=VALUE")
    #expect(refusal("memory.x=1").hasPrefix("setting 'memory.x': no such setting"))
    for word in [
      "memory=1X", "memory=-1", "memory=0", "cpus=0", "cpus=1e3", "cpus=-1", "cpu-shares=1", "cpuset=3-1", "cpuset=a",
      "pids=0", "pids=+5", "user= ", "user=a:b:c", "workdir=srv", "hostname=a_b", "network=A", "restart=sometimes",
      "autostart=yes", "stop-signal=NONSENSE", "stop-timeout=-1", "volume=data", "volume=/a:/b:/c", "volume=/",
      "volume=a:b",
      "volume=/a:/b/../c", "volume=./x:/y", "tmpfs=relative", "tmpfs=/x:lots", "secret=key", "secret=../x=/f",
      "secret=k=f",
      "secret=k=/f,uid=-1", "publish=99999:1", "cap-add=CAP_NONSENSE", "command='open", "env.=1", "network-alias=A_b",
    ] {
      #expect(refusal(word) != "taken", "\(word)")
      #expect(!refusal(word).contains("\n"))
    }
    #expect(refusal("volume=/a:/x", "volume=/b:/x/").contains("already put at /x"))
    #expect(refusal("secret=k=/a", "secret=k=/b").contains("two of that name"))
  }

  @Test func namesOfKeysComeBackOnceAsSpelled() throws {
    var spec = ZoneSpec(name: "web")
    #expect(try SpecKeys.apply(["env.A=1", "memory=1G", "env.A=2"], to: &spec) == ["env.A", "memory"])
    #expect(spec.environment == ["A": "2"])
  }

  @Test(arguments: [
    ("a b  c", ["a", "b", "c"]), ("'a b' \"c d\"", ["a b", "c d"]), ("a\\ b", ["a b"]), ("''", [""]), ("", []),
    ("x'y'\"z\"", ["xyz"]), ("\"\\$a \\x\"", ["$a \\x"]), ("'it'\\''s'", ["it's"]),
  ]) func words(_ line: String, _ words: [String]) throws { #expect(try ShellWords.split(line) == words) }

  @Test(arguments: 0..<100) func wordsJoinAndSplitBack(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let letters = Array("ab'\"\\ $`\n\té=")
    let words = (0..<Int.random(in: 0...5, using: &random)).map { _ in
      String((0..<Int.random(in: 0...6, using: &random)).map { _ in letters.randomElement(using: &random)! })
    }
    #expect(try ShellWords.split(ShellWords.join(words)) == words)
  }
}
