/// A table for people: columns as wide as their widest cell, two blanks apart, headers in upper case.
public struct TextTable: Sendable {
  private let headers: [String]
  private var rows: [[String]] = []

  public init(_ headers: [String]) { self.headers = headers.map { $0.uppercased() } }

  /// A row; a cell with control characters shows them as `?`, so that no name or command can write to the terminal.
  public mutating func add(_ cells: [String]) { rows.append(cells.map(TextTable.printable)) }

  /// - Parameter paint: adds colour to a cell of a column, after widths were counted; nil leaves it.
  public func text(paint: (_ column: Int, _ cell: String) -> String? = { _, _ in nil }) -> String {
    var widths = headers.map(TextTable.width)
    for row in rows {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], TextTable.width(cell)) }
    }
    var text = ""
    for (index, row) in ([headers] + rows).enumerated() {
      // Blanks wait for what stands behind them.
      var blanks = 0
      for (column, cell) in row.enumerated() {
        if !cell.isEmpty {
          for _ in 0..<blanks { text.append(" ") }
          blanks = 0
          text += index == 0 ? cell : paint(column, cell) ?? cell
        }
        blanks += widths[column] - TextTable.width(cell) + 2
      }
      while text.utf8.last == UInt8(ascii: " ") { text.removeLast() }
      text += "\n"
    }
    return text
  }

  public static func printable(_ text: String) -> String {
    if isPlain(text) { return text }
    return String(
      String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }))
  }

  private static func width(_ cell: String) -> Int { isPlain(cell) ? cell.utf8.count : cell.count }

  /// Printable ASCII, which is counted by bytes: a hundred times faster, and most of what there is.
  private static func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { (32...126).contains($0) } }
}

/// Words for spans of time and for numbers of bytes.
public enum Words {
  /// `12s`, `5m`, `3h`, `2d`: the largest unit that fits.
  public static func span(nanoseconds: UInt64) -> String {
    let seconds = nanoseconds / 1_000_000_000
    switch seconds {
    case ..<120: return "\(seconds)s"
    case ..<7200: return "\(seconds / 60)m"
    case ..<172_800: return "\(seconds / 3600)h"
    default: return "\(seconds / 86_400)d"
    }
  }
}
