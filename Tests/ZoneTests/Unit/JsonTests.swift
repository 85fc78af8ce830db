import Foundation
import ResourceControl
import Testing

@testable import ZoneRuntime

/// Every kind of field there is, nested.
private struct Sample: JSONObject, Equatable {
  enum Level: String, JSONText { case low, high }

  struct Inner: JSONObject, Equatable {
    var port: UInt16
    var note: String?
    static var blank: Inner { Inner(port: 0) }
    mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
      try json.field("note", &note)
      try json.field("port", &port)
    }
  }

  var inner: [Inner] = []
  var level = Level.low
  var maybe: String?
  var nested: [[Int]] = []
  var real = 0.0
  var signed: Int64 = 0
  var table: [String: String] = [:]
  var text = ""
  var unsigned: UInt64 = 0
  var yes = false

  static var blank: Sample { Sample() }

  mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("inner", &inner)
    try json.field("level", &level)
    try json.field("maybe", &maybe)
    try json.field("nested", &nested)
    try json.field("real", &real)
    try json.field("signed", &signed)
    try json.field("table", &table)
    try json.field("text", &text)
    try json.field("unsigned", &unsigned)
    try json.field("yes", &yes)
  }

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
    var table: [String: String] = [:]
    for _ in 0..<Int.random(in: 0...5, using: &source) { table[text(&source)] = text(&source) }
    return Sample(
      inner: (0..<Int.random(in: 0...3, using: &source)).map { _ in
        Inner(
          port: UInt16.random(in: 0 ... .max, using: &source), note: Bool.random(using: &source) ? nil : text(&source))
      },
      level: Bool.random(using: &source) ? .low : .high, maybe: Bool.random(using: &source) ? nil : text(&source),
      nested: (0..<Int.random(in: 0...3, using: &source)).map { count in
        (0..<count).map { _ in Int(truncatingIfNeeded: source.next()) }
      },
      real: real(&source), signed: Int64(bitPattern: source.next()), table: table, text: text(&source),
      unsigned: source.next(), yes: Bool.random(using: &source))
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

private func decode<T: JSONValue>(_ type: T.Type, _ text: String) throws(JSONError) -> T {
  try JSON.decode(type, from: Array(text.utf8), name: "test.json")
}

private func encode(_ value: some JSONValue) throws(JSONError) -> String {
  String(decoding: try JSON.encode(value), as: UTF8.self)
}

private func why<T: JSONValue>(_ type: T.Type, _ text: String) -> String {
  do throws(JSONError) {
    return "read: \(try decode(type, text))"
  } catch {
    return error.description
  }
}

@Suite struct JsonTests {
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
    #expect(try encode(["b": "1", "a": "2", "": "3"]) == #"{"":"3","a":"2","b":"1"}"#)
    #expect(try encode([0.1, 1.5, 10]) == "[0.1,1.5,10.0]")
    #expect(try encode([0.1, 0.30000000000000004]) == "[0.1,0.30000000000000004]")
    #expect(try encode("x") == "\"x\"")
    #expect(try encode("\u{1f}\u{10}\n") == #""\u001f\u0010\u000a""#)
  }

  @Test func whatPeopleReadIsIndented() throws {
    let sample = Sample(inner: [.init(port: 1)], nested: [[], [1, 2]])
    #expect(
      String(decoding: try JSON.encode(sample, pretty: true), as: UTF8.self) == """
        {
          "inner": [
            {
              "port": 1
            }
          ],
          "level": "low",
          "nested": [
            [],
            [
              1,
              2
            ]
          ],
          "real": 0.0,
          "signed": 0,
          "table": {},
          "text": "",
          "unsigned": 0,
          "yes": false
        }

        """)
  }

  @Test func nullAndNoKeyAreTheSame() throws {
    #expect(try decode(Sample.Inner.self, #"{"port":1,"note":null}"#) == Sample.Inner(port: 1))
    #expect(try decode(Sample.Inner.self, #"{"port":1,"more":[{}]}"#) == Sample.Inner(port: 1))
  }

  /// What is in order is read without a search; what is not is found all the same.
  @Test(arguments: [
    #"{"note":"x","port":1}"#, #"{"port":1,"note":"x"}"#, #"{"a":0,"note":"x","o":0,"port":1,"z":0}"#,
    #"{"z":0,"port":1,"o":0,"note":"x","a":0}"#, #"{"":0,"not":0,"note":"x","notes":0,"port":1}"#,
  ])
  func membersAreFoundInAnyOrder(text: String) throws {
    #expect(try decode(Sample.Inner.self, text) == Sample.Inner(port: 1, note: "x"))
  }

  @Test(arguments: [#"{"a":0,"note":"x","z":0}"#, #"{"z":0,"note":"x"}"#, "{}", #"{"ports":1}"#, #"{"por":1}"#])
  func aMissingMemberIsTold(text: String) {
    #expect(why(Sample.Inner.self, text).hasSuffix("key 'port' is missing"))
  }

  @Test func errorsSayWhereAndWhat() {
    #expect(
      why([Int].self, "[1,\n  2,,3]")
        == "cannot read test.json as json: line 2, column 5: expected a value, found ','")
    #expect(why(ZoneSpec.self, #"{"name":"a"}"#) == "cannot read test.json as json: key 'aliases' is missing")
    #expect(
      why([Sample.Inner].self, #"[{"port":1},{"port":65536}]"#)
        == "cannot read test.json as json: at [1].port: expected an integer from 0 to 65535, found 65536")
    #expect(
      why([Sample.Inner].self, #"[{"port":"secret"}]"#)
        == "cannot read test.json as json: at [0].port: expected an integer, found a string")
    #expect(
      why(Brand.self, #""dri:/x""#)
        == "cannot read test.json as json: image 'dri:/x': not one of sparse, dir:PATH, oci:NAME[:TAG|@DIGEST], empty")
    #expect(why([Int].self, "{}") == "cannot read test.json as json: expected an array, found an object")
    #expect(why(Sample.Level.self, #""middle""#).hasPrefix("cannot read test.json as json: word 'middle'"))
    #expect(
      why(VolumeMount.self, #"{"readOnly":true,"source":{},"target":"/"}"#)
        == "cannot read test.json as json: at source: expected one of the keys path, tmpfs and volume")
    #expect(
      why(VolumeMount.self, #"{"readOnly":true,"source":{"path":{"_0":[1]}},"target":"/"}"#)
        == "cannot read test.json as json: at source.path._0: expected a string, found an array")
    var sample = Sample(inner: [.init(port: 1, note: "a\0")])
    #expect(
      throws: JSONError(action: "write", name: "x", position: .path("inner[0].note"), why: "a string with a NUL")
    ) { try JSON.encode(sample, name: "x") }
    sample.inner = []
    #expect(throws: Never.self) { try JSON.encode(sample) }
  }

  @Test(arguments: [
    "", " ", "[", "{\"a\":1", "{\"a\":1,\"a\":1}", "[1] x", "nul", "[01]", "[1.]", "[+1]", "['a']", "[NaN]",
    "[Infinity]",
    "[\"\\ud800\"]", "[\"\\u0000\"]", "{\"\\u0000\":1}", "[18446744073709551616]", "[-9223372036854775809]", "[1e999]",
    "[\"a\nb\"]", "{\"a\":}", "{1:2}", "\u{feff}[]", "/* */[]", "[1,]",
  ])
  func noJSONIsRefused(_ text: String) {
    struct Anything: JSONValue {
      func write(to json: inout JSONWriter) {}
      init(json: JSONNode) {}
    }
    #expect(throws: JSONError.self) { try decode(Anything.self, text) }
  }

  @Test func escapesAreRead() throws {
    #expect(try decode(String.self, #""a\u00e9\ud834\udd1e\n\/\\\"\b\f\r\tz""#) == "aé𝄞\n/\\\"\u{8}\u{c}\r\tz")
    #expect(try decode([String: String].self, #"{"\u0062":"1","a":"\u0032"}"#) == ["b": "1", "a": "2"])
    #expect(try decode(Sample.Inner.self, #"{"\u006eote":"x","p\u006frt":7}"#) == Sample.Inner(port: 7, note: "x"))
  }

  @Test func wholeNumbersAreOf64Bits() throws {
    #expect(try decode(UInt64.self, "18446744073709551615") == .max)
    #expect(try encode([UInt64.max]) == "[18446744073709551615]")
    #expect(try decode(Int64.self, "-9223372036854775808") == .min)
    #expect(try decode(Int64.self, "-0") == 0)
    #expect(try decode(Double.self, "18446744073709551615") == 18_446_744_073_709_551_616)
    #expect(
      why(Int64.self, "9223372036854775808")
        == "cannot read test.json as json: expected an integer from \(Int64.min) to \(Int64.max), found 9223372036854775808"
    )
  }

  /// By their letters, however they are written and wherever they lie.
  @Test(arguments: [
    #"{"a":"","a":""}"#, #"{"a":"","\u0061":""}"#, #"{"b":"","a":"","b":""}"#, #"{"a":"","b":"","a":""}"#,
    #"{"":"","":""}"#,
  ])
  func aKeyTwiceIsRefused(text: String) {
    #expect(why([String: String].self, text).hasSuffix("a key is there twice"))
  }

  @Test func aKeyTwiceAmongManyIsFound() {
    var members = (0..<3000).map { "\"\($0)\":\"\"" }
    var source = Seeded(state: 5)
    members.shuffle(using: &source)
    #expect((try? decode([String: String].self, "{\(members.joined(separator: ","))}"))?.count == 3000)
    members.append("\"1234\":\"\"")
    members.shuffle(using: &source)
    #expect(why([String: String].self, "{\(members.joined(separator: ","))}").hasSuffix("a key is there twice"))
  }

  @Test(arguments: [
    ("", "line 1, column 1: expected a value, found the end"),
    ("{\n \"é\" 1}", "line 2, column 6: expected ':', found '1'"),
    ("[1 2]", "line 1, column 4: expected ',' or ']', found '2'"),
    ("{\"a\":1;", "line 1, column 7: expected ',' or '}', found ';'"),
    ("[1,]", "line 1, column 4: expected a value, found ']'"),
    ("{\"a\":1,}", "line 1, column 8: expected a key, found '}'"),
    ("[\"a", "line 1, column 4: expected '\"', found the end"),
    ("[tru]", "line 1, column 2: expected a value, found a word"),
    ("[01]", "line 1, column 2: a number begins with 0"), ("[-]", "line 1, column 3: expected a digit, found ']'"),
    ("[1.]", "line 1, column 4: expected a digit, found ']'"),
    ("[\"\\x\"]", "line 1, column 3: an escape that JSON has not"),
    ("[] x", "line 1, column 4: expected the end, found 'x'"),
    ("[\u{7f}]", "line 1, column 2: expected a value, found byte 127"),
    ("[\"\\ud834\\u0041\"]", "line 1, column 3: half of a pair of UTF-16"),
    ("[1e400]", "line 1, column 2: a number that 64 bits"),
  ])
  func aMistakeIsToldByItsPlace(text: String, what: String) {
    #expect(why([String].self, text).hasPrefix("cannot read test.json as json: \(what)"), "\(why([String].self, text))")
  }

  /// Foundation's reader, which is another's, reads the same values in whatever this one takes.
  @Test func anotherReaderReadsTheSame() throws {
    var source = Seeded(state: 11)
    let pieces = [
      "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\\n\"", "\"\\u0041é\"", "1", "-2", "0.5", "1e2", "true", "false",
      "null", " ", "\n",
      "\"\"", "-", "\\", "\"",
    ]
    var taken = 0
    for _ in 0..<20_000 {
      let text = (0..<Int.random(in: 1...9, using: &source)).map { _ in pieces.randomElement(using: &source)! }.joined()
      guard let node = try? JSONNode.parse(Array(text.utf8)) else { continue }
      taken += 1
      let other = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
      #expect(try same(node, other), "\(text)")
    }
    #expect(taken > 1000)
  }

  private func same(_ node: JSONNode, _ other: Any) throws -> Bool {
    switch node.kind {
    case .object:
      guard let other = other as? [String: Any], other.count == node.count else { return false }
      return try node.members.allSatisfy {
        try other[$0.key].map { [value = $0.value] in try same(value, $0) } ?? false
      }
    case .array:
      guard let other = other as? [Any], other.count == node.count else { return false }
      return try zip(node.elements, other).allSatisfy { try same($0, $1) }
    case .string: return try node.string() == other as? String
    case .integer, .number: return try node.number() == (other as? NSNumber)?.doubleValue
    case .boolean: return try node.boolean() == other as? Bool
    case .null: return other is NSNull
    }
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
      if let value = try? JSON.decode([String: String].self, from: bytes, name: "fuzz") {
        #expect((try? JSON.decode([String: String].self, from: JSON.encode(value), name: "fuzz")) == value)
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
    #expect(throws: JSONError.self) { try JSON.encode("a\0b") }
    #expect(throws: JSONError.self) { try JSON.encode(["a\0b": "1"]) }
  }

  @Test(arguments: [300, 2000, 100_000])
  func depthIsBounded(depth: Int) {
    // No type of ours holds itself, so a reader goes as deep as its type; the parser stops the document before.
    let deep = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    #expect(throws: JSONError.self) { try decode([[Int]].self, deep) }
  }
}
