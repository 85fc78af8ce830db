import Foundation
import Glibc
import Testing

/// A folder of files over TLS under the name localhost, as an index of packages: on a port of 127.0.0.1, served by the
/// developer himself outside of all walls.
final class TLSFolder {
  /// `me.home + "/index"`, which may be filled while it is served. A folder is answered by its index.html.
  let folder: String
  let port: Int
  /// Of the certificate that signs itself, in the project.
  let certificate: String

  static func with(_ me: Developer, _ body: (TLSFolder) throws -> Void) throws {
    try me.outside(
      """
      mkdir -p ~/index ~/serve
      openssl req -x509 -newkey rsa:2048 -nodes -keyout ~/serve/key.pem -out cert.pem -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost 2>/dev/null
      cat > ~/serve/serve.py <<'END'
      import functools, http.server, ssl
      handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory='index')
      server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
      context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
      context.load_cert_chain('project/cert.pem', 'serve/key.pem')
      server.socket = context.wrap_socket(server.socket, server_side=True)
      print('port', server.server_address[1], flush=True)
      server.serve_forever()
      END
      """)
    var serve = Command(me.zones.prefix + ["/usr/bin/python3", "serve/serve.py"])
    serve.directory = me.home
    let server = try serve.start()
    defer {
      kill(server.pid, SIGKILL)
      _ = try? server.finish(timeout: 5)
    }
    var port = 0
    try #require(
      server.readUntil { said in
        port = Int(said.dropFirst("port ".count).prefix { $0.isNumber }) ?? 0
        return port != 0 && said.contains("\n")
      })
    try body(TLSFolder(me, port))
  }

  private init(_ me: Developer, _ port: Int) {
    folder = me.home + "/index"
    certificate = me.project + "/cert.pem"
    self.port = port
  }

  /// The option by which a sandbox may reach it and nothing else.
  var allowed: [String] { ["--network", "allow=localhost:\(port)"] }
  var url: String { "https://localhost:\(port)" }
}
