// What is told of zones and of the machine, as JSON: `-o json`.

extension ZoneState: JSONText {}

extension ZoneStatus: JSONObject {
  public static var blank: ZoneStatus {
    ZoneStatus(name: "", state: .configured, restarts: 0, addresses: [], spec: .blank)
  }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("addresses", &addresses)
    try json.field("exit", &exit)
    try json.field("keeper", &keeper)
    try json.field("name", &name)
    try json.field("oomKills", &oomKills)
    try json.field("pid", &pid)
    try json.field("quota", &quota)
    try json.field("restarts", &restarts)
    try json.field("spec", &spec)
    try json.field("startId", &startId)
    try json.field("started", &started)
    try json.field("state", &state)
    try json.field("use", &use)
    try json.field("why", &why)
  }
}

extension SetOutcome.Effect: JSONText {}

extension SetOutcome: JSONObject {
  public static var blank: SetOutcome { SetOutcome(key: "", effect: .live) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("effect", &effect)
    try json.field("key", &key)
    try json.field("why", &why)
  }
}

extension KernelFeatures: JSONObject {
  public static var blank: KernelFeatures { KernelFeatures(kernel: "", machine: "", uid: 0, features: []) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("features", &features)
    try json.field("kernel", &kernel)
    try json.field("machine", &machine)
    try json.field("uid", &uid)
  }
}

extension KernelFeatures.Feature: JSONObject {
  public static var blank: KernelFeatures.Feature { .init(name: "", available: false, detail: "", without: "") }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("available", &available)
    try json.field("detail", &detail)
    try json.field("name", &name)
    try json.field("without", &without)
  }
}

extension QuotaUse: JSONObject {
  public static var blank: QuotaUse { QuotaUse(bytes: 0, limit: 0) }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("bytes", &bytes)
    try json.field("full", &isFull)
    try json.field("limit", &limit)
  }
}

extension ZoneUse: JSONObject {
  public static var blank: ZoneUse { ZoneUse() }

  public mutating func fields(_ json: inout some JSONFields) throws(JSONError) {
    try json.field("bytes", &bytes)
    try json.field("made", &made)
    try json.field("owner", &owner)
    try json.field("partial", &isPartial)
    try json.field("used", &used)
  }
}
