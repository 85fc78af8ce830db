public import ZoneRuntime

// Of the runtime's values, which are no `Codable` ones, those that a fleet keeps by their text.

extension Brand: Codable {
  public init(from decoder: any Decoder) throws { self = try .init(parsing: String(from: decoder)) }
  public func encode(to encoder: any Encoder) throws { try text.encode(to: encoder) }
}

extension RestartPolicy: Codable {
  public init(from decoder: any Decoder) throws { self = try .init(parsing: String(from: decoder)) }
  public func encode(to encoder: any Encoder) throws { try text.encode(to: encoder) }
}
