import Testing

@testable import ZoneRuntime

private let passwd = """
  root:x:0:0:root:/root:/bin/bash
  daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
  www-data:x:33:33:www-data:/var/www:
  alice:x:1000:100:Alice,,,:/home/alice:/bin/zsh
  again:x:1000:101::/other:/bin/sh
  2fast:x:1002:1002::/home/2fast:/bin/sh
  huge:x:4294967296:0::/:/bin/sh
  minus:x:-1:0::/:/bin/sh
  nogid:x:1003::::
  short:x:1004
  relative:x:1005:5::home:/bin/sh
  octal:x:010:0::/:/bin/sh
  +nis

  """
private let group = """
  root:x:0:
  daemon:x:1:alice
  users:x:100:alice
  audio:x:29:bob,alice,www-data
  video:x:44:alicex,xalice
  broken:x:99999999999:
  empty:x:7:,,

  """

private func resolve(_ text: String?, group: String = group) throws(SyntaxError) -> ZoneUser {
  try ZoneUser.resolve(text, passwd: Array(passwd.utf8), group: Array(group.utf8))
}

@Suite struct ZoneUserTests {
  @Test func namesAndNumbers() throws {
    #expect(
      try resolve("alice")
        == ZoneUser(uid: 1000, gid: 100, groups: [100, 1, 29], name: "alice", home: "/home/alice", shell: "/bin/zsh"))
    #expect(try resolve("1000") == resolve("alice"))
    #expect(
      try resolve("1000:100")
        == ZoneUser(uid: 1000, gid: 100, groups: [100], name: "alice", home: "/home/alice", shell: "/bin/zsh"))
    #expect(try resolve("alice:audio").groups == [29])
    #expect(try resolve("alice:4294967294").gid == 4_294_967_294)
    #expect(try resolve(nil) == ZoneUser(uid: 0, gid: 0, groups: [0], name: "root", home: "/root", shell: "/bin/bash"))
    #expect(try resolve("5555") == ZoneUser(uid: 5555, gid: 0, groups: [0], name: nil, home: "/", shell: "/bin/sh"))
    #expect(try resolve("www-data").shell == "/bin/sh")
    #expect(try resolve("2fast").uid == 1002)
    #expect(
      try ZoneUser.resolve(nil, passwd: [], group: [])
        == ZoneUser(uid: 0, gid: 0, groups: [0], name: nil, home: "/", shell: "/bin/sh"))
  }

  @Test(arguments: [
    "", ":", ":0", "0:", "alice:", ":users", "0:0:0", "-1", "+0", "4294967295", "4294967296", "18446744073709551616",
    "00", "01", "0x0",
    " 0", "0 ", "nobody", "alice:nobody", "alice:-1", "alice:4294967295", "huge", "minus", "nogid", "short", "relative",
    "octal", "alice:broken",
    "Alice", "alice\n", "root\0", "１", "1000:", "--", "-", "+nis",
  ])
  func whatIsNotCertainIsRefused(_ text: String) {
    #expect(throws: SyntaxError.self) { try resolve(text) }
  }

  @Test func aNumberIsNeverAName() throws {
    let hostile = Array("1:x:0:0::/root:/bin/sh\n".utf8)
    #expect(try ZoneUser.resolve("1", passwd: hostile, group: []).uid == 1)
    #expect(try ZoneUser.resolve("5:1", passwd: [], group: Array("1:x:0:\n".utf8)).gid == 1)
  }

  @Test func aGroupOfHisThatCannotBeReadIsAnError() {
    #expect(throws: SyntaxError.self) { try resolve("alice", group: "bad:x:4294967296:alice\n") }
    #expect(throws: SyntaxError.self) { try resolve("alice", group: "bad:x::alice\n") }
    #expect(throws: SyntaxError.self) { try resolve("alice", group: "bad:x:1:alice:more\n") }
  }

  @Test func hostileFilesNeitherCrashNorGiveMore() throws {
    let files: [[UInt8]] = [
      [0xff, 0xfe, 0x0a], Array(repeating: 0x3a, count: 100_000), Array("root".utf8),
      Array("root:x:0:0:\0:/\0:/bin/sh".utf8),
      Array(repeating: 0x0a, count: 1000), Array("\0:x:0:0::/:/bin/sh\n".utf8),
    ]
    for passwd in files {
      for group in files {
        if let user = try? ZoneUser.resolve("root", passwd: passwd, group: group) { Issue.record("\(user)") }
        if let user = try? ZoneUser.resolve("7", passwd: passwd, group: group) {
          #expect(user.uid == 7 && user.groups == [0])
        }
      }
    }
  }
}
