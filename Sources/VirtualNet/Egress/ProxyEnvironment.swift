/// The variables by which programs find a proxy.
enum ProxyEnvironment {
  static func variables(port: UInt16, _ rules: EgressRules) -> [(name: String, value: String)] {
    let proxy = "http://127.0.0.1:\(port)"
    var variables: [(name: String, value: String)] = []
    // In small letters and in capitals: curl reads http_proxy alone, others the capitals. all_proxy is HTTP's as well: a
    // SOCKS address there ends Python programs that have no library for it before they connect at all.
    for (name, value) in [
      ("http_proxy", proxy), ("https_proxy", proxy), ("all_proxy", proxy), ("no_proxy", direct(rules)),
    ] {
      variables.append((name, value))
      variables.append((String(decoding: name.utf8.map { $0 >= 97 ? $0 - 32 : $0 }, as: UTF8.self), value))
    }
    // Node's own fetch and https read the variables above only when they are told to (24; 22 from 22.21 on).
    variables.append(("NODE_USE_ENV_PROXY", "1"))
    return variables
  }

  /// The zone's own loopback is reached without the proxy, but where a rule means the machine's.
  private static func direct(_ rules: EgressRules) -> String {
    let loopback: [(text: String, host: EgressHost)] = ["localhost", "127.0.0.1", "::1"].compactMap { text in
      EgressHost(text).map { (text, $0) }
    }
    return loopback.filter { one in !rules.rules.contains { $0.opens(one.host) } }.map { $0.text }
      .joined(separator: ",")
  }
}
