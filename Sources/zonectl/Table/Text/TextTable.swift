/// A table for people: columns as wide as their widest cell, two blanks apart, headers in upper case.
public struct TextTable: Sendable {
  private let headers: [String]
  private var rows: [[String]] = []

  public init(_ headers: [String]) { self.headers = headers.map { $0.uppercased() } }

  /// A row; a cell with control characters shows them as `?`, so that no name or command can write to the terminal.
  public mutating func add(_ cells: [String]) { rows.append(cells.map(TextTable.printable)) }

  /// - Parameter paint: adds colour to a cell of a column, after widths were counted; nil leaves it.
  public func text(paint: (_ column: Int, _ cell: String) -> String? = { _, _ in nil }) -> String {
    let widths = headers.indices.map { column in
      ([headers] + rows).map { $0[column].count }.max() ?? 0
    }
    var text = ""
    for (index, row) in ([headers] + rows).enumerated() {
      var line = ""
      for (column, cell) in row.enumerated() {
        line += index == 0 ? cell : paint(column, cell) ?? cell
        if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.count + 2) }
      }
      while line.last == " " { line.removeLast() }
      text += line + "\n"
    }
    return text
  }

  public static func printable(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }))
  }
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
