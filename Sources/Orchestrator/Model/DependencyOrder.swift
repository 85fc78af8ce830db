/// The order in which services come up: each after those it depends on, otherwise by name, so that it never varies.
enum DependencyOrder {
  /// The services on a circle, the first repeated at the end: `a -> b -> a`.
  struct Circle: Error, Equatable { var services: [String] }

  static func sorted(_ dependencies: [String: Set<String>]) throws(Circle) -> [String] {
    var order: [String] = []
    var done: Set<String> = []
    var path: [String] = []

    func visit(_ service: String) throws(Circle) {
      if done.contains(service) { return }
      if let start = path.firstIndex(of: service) { throw Circle(services: path[start...] + [service]) }
      path.append(service)
      for dependency in dependencies[service, default: []].sorted() { try visit(dependency) }
      path.removeLast()
      done.insert(service)
      order.append(service)
    }
    for service in dependencies.keys.sorted() { try visit(service) }
    return order
  }
}
