internal import LinuxNS
internal import VirtualNet

extension Zones {
  func attachPasta(_ spec: ZoneSpec, _ pid: Int32, _ files: ZoneFiles, _ record: inout RunRecord) throws(ZoneError) {
    throw .refused("x")
  }
  func endPasta(_ record: RunRecord) throws(ZoneError) {}
}
enum Pasta { static func resolvConf() -> String { "" } }
