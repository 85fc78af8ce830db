/// The known name that a mistyped one is most likely to mean, or nil where none is near.
///
/// Distance counts inserted, removed, changed and swapped neighbouring letters (the restricted
/// Damerau-Levenshtein distance); a name further away than a third of its length is no help.
func nearest(_ name: String, in names: some Sequence<String>) -> String? {
  let wanted = Array(name.lowercased().unicodeScalars)
  var best: (name: String, distance: Int)?
  for candidate in names.sorted() {
    let letters = Array(candidate.lowercased().unicodeScalars)
    let distance = editDistance(wanted, letters)
    guard distance <= max(1, max(wanted.count, letters.count) / 3) else { continue }
    if best == nil || distance < best!.distance { best = (candidate, distance) }
  }
  return best?.name
}

/// `; did you mean 'X'?`, or, where nothing is near, the names that would be right.
func suggestion(for name: String, in names: some Sequence<String>) -> String {
  if let near = nearest(name, in: names) { return "; did you mean '\(near)'?" }
  let known = names.sorted()
  return known.isEmpty || known.count > 12 ? "" : "; known: \(known.joined(separator: ", "))"
}

private func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
  guard !a.isEmpty, !b.isEmpty else { return max(a.count, b.count) }
  var beforeLast = [Int](repeating: 0, count: b.count + 1)
  var last = Array(0...b.count)
  for i in 1...a.count {
    var row = [i] + [Int](repeating: 0, count: b.count)
    for j in 1...b.count {
      row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
      if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { row[j] = min(row[j], beforeLast[j - 2] + 1) }
    }
    beforeLast = last
    last = row
  }
  return last[b.count]
}
