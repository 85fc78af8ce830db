/// What was read of bytes that a stranger sends piece by piece.
enum Reading<Value> {
  /// As far as it came it is right.
  case incomplete
  /// Never right, whatever follows: why.
  case wrong(String)
  /// It, and how many bytes it took.
  case complete(Value, length: Int)
}

extension Reading: Equatable where Value: Equatable {}
