import Testing

@testable import ResourceControl
@testable import ZoneRuntime

/// `cgroupsPath` as systemd's users write it, and what systemd is told of a container.
@Suite struct ContainerUnitTests {
  @Test(arguments: [
    ("system.slice:box:1", "box-1.scope", "system.slice", "/system.slice/box-1.scope"),
    ("a-b-c.slice:libpod:77", "libpod-77.scope", "a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice/libpod-77.scope"),
    (":box:1", "box-1.scope", "system.slice", "/system.slice/box-1.scope"),
    ("-.slice:box:1", "box-1.scope", "-.slice", "/box-1.scope"),
    ("a.slice::1", "-1.scope", "a.slice", "/a.slice/-1.scope"),
    ("a.slice:x:y+z@é", "x-y\\x2bz\\x40\\xc3\\xa9.scope", "a.slice", "/a.slice/x-y\\x2bz\\x40\\xc3\\xa9.scope"),
    ("a.slice:x:y\\x2bz", "x-y\\x2bz.scope", "a.slice", "/a.slice/x-y\\x2bz.scope"),
    ("::pods-one.slice", "pods-one.slice", "system.slice", "/pods.slice/pods-one.slice"),
    ("pods.slice::pods-one.slice", "pods-one.slice", "pods.slice", "/pods.slice/pods-one.slice"),
    ("-.slice::pods.slice", "pods.slice", "-.slice", "/pods.slice"),
  ])
  func aPathNamesAUnit(path: String, name: String, slice: String, group: String) throws {
    let unit = try ContainerUnit.parse(path, id: "id", ofUser: false)
    #expect(unit == ContainerUnit(name: name, slice: slice, group: group))
  }

  @Test func withoutAPathItIsTheContainers() throws {
    #expect(try ContainerUnit.parse(nil, id: "a+b", ofUser: false).group == "/system.slice/zone-oci-a\\x2bb.scope")
    #expect(try ContainerUnit.parse(nil, id: "a", ofUser: true).group == "/user.slice/zone-oci-a.scope")
    // Ids may be longer than a unit's name.
    let long = try ContainerUnit.parse(nil, id: String(repeating: "x", count: 1024), ofUser: false)
    #expect(long.name.utf8.count < 256 && long.name.hasPrefix("zone-oci-xxx"))
  }

  @Test(arguments: [
    ("/box", "SLICE:PREFIX:NAME"), ("a.slice:x", "SLICE:PREFIX:NAME"), ("a.slice:x:y:z", "SLICE:PREFIX:NAME"),
    ("a.slice:x:", "SLICE:PREFIX:NAME"), ("a:x:y", "'a' is no name of a slice"),
    (".slice:x:y", "is no name of a slice"), ("a--b.slice:x:y", "is no name of a slice"),
    ("-a.slice:x:y", "is no name of a slice"), ("a-.slice:x:y", "is no name of a slice"),
    ("a/b.slice:x:y", "is no name of a slice"), ("a.slice:x:../../y", "has no '/'"), ("a.slice:x/:y", "has no '/'"),
    ("::-.slice", "is no name of a slice"), ("::a--b.slice", "is no name of a slice"),
    ("other.slice::pods-one.slice", "lies in /pods.slice by its name"),
    ("a.slice:x:" + String(repeating: "y", count: 250), "longer than 255 bytes"),
  ])
  func whatNamesNoneIsRefused(path: String, words: String) {
    let error = #expect(throws: ZoneError.self) { try ContainerUnit.parse(path, id: "id", ofUser: false) }
    let line = error.map { "\($0)" } ?? ""
    #expect(line.contains("linux.cgroupsPath") && line.contains(words) && !line.contains("\n"), "\(line)")
  }

  // MARK: values

  @Test(arguments: [
    ("'a \\'b\\''", "s", ["a 'b'"]), ("\"x\"", "s", ["x"]), ("true", "b", ["true"]), (" -5 ", "i", ["-5"]),
    ("uint64 18446744073709551615", "t", ["18446744073709551615"]), ("@t 5", "t", ["5"]), ("1.5", "d", ["1.5"]),
    ("byte 255", "y", ["255"]), ("boolean false", "b", ["false"]), ("objectpath '/a'", "o", ["/a"]),
    ("['a', 'b,]']", "as", ["2", "a", "b,]"]), ("@as []", "as", ["0"]), ("[uint64 1, 2]", "at", ["2", "1", "2"]),
    ("@at [1,2]", "at", ["2", "1", "2"]), ("[[1],[2,3]]", "aai", ["2", "1", "1", "2", "2", "3"]),
  ])
  func valuesOfAnnotations(text: String, signature: String, words: [String]) {
    #expect(VariantText.parse(text) == VariantText.Value(signature: signature, words: words))
  }

  @Test(arguments: [
    "", "a", "'a", "5 6", "byte 256", "2147483648", "uint64 -1", "uint64 'a'", "['a', 1]", "['a'", "[]", "[1,]",
    "@t 'x'", "@ 5", "uint64", "(1, 2)", "{'a': 1}", "0x10", "1e5", "nan", "[1 2]", "true]",
  ])
  func whatIsNoValue(text: String) { #expect(VariantText.parse(text) == nil) }

  @Test func annotationsAreProperties() throws {
    let prefix = "org.systemd.property."
    let read = try SystemdProperty.of([
      ("io.other", "x"), (prefix + "TimeoutStopSec", "1.5"), (prefix + "CollectMode", "'inactive-or-failed'"),
      (prefix + "TimeoutStopUSec", "uint64 7"), (prefix + "RuntimeMaxSec", "uint32 2"),
    ])
    #expect(
      read == [
        SystemdProperty("TimeoutStopUSec", 1_500_000), SystemdProperty("CollectMode", text: "inactive-or-failed"),
        SystemdProperty("TimeoutStopUSec", 7), SystemdProperty("RuntimeMaxUSec", 2_000_000),
      ])
    for (key, value) in [("ab", "1"), ("A-b-c", "1"), ("", "1"), ("Xyz", "x"), ("TimeoutStopSec", "'a'")] {
      let error = #expect(throws: ZoneError.self) { try SystemdProperty.of([(prefix + key, value)]) }
      #expect(error.map { "\($0)".contains("annotations: \(prefix)\(key)") } == true)
    }
  }

  // MARK: limits

  @Test func limitsAreProperties() throws {
    func properties(_ resources: String, version: Int = 257) throws -> [String: String] {
      let config = try BundleConfig.parse(
        Array("{\"ociVersion\":\"1.3.0\",\"linux\":{\"resources\":\(resources)}}".utf8))
      let limits = try #require(config.linux.resources).limits
      let found = try SystemdProperty.of(limits) { () throws(CgroupError) in version }
      return Dictionary(
        uniqueKeysWithValues: found.map { ($0.name, "\($0.signature) \($0.words.joined(separator: " "))") })
    }
    #expect(
      try properties("{\"memory\":{\"limit\":1000,\"swap\":1500,\"reservation\":10},\"pids\":{\"limit\":-1}}") == [
        "MemoryMax": "t 1000", "MemorySwapMax": "t 500", "MemoryLow": "t 10", "TasksMax": "t \(UInt64.max)",
      ])
    // Whole percents, rounded up: the file is the exact one.
    #expect(
      try properties("{\"cpu\":{\"quota\":33333,\"period\":50000,\"shares\":1024,\"cpus\":\"0-1,9\",\"mems\":\"0\"}}")
        == [
          "CPUQuotaPerSecUSec": "t 670000", "CPUQuotaPeriodUSec": "t 50000", "CPUWeight": "t 39",
          "AllowedCPUs": "ay 2 3 2", "AllowedMemoryNodes": "ay 1 1",
        ])
    #expect(
      try properties("{\"cpu\":{\"quota\":-1}}") == [
        "CPUQuotaPerSecUSec": "t \(UInt64.max)", "CPUQuotaPeriodUSec": "t 100000",
      ])
    // What is idle has no weight; systemd knows of it since 252.
    #expect(try properties("{\"cpu\":{\"idle\":1,\"shares\":1024}}") == ["CPUWeight": "t 0"])
    #expect(try properties("{\"cpu\":{\"idle\":1,\"shares\":1024}}", version: 251) == [:])
    #expect(try properties("{\"blockIO\":{\"weight\":10}}") == [:], "of a v2 group it is known with the trees")
    #expect(
      try properties(
        """
        {"memory":{"limit":5},"unified":{"memory.max":"64M","memory.high":"max","cpu.max":"max","io.weight":"default 7",\
        "memory.oom.group":"1","pids.max":"what"}}
        """) == [
          "MemoryMax": "t \(64 << 20)", "MemoryHigh": "t \(UInt64.max)", "CPUQuotaPerSecUSec": "t \(UInt64.max)",
          "CPUQuotaPeriodUSec": "t 100000", "IOWeight": "t 7", "OOMPolicy": "s kill",
        ])
  }

  @Test func answersOfBusctl() {
    #expect(Systemd.quoted("o \"/org/freedesktop/systemd1/job/1\"") == "/org/freedesktop/systemd1/job/1")
    #expect(Systemd.quoted("s \"252.39-1~deb12u2\"") == "252.39-1~deb12u2")
    #expect(Systemd.quoted("").isEmpty)
  }
}
