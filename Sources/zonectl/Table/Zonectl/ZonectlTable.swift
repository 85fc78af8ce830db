/// Everything that `zonectl` can be told.
public let zonectlTable = CommandTable(
  program: "zonectl",
  version: "0.1.0",
  summary: "zones contain applications on one shared Linux kernel",
  details: """
    A zone is a name, a root file tree, limits, a network and a command. It starts as fast as a process, because \
    it is one: walled in by the kernel, watched by a keeper of a few kilobytes, and needing no daemon.

    Zones of the system are root's; an ordinary user has zones of his own, out of sight of the others. \
    NAME is a DNS label: a-z, 0-9 and inner hyphens, at most 63.
    """,
  examples: [
    Example("zonectl run --rm -it", "a shell in a throw-away zone"),
    Example("zonectl run -d --name web -p 8080:80 busybox httpd -f", "a service in the background"),
    Example("zonectl list", "what there is, and how it is"),
    Example("zonectl exec -it web sh", "look inside"),
    Example("zonectl stop web", "TERM, ten seconds of grace, then KILL"),
  ],
  chapters: [
    "a zone's life", "sandboxes", "inside a zone", "looking and changing", "images (handed to orchestrator)",
    "fleets (handed to orchestrator)",
    "about zonectl",
  ],
  options: zonectlOptions,
  globalSet: "global",
  verbs: lifeVerbs + sandboxVerbs + insideVerbs + lookingVerbs + imageVerbs + fleetVerbs + aboutVerbs,
  setTitles: [("zone", "options of the zone"), ("global", "options everywhere")],
  sections: [
    CommandTable.Section(
      "exit status",
      [
        Example("0", "done"),
        Example("1", "failed; one line on standard error says what was tried, why it failed and what to do"),
        Example("2", "the command line was wrong; nothing was done"),
        Example("run, exec, login, attach, sandbox, learn", "the command's own status; 128+n where signal n ended it"),
        Example("125, 126, 127", "the same: zonectl failed; the command cannot be invoked; it was not found"),
      ]),
    CommandTable.Section(
      "environment",
      [
        Example("NO_COLOR", "when not empty, no colours are printed"),
        Example("XDG_DATA_HOME, XDG_RUNTIME_DIR", "where an ordinary user's zones are kept"),
      ]),
    CommandTable.Section(
      "files",
      [
        Example("/var/lib/zones", "specs, roots, logs and volumes; of an ordinary user $XDG_DATA_HOME/zones"),
        Example("/run/zones", "what runs; of an ordinary user $XDG_RUNTIME_DIR/zones"),
      ]),
  ])
