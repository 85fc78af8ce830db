internal import ZoneRuntime

/// `; did you mean 'X'?`, or, where nothing is near, the few names that would be right.
func hint(for name: String, in names: some Sequence<String>) -> String {
  if let near = nearest(name, in: names) { return "; did you mean '\(near)'?" }
  let known = names.sorted()
  return known.isEmpty || known.count > 12 ? "" : "; known: \(known.joined(separator: ", "))"
}
