import ResourceControl
import Testing

@testable import ZoneRuntime

/// Everything a synthesised `Codable` can hold, nested.
private struct Sample: Codable, Equatable {
  indirect enum Shape: Codable, Equatable {
    case point
    case circle(radius: Double, String)
    case group([Shape])
  }
  enum Level: String, Codable { case low, high }

  var text: String
  var signed: Int64
  var unsigned: UInt64
  var tiny: Int8
  var real: Double
  var single: Float
  var yes: Bool
  var maybe: String?
  var holes: [Int?]
  var table: [String: [UInt16]]
  var numbered: [Int: Bool]
  var shape: Shape
  var level: Level

  static func random(_ source: inout some RandomNumberGenerator) -> Sample {
    func text(_ source: inout some RandomNumberGenerator) -> String {
      let letters: [Character] = [
        "a", "\"", "\\", "/", "\n", "\t", "\u{1}", "é", "€", "𝄞", "👩‍👩‍👧", "\u{7f}", "\u{feff}", " ", "ﬀ",
      ]
      return String((0..<Int.random(in: 0...12, using: &source)).map { _ in letters.randomElement(using: &source)! })
    }
    func real(_ source: inout some RandomNumberGenerator) -> Double {
      while true {
        let value = Double(bitPattern: source.next())
        if value.isFinite { return value }
      }
    }
    func single(_ source: inout some RandomNumberGenerator) -> Float {
      while true {
        let value = Float(bitPattern: UInt32(truncatingIfNeeded: source.next()))
        if value.isFinite { return value }
      }
    }
    func shape(_ depth: Int, _ source: inout some RandomNumberGenerator) -> Shape {
      switch Int.random(in: 0...(depth > 5 ? 1 : 2), using: &source) {
      case 0: return .point
      case 1: return .circle(radius: real(&source), text(&source))
      default: return .group((0..<Int.random(in: 0...3, using: &source)).map { _ in shape(depth + 1, &source) })
      }
    }
    var table: [String: [UInt16]] = [:]
    for _ in 0..<Int.random(in: 0...5, using: &source) {
      table[text(&source)] = (0..<Int.random(in: 0...4, using: &source)).map { _ in
        UInt16.random(in: 0 ... .max, using: &source)
      }
    }
    return Sample(
      text: text(&source), signed: Int64(bitPattern: source.next()), unsigned: source.next() >> 1,
      tiny: Int8.random(in: .min ... .max, using: &source), real: real(&source), single: single(&source),
      yes: Bool.random(using: &source), maybe: Bool.random(using: &source) ? nil : text(&source),
      holes: [nil, Int(truncatingIfNeeded: source.next()), nil], table: table,
      numbered: [Int.random(in: -5...5, using: &source): true], shape: shape(0, &source), level: .high)
  }
}

/// SplitMix64, so that a failing seed is a test.
private struct Seeded: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

private func decode<T: Decodable>(_ type: T.Type, _ text: String) throws(JSONError) -> T {
  try JSON.decode(type, from: Array(text.utf8), name: "test.json")
}

private func encode(_ value: some Encodable) throws(JSONError) -> String {
  String(decoding: try JSON.encode(value), as: UTF8.self)
}

private func why<T: Decodable>(_ type: T.Type, _ text: String) -> String {
  do throws(JSONError) {
    return "read: \(try decode(type, text))"
  } catch {
    return error.description
  }
}

@Suite struct JsonCoderTests {
  @Test func whatIsWrittenIsReadBackUnchanged() throws {
    for seed in UInt64(0)..<500 {
      var source = Seeded(state: seed)
      let sample = Sample.random(&source)
      let compact = try JSON.encode(sample)
      #expect(try JSON.decode(Sample.self, from: compact, name: "seed \(seed)") == sample, "seed \(seed)")
      let pretty = try JSON.encode(sample, pretty: true)
      #expect(try JSON.decode(Sample.self, from: pretty, name: "seed \(seed)") == sample, "seed \(seed)")
      #expect(try JSON.encode(JSON.decode(Sample.self, from: compact, name: "")) == compact, "seed \(seed)")
    }
  }

  @Test func keysAreSortedAndRealsAreShort() throws {
    #expect(try encode(["b": 1, "a": 2, "": 3]) == #"{"":3,"a":2,"b":1}"#)
    #expect(try encode([0.1, 1.5, 10]) == "[0.1,1.5,10.0]")
    #expect(try encode([0.1, 0.30000000000000004]) == "[0.10000000000000001,0.30000000000000004]")
    #expect(try encode("x") == "\"x\"")
    #expect(try encode(Int?.none) == "null")
    #expect(try JSON.encode(["a": [Int]()], pretty: true) == Array("{\n  \"a\": []\n}\n".utf8))
  }

  @Test func aSpecIsReadBack() throws {
    var spec = ZoneSpec(name: "web")
    spec.volumes = [
      VolumeMount(source: .volume("data"), target: "/data"), VolumeMount(source: .tmpfs(size: nil), target: "/t"),
    ]
    spec.restart = .onFailure(limit: 3)
    spec.limits.cpus = 1.5
    #expect(try JSON.decode(ZoneSpec.self, from: JSON.encode(spec), name: "spec") == spec)
  }

  @Test func inheritanceKeepsItsPlaceInObjectsAndArrays() throws {
    class Base: Codable {
      var base = 1
      init() {}
    }
    final class Keyed: Base {
      var own = 2
      enum Key: CodingKey { case own }
      override init() { super.init() }
      required init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        own = try values.decode(Int.self, forKey: .own)
        try super.init(from: values.superDecoder())
      }
      override func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Key.self)
        try super.encode(to: values.superEncoder())
        try values.encode(own, forKey: .own)
      }
    }
    struct Listed: Encodable {
      func encode(to encoder: any Encoder) throws {
        var values = encoder.unkeyedContainer()
        let late = values.superEncoder()
        try values.encode(2)
        var nested = values.nestedUnkeyedContainer()
        try nested.encode(3)
        try 1.encode(to: late)
      }
    }
    #expect(try encode(Keyed()) == #"{"own":2,"super":{"base":1}}"#)
    #expect(try decode(Keyed.self, #"{"own":5,"super":{"base":7}}"#).base == 7)
    #expect(try encode(Listed()) == "[1,2,[3]]")
  }

  @Test func errorsSayWhereAndWhat() {
    #expect(
      why([Int].self, "[1,\n  2,,3]")
        == "cannot read test.json as json: line 2, column 5: unexpected token near ','")
    #expect(
      why(ZoneSpec.self, #"{"name":"a"}"#).hasPrefix("cannot read test.json as json: key 'version' is missing"))
    struct Outer: Codable {
      struct Inner: Codable { var port: UInt16 }
      var ports: [Inner]
      var brand: Brand?
    }
    #expect(
      why(Outer.self, #"{"ports":[{"port":1},{"port":65536}]}"#)
        == "cannot read test.json as json: at ports[1].port: expected an integer from 0 to 65535, found 65536")
    #expect(
      why(Outer.self, #"{"ports":[{"port":"secret"}]}"#)
        == "cannot read test.json as json: at ports[0].port: expected an integer, found a string")
    #expect(
      why(Outer.self, #"{"ports":[],"brand":"dri:/x"}"#)
        == "cannot read test.json as json: at brand: image 'dri:/x': not one of sparse, dir:PATH, empty")
    #expect(why([Int].self, "{}") == "cannot read test.json as json: expected an array, found an object")
  }

  @Test(arguments: [
    "", " ", "[", "{\"a\":1", "{\"a\":1,\"a\":1}", "[1] x", "nul", "[01]", "[1.]", "[+1]", "['a']", "[NaN]",
    "[Infinity]",
    "[\"\\ud800\"]", "[\"\\u0000\"]", "{\"\\u0000\":1}", "[9223372036854775808]", "[-9223372036854775809]", "[1e999]",
    "[\"a\nb\"]", "{\"a\":}", "{1:2}", "\u{feff}[]", "/* */[]", "[1,]",
  ])
  func noJSONIsRefused(_ text: String) {
    struct Anything: Decodable { init(from decoder: any Decoder) {} }
    #expect(throws: JSONError.self) { try decode(Anything.self, text) }
  }

  @Test func bytesThatAreNoUTF8AreRefused() {
    for bytes: [UInt8] in [
      [0x22, 0xff, 0x22], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0x61, 0, 0x22],
    ] {
      #expect(throws: JSONError.self) { try JSON.decode(String.self, from: bytes, name: "test") }
    }
  }

  @Test func randomBytesNeverGetThrough() {
    var source = Seeded(state: 7)
    for _ in 0..<2000 {
      let bytes = (0..<Int.random(in: 0...40, using: &source)).map { _ in
        Array("{}[]\",:\\u0019ae.-+ntf\n".utf8).randomElement(using: &source)!
      }
      // Either refused or a value that is written and read again the same.
      if let value = try? JSON.decode([String: [Int]].self, from: bytes, name: "fuzz") {
        #expect((try? JSON.decode([String: [Int]].self, from: JSON.encode(value), name: "fuzz")) == value)
      }
    }
  }

  @Test(arguments: [#"1.0"#, "1e3", "true", "null", "\"1\"", "[]", "-1", "4294967296"])
  func whatIsNoUInt32IsRefused(_ text: String) {
    #expect(throws: JSONError.self) { try decode(UInt32.self, text) }
  }

  @Test func whatJSONCannotHoldIsRefused() {
    #expect(throws: JSONError.self) { try JSON.encode(Double.nan) }
    #expect(throws: JSONError.self) { try JSON.encode([Double.infinity]) }
    #expect(throws: JSONError.self) { try JSON.encode(UInt64.max) }
    #expect(throws: JSONError.self) { try JSON.encode("a\0b") }
    #expect(throws: JSONError.self) { try JSON.encode(["a\0b": 1]) }
    #expect(throws: JSONError.self) { try decode(Float.self, "1e300") }
  }

  @Test func depthIsBounded() throws {
    indirect enum Nest: Codable {
      case leaf
      case more(Nest)
      init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        self = values.isAtEnd ? .leaf : .more(try values.decode(Nest.self))
      }
      func encode(to encoder: any Encoder) throws {
        var values = encoder.unkeyedContainer()
        if case .more(let inner) = self { try values.encode(inner) }
      }
    }
    let fits = String(repeating: "[", count: 250) + String(repeating: "]", count: 250)
    #expect(try encode(decode(Nest.self, fits)) == fits)
    for depth in [300, 2000, 100_000] {
      let deep = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
      #expect(throws: JSONError.self) { try decode(Nest.self, deep) }
    }
    var nest = Nest.leaf
    for _ in 0..<1000 { nest = .more(nest) }
    #expect(throws: JSONError.self) { try JSON.encode(nest) }
  }
}
