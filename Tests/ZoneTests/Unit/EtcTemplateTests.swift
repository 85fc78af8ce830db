import Foundation
import LinuxNS
import Testing

@testable import ZoneRuntime

/// What a sparse zone may know of the host's /etc.
@Suite struct EtcTemplateTests {
  private static func host() throws -> (etc: String, store: String, folder: String) {
    let folder = NSTemporaryDirectory() + "zones-etc-\(UUID().uuidString)"
    let etc = "\(folder)/etc"
    try FileSystem.makeDirectories("\(etc)/ssl/private")
    try FileSystem.makeDirectories("\(etc)/ssh")
    try FileSystem.makeDirectories("\(etc)/closed", mode: 0o700)
    let files: [(String, UInt32, String)] = [
      (
        "passwd", 0o644,
        "root:secret:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\nwww:x:33:33::/var/www:/bin/false\nbroken:x\n"
      ),
      ("group", 0o644, "root:x:0:\nstaff:x:50:ann,www\nann:x:1000:\n"), ("shadow", 0o644, "no"),
      ("machine-id", 0o444, "no"),
      ("ssh/key", 0o644, "no"), ("closed/file", 0o644, "no"), ("private.conf", 0o640, "no"), ("profile", 0o644, "yes"),
      ("tool", 0o4755, "yes"),
    ]
    for (name, mode, text) in files { try FileSystem.replace("\(etc)/\(name)", with: Array(text.utf8), mode: mode) }
    try FileManager.default.createSymbolicLink(atPath: "\(etc)/link", withDestinationPath: "profile")
    try FileManager.default.setAttributes([.posixPermissions: 0o4755], ofItemAtPath: "\(etc)/tool")
    return (etc, "\(folder)/store", folder)
  }

  @Test func onlyWhatEverybodyMayReadGetsIn() throws {
    let host = try Self.host()
    defer { try? FileManager.default.removeItem(atPath: host.folder) }
    let path = try EtcTemplate(source: host.etc, store: host.store).path()
    #expect(try FileSystem.list(path) == ["group", "link", "mtab", "passwd", "profile", "ssl", "tool"])
    #expect(try FileSystem.list("\(path)/ssl") == [])
    #expect(try FileSystem.readLink("\(path)/link") == "profile")
    #expect(try FileSystem.status("\(path)/tool").st_mode & 0o7777 == 0o755, "no set-id bits")
    let passwd = String(decoding: try FileSystem.read("\(path)/passwd"), as: UTF8.self)
    #expect(passwd == "root:x:0:0:root:/root:/bin/bash\nwww:x:33:33::/var/www:/bin/false\n")
    let group = String(decoding: try FileSystem.read("\(path)/group"), as: UTF8.self)
    #expect(group == "root:x:0:\nstaff:x:50:www\n")
  }

  @Test func aTemplateNeverChangesAndAnUpgradeMakesAnother() throws {
    let host = try Self.host()
    defer { try? FileManager.default.removeItem(atPath: host.folder) }
    let template = EtcTemplate(source: host.etc, store: host.store)
    let first = try template.path()
    #expect(try template.path() == first)
    try FileSystem.replace("\(host.etc)/passwd", with: Array("root:x:0:0:::\n".utf8), mode: 0o644)
    let second = try template.path()
    #expect(second != first)
    #expect(FileSystem.exists("\(first)/profile"), "zones that run keep theirs")
    try template.prune(keeping: [second])
    #expect(!FileSystem.exists(first))
  }
}
