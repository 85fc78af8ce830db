import Foundation
import Testing
import ZoneRuntime

@testable import Orchestrator

@Suite struct FleetClashTests {
  private func fleet(_ name: String, _ spec: String) throws -> FleetSpec {
    try read(WrongManifest.header.replacingOccurrences(of: "name: f", with: "name: \(name)") + spec).fleet
  }

  private func record(_ spec: FleetSpec, _ wanted: FleetRecord.Wanted = .running) -> FleetRecord {
    var record = FleetRecord(spec: spec, appliedAt: 1)
    record.wanted = wanted
    record.volumes = spec.volumes.filter { !$0.value.external }.keys.map { spec.volumeName($0) }
    return record
  }

  private func clash(_ spec: FleetSpec, _ others: FleetRecord...) -> String? {
    do {
      try FleetClashes(spec, among: others + [record(spec)]).check()
      return nil
    } catch { return error.description }
  }

  @Test func twoNamesThatJoinToOneVolumeAreRefused() throws {
    let shop = try fleet("shop", "  volumes: {db-data: }\n")
    let other = try fleet("shop-db", "  volumes: {data: }\n")
    let why =
      "cannot have the volume data: it would be shop-db-data, which the fleet 'shop' has (give it another `name`, or `external: true` to share it)"
    #expect(clash(other, record(shop)) == why)
    #expect(clash(other, record(shop, .volumesOnly)) == why)
    // One of a service that is gone is still there.
    var bare = record(try fleet("shop", "  services: {}\n"))
    bare.volumes = ["shop-db-data"]
    #expect(clash(other, bare) == why)
    #expect(clash(shop, record(try fleet("shop-db", "  volumes: {other: }\n"))) == nil)
  }

  @Test func aVolumeIsSharedByWhoSaysSo() throws {
    let owner = record(try fleet("shop", "  volumes: {data: {name: common}}\n"))
    #expect(clash(try fleet("other", "  volumes: {data: {name: common}}\n"), owner)?.contains("'shop' has") == true)
    #expect(clash(try fleet("other", "  volumes: {common: {external: true}}\n"), owner) == nil)
    let user = record(try fleet("other", "  volumes: {common: {external: true}}\n"))
    #expect(clash(owner.spec, user) == nil)
  }

  @Test func twoNamesThatJoinToOneNetworkAreRefused() throws {
    let shop = try fleet("shop", "  services: {a: {networks: [db]}}\n  networks: {db: }\n")
    let other = try fleet("shop-db", "  services: {b: {}}\n")
    #expect(
      clash(other, record(shop))
        == "cannot have the network default: it would be shop-db, which the fleet 'shop' has (give it another `name`, or that very one to share it)"
    )
    #expect(clash(shop, record(other))?.contains("network db: it would be shop-db") == true)
    // What nobody is on is not there, and neither are the networks of a fleet that was taken down.
    #expect(clash(try fleet("shop-db", "  services: {b: {network_mode: none}}\n"), record(shop)) == nil)
    #expect(clash(other, record(shop, .volumesOnly)) == nil)
    // Who calls it by its name wants that very one.
    let guest = try fleet("tools", "  services: {c: {}}\n  networks: {default: {name: shop-db}}\n")
    #expect(clash(guest, record(other)) == nil)
  }
}
