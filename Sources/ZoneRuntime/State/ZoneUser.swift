/// Who a process of a zone is: `--user UID[:GID]` or `NAME[:GROUP]`, looked up in the zone's own passwd(5) and
/// group(5). Those files are the zone's, hence hostile: the caller reads them below the zone's root, with a limit.
public struct ZoneUser: Equatable, Sendable {
  public var uid: UInt32
  public var gid: UInt32
  /// For setgroups(2), the primary group among them: where it is missing, a program that changes its gid gets around
  /// files closed to that group (CVE-2022-36109).
  public var groups: [UInt32]
  /// The login name; nil for a number that passwd does not have.
  public var name: String?
  /// An absolute path; `/` where passwd has none.
  public var home: String
  /// An absolute path; `/bin/sh` where passwd has none.
  public var shell: String

  /// - Parameters:
  ///   - text: nil is `0`, with root's group, home and shell if passwd has them. Digits alone are always a number,
  ///     never a name.
  ///   - passwd: the content of the file; empty where there is none.
  /// - Throws: where anything of it is not certain: an unknown name, a number out of range or with a sign, an empty
  ///   part, a line of this user or group that cannot be read. Never is it somebody else then (CVE-2026-30892).
  public static func resolve(_ text: String?, passwd: [UInt8], group: [UInt8]) throws(SyntaxError) -> ZoneUser {
    let text = text ?? "0"
    let refuse = { (why: String) in SyntaxError(what: "user", value: text, why: why) }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Array($0.utf8) }
    guard parts.count <= 2, let who = parts.first, !parts.contains(where: { $0.isEmpty }) else {
      throw refuse("wants UID[:GID] or NAME[:GROUP]")
    }
    let number = try number(who, "user", refuse)
    let entry = try passwdEntry(who, number, passwd, refuse)
    guard let uid = number ?? entry?.uid else { throw refuse("the zone's /etc/passwd has no such name") }

    var user = ZoneUser(
      uid: uid, gid: entry?.gid ?? 0, groups: [], name: entry?.name, home: entry?.home ?? "/",
      shell: entry?.shell ?? "/bin/sh")
    if parts.count == 2 {
      // As Docker has it: with a group named, it is the only one.
      guard let gid = try gid(parts[1], group, refuse) else { throw refuse("the zone's /etc/group has no such name") }
      user.gid = gid
      user.groups = [gid]
    } else {
      user.groups = [user.gid]
      if let name = entry?.name { try addGroups(of: name, group, to: &user.groups, refuse) }
    }
    return user
  }

  /// nil for a name.
  private static func number(_ text: [UInt8], _ what: String, _ refuse: (String) -> SyntaxError) throws(SyntaxError)
    -> UInt32?
  {
    guard let first = text.first, (48...57).contains(first) || first == UInt8(ascii: "-") || first == UInt8(ascii: "+")
    else { return nil }
    // Names that begin with a digit and go on with letters exist (useradd --badname), signs never.
    if (48...57).contains(first), !text.allSatisfy({ (48...57).contains($0) }) { return nil }
    guard let number = StrictNumber.id(text) else {
      throw refuse("a \(what)'s number is 0 to \(UInt32.max - 1), decimal, without sign or leading zeros")
    }
    return number
  }

  private struct PasswdEntry {
    var name: String
    var uid: UInt32
    var gid: UInt32
    var home: String
    var shell: String
  }

  /// The first entry that fits, as getpwnam(3) and getpwuid(3) have it.
  private static func passwdEntry(
    _ who: [UInt8], _ number: UInt32?, _ file: [UInt8], _ refuse: (String) -> SyntaxError
  ) throws(SyntaxError) -> PasswdEntry? {
    for line in file.split(separator: 10) {
      let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      let isIt =
        if let number { fields.count > 2 && StrictNumber.id(fields[2]) == number } else { fields[0].elementsEqual(who) }
      guard isIt else { continue }
      guard fields.count == 7, let uid = StrictNumber.id(fields[2]), let gid = StrictNumber.id(fields[3]),
        !fields[0].isEmpty, let name = String(validating: fields[0], as: UTF8.self),
        let home = absolutePath(fields[5], "/"), let shell = absolutePath(fields[6], "/bin/sh")
      else { throw refuse("its line in the zone's /etc/passwd cannot be read") }
      return PasswdEntry(name: name, uid: uid, gid: gid, home: home, shell: shell)
    }
    return nil
  }

  private static func absolutePath(_ field: ArraySlice<UInt8>, _ otherwise: String) -> String? {
    if field.isEmpty { return otherwise }
    guard field.first == UInt8(ascii: "/"), !field.contains(0), field.count < 4096 else { return nil }
    return String(validating: field, as: UTF8.self)
  }

  private static func gid(_ who: [UInt8], _ file: [UInt8], _ refuse: (String) -> SyntaxError) throws(SyntaxError)
    -> UInt32?
  {
    if let number = try number(who, "group", refuse) { return number }
    for line in file.split(separator: 10) {
      let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      guard fields[0].elementsEqual(who) else { continue }
      guard fields.count == 4, let gid = StrictNumber.id(fields[2]) else {
        throw refuse("the group's line in the zone's /etc/group cannot be read")
      }
      return gid
    }
    return nil
  }

  /// setgroups(2) takes at most NGROUPS_MAX.
  private static let groupLimit = 65536

  private static func addGroups(
    of name: String, _ file: [UInt8], to groups: inout [UInt32], _ refuse: (String) -> SyntaxError
  ) throws(SyntaxError) {
    var known = Set(groups)
    for line in file.split(separator: 10) {
      let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      guard fields.count >= 4,
        fields[3].split(separator: UInt8(ascii: ",")).contains(where: { $0.elementsEqual(name.utf8) })
      else { continue }
      guard fields.count == 4, let gid = StrictNumber.id(fields[2]) else {
        throw refuse(
          "a group of his in the zone's /etc/group cannot be read: '\(String(decoding: line.prefix(60), as: UTF8.self))'"
        )
      }
      if known.insert(gid).inserted { groups.append(gid) }
      guard groups.count <= groupLimit else { throw refuse("he is in more than \(groupLimit) groups") }
    }
  }
}
