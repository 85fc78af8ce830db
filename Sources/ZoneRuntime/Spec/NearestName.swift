/// The name in `names` that `word` was most likely meant to be, for errors: `no capability 'NET_ADMN'; did you mean NET_ADMIN?`.
///
/// - Returns: the one with the fewest changed, added, left out or swapped letters (optimal string alignment), letter
///   case aside; nil where more than a third of the letters, and more than one, would have to change.
public func nearest(_ word: String, in names: some Sequence<String>) -> String? {
  let wanted = Array(word.lowercased().utf8.prefix(128))
  guard !wanted.isEmpty else { return nil }
  var best: (name: String, distance: Int)?
  for name in names {
    let candidate = Array(name.lowercased().utf8.prefix(128))
    let distance = distance(wanted, candidate)
    guard distance <= max(1, max(wanted.count, candidate.count) / 3), distance < best?.distance ?? .max else {
      continue
    }
    best = (name, distance)
  }
  return best?.name
}

/// `; did you mean X?`, or nothing: the end of an error about an unknown name.
public func suggestion(for word: String, in names: some Sequence<String>) -> String {
  nearest(word, in: names).map { "; did you mean \($0)?" } ?? ""
}

private func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var beforeLast = [Int](repeating: 0, count: b.count + 1)
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
      row.append(cost)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
