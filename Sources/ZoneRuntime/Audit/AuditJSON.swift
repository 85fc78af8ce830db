// What `audit -o json` prints.

extension ZoneAudit: JSONObject {
  public static var blank: ZoneAudit { ZoneAudit(zone: "", findings: [], weaker: []) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    var result = isAsAsked
    try json.field("asAsked", &result)
    try json.field("findings", &findings)
    try json.field("pid", &pid)
    try json.field("weaker", &weaker)
    try json.field("zone", &zone)
  }
}

extension AuditFinding: JSONObject {
  public static var blank: AuditFinding { AuditFinding(name: "", seen: "", differences: []) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    var result = isAsAsked
    try json.field("asAsked", &result)
    try json.field("differences", &differences)
    try json.field("name", &name)
    try json.field("seen", &seen)
    try json.field("state", &state)
  }
}

extension AuditDifference: JSONObject {
  public static var blank: AuditDifference { AuditDifference("", wanted: "", found: "") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("found", &found)
    try json.field("wanted", &wanted)
    try json.field("what", &what)
  }
}
