/// A group of parsers, as something that takes any bytes. Its body is run by libFuzzer (`scripts/fuzz`), and by an
/// ordinary test over the inputs that are kept in Tests/corpora/NAME.
struct FuzzTarget: Sendable {
  let name: String
  /// - Throws: where what the parsers made of the bytes breaks a promise. To end the process breaks one too.
  let run: @Sendable ([UInt8]) throws(Finding) -> Void

  init(_ name: String, _ run: @escaping @Sendable ([UInt8]) throws(Finding) -> Void) {
    self.name = name
    self.run = run
  }

  static let all: [FuzzTarget] = [
    .config, .state, .records, .netlink, .names, .ids, .commandLine, .values, .mounts, .egress, .archive, .images,
  ]
}

/// A promise that did not hold for an input.
struct Finding: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

func hold(_ promise: Bool, _ words: @autoclosure () -> String) throws(Finding) {
  if !promise { throw Finding(words()) }
}

/// What `body` gives; nil where it refuses.
func accepted<Value>(_ body: () throws -> Value) -> Value? {
  do { return try body() } catch {
    // The words of a refusal are made of the input too.
    _ = "\(error)"
    return nil
  }
}

func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
