/// What a project holds that programs outside of the sandbox run or obey without being asked to: below the tree's top.
public enum ProtectedPaths {
  public static let usual = [
    ".git/hooks", ".git/config", ".envrc", ".vscode", ".idea", ".claude", ".cursor", ".mcp.json", ".aider.conf.yml",
  ]
}
