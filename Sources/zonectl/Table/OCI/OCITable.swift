/// Everything that `zone-oci` can be told: the grammar of OCI runtimes, as runc speaks it and engines call it.
public let ociTable = CommandTable(
  program: "zone-oci",
  version: "0.1.0",
  summary: "an OCI runtime: containers from bundles, for Podman, Docker and containerd",
  details: """
    zone-oci is zonectl by its second name. It makes containers of OCI bundles (a directory with config.json and a \
    root) as runc does, and takes runc's verbs and options; engines use it in runc's place.

    ID is 1 to 1,024 letters, digits and _ + - . of your choice. Zones are zonectl's: neither sees the other's.
    """,
  examples: [
    Example("zone-oci spec && zone-oci run box", "a container of the bundle in this directory"),
    Example("podman --runtime /usr/bin/zone-oci run …", "as Podman's runtime"),
    Example("dockerd --add-runtime zones=/usr/bin/zone-oci", "as one of Docker's"),
  ],
  chapters: ["a container's life", "in a living container", "looking"],
  options: ociOptions,
  globalSet: "global",
  verbs: ociVerbs,
  setTitles: [("launch", "options of the launch"), ("global", "options everywhere")],
  sections: [
    CommandTable.Section(
      "exit status",
      [
        Example("0", "done"), Example("1", "failed"), Example("2", "the command line was wrong; nothing was done"),
        Example("run, exec", "the process's own; 128+n where signal n ended it"), Example("255", "exec: it failed"),
      ]),
    CommandTable.Section(
      "files",
      [
        Example("/run/zone-oci", "the state of root's containers"),
        Example("$XDG_RUNTIME_DIR/zone-oci", "of an ordinary user's; /tmp/zone-oci-UID where that is not set"),
      ]),
  ])

let ociOptions: [Option] = [
  Option("root", "", "DIR", hint: .directory, set: "global", help: "where the state of containers is kept"),
  Option("log", "", "FILE", hint: .file, set: "global", help: "write errors and warnings to FILE too"),
  Option("log-format", "", "text|json", hint: .words("text json"), set: "global", help: "how they are written there"),
  Option("debug", "", set: "global", help: "write there what is done as well"),
  Option(
    "systemd-cgroup", "", set: "global", help: "cgroupsPath is SLICE:PREFIX:NAME, and systemd makes the groups"),
  Option(
    "cgroup-manager", "", "cgroupfs|systemd", hint: .words("cgroupfs systemd"), set: "global",
    help: "who makes groups: we (the default) or systemd"),
  Option(
    "rootless", "", "true|false|auto", hint: .words("true false auto"), set: "global",
    help: "taken for runc's sake; who calls decides it"),
  Option("help", "h", set: "global", help: "teach the program or the verb, and do nothing"),
  Option("version", "v", set: "global", help: "print the version"),

  Option("bundle", "b", "DIR", hint: .directory, set: "launch", help: "the bundle; otherwise this directory"),
  Option("console-socket", "", "PATH", hint: .file, help: "a socket that is sent the terminal's master"),
  Option("pid-file", "", "FILE", hint: .file, help: "write the process's number to FILE"),
  Option("no-pivot", "", set: "launch", help: "refused: a root that is not pivoted into is no wall"),
  Option("no-new-keyring", "", set: "launch", help: "leave the caller's session keyring to the container"),
  Option("preserve-fds", "", "N", help: "the process keeps N descriptors of yours, from 3 on; at most 40"),
  Option("no-subreaper", "", help: "taken for runc's sake: no process of ours stays that could reap"),
  Option("keep", "", help: "do not delete the container when its process has ended"),

  Option("detach", "d", help: "do not wait for the process"),
  Option("process", "p", "FILE", hint: .file, help: "the process, as config.json has it"),
  Option("cwd", "", "DIR", help: "the process's directory inside"),
  Option("env", "e", "NAME=VALUE", repeats: true, help: "another environment variable"),
  Option("user", "u", "UID[:GID]", help: "who it runs as"),
  Option("additional-gids", "g", "GID", repeats: true, help: "another group"),
  Option("tty", "t", help: "a terminal for the process"),
  Option("cap", "c", "CAPABILITY", repeats: true, help: "another capability"),
  Option("no-new-privs", "", help: "it gains no privileges by execve"),
  Option("apparmor", "", "PROFILE", help: "its AppArmor profile"),
  Option("process-label", "", "LABEL", help: "its SELinux label"),
  Option("cgroup", "", "PATH", help: "a group below the container's"),
  Option("ignore-paused", "", help: "also in a paused container"),

  Option("all", "a", help: "every process of the container"),
  Option("force", "f", help: "kill it first, where it is alive; one that is not there is fine"),
  Option("format", "f", "table|json", hint: .words("table json"), help: "how to print"),
  Option("quiet", "q", help: "only ids, one a line"),
  Option("stats", "", help: "print the use of resources once, and end"),
  Option("interval", "", "SECONDS", help: "how often; otherwise every 5 seconds"),

  Option("rootless", "", help: "for an ordinary user"),

  Option("resources", "r", "FILE", hint: .file, help: "limits as config.json's linux.resources; - is standard input"),
  Option("cpu-period", "", "MICROSECONDS", help: "over which the quota is counted"),
  Option("cpu-quota", "", "MICROSECONDS", help: "of CPU time in a period"),
  Option("cpu-burst", "", "MICROSECONDS", help: "that may be saved up"),
  Option("cpu-share", "", "N", help: "the weight against other groups"),
  Option("cpu-idle", "", "0|1", help: "1: only what nobody else wants"),
  Option("cpuset-cpus", "", "LIST", help: "the CPUs"),
  Option("cpuset-mems", "", "LIST", help: "the memory nodes"),
  Option("memory", "", "SIZE", help: "the limit of memory: 256M, or bytes; -1: none"),
  Option("memory-reservation", "", "SIZE", help: "what is kept from being reclaimed (v2), or the soft limit (v1)"),
  Option("memory-swap", "", "SIZE", help: "the limit of memory and swap together; -1: none"),
  Option("pids-limit", "", "N", help: "the limit of processes and threads"),
  Option("blkio-weight", "", "N", help: "the weight of input and output, 10 to 1000"),
]

private let launchUses = [
  OptionUse("console-socket"), OptionUse("pid-file"), OptionUse("preserve-fds"),
]

let ociVerbs: [Verb] = [
  Verb(
    "create", chapter: "a container's life", "make a container; its process waits for start",
    operands: [Operand("ID")], sets: ["launch"], options: launchUses,
    details: "The bundle's config.json is read now; later changes of it mean nothing to the container.",
    examples: [Example("zone-oci create --bundle /srv/web web", "then zone-oci start web")]),
  Verb(
    "start", chapter: "a container's life", "execute the process of a container that was made",
    operands: [Operand("ID")], examples: [Example("zone-oci start web", "created -> running")]),
  Verb(
    "run", chapter: "a container's life", "make a container, start it and wait for its end",
    operands: [Operand("ID")], sets: ["launch"],
    options: launchUses + [OptionUse("detach"), OptionUse("no-subreaper"), OptionUse("keep")],
    details: "The container is deleted when its process has ended; with --detach it stays for delete.",
    examples: [Example("zone-oci run box", "the bundle in this directory")]),
  Verb(
    "kill", chapter: "a container's life", "send a signal to the process of a container",
    operands: [Operand("ID"), Operand("SIGNAL", .optional, hint: .signal)], options: [OptionUse("all")],
    details: "TERM without a word.", examples: [Example("zone-oci kill web KILL", "at once")]),
  Verb(
    "delete", chapter: "a container's life", "take away what is left of a container",
    operands: [Operand("ID")], options: [OptionUse("force")],
    examples: [Example("zone-oci delete --force web", "whatever state it is in")]),
  Verb(
    "exec", chapter: "in a living container", "execute another process",
    operands: [Operand("ID"), Operand("COMMAND", .optional, hint: .command)],
    options: launchUses
      + [
        "detach", "process", "cwd", "env", "user", "additional-gids", "tty", "cap", "no-new-privs", "apparmor",
        "process-label", "cgroup", "ignore-paused", "no-subreaper",
      ].map { OptionUse($0) },
    details: "What is not said is as the container's own process has it.",
    examples: [Example("zone-oci exec -t box sh", "a shell")]),
  Verb(
    "pause", chapter: "in a living container", "stop all its processes where they are", operands: [Operand("ID")],
    examples: [Example("zone-oci pause web", "running -> paused")]),
  Verb(
    "resume", chapter: "in a living container", "let them go on", operands: [Operand("ID")],
    examples: [Example("zone-oci resume web", "paused -> running")]),
  Verb(
    "update", chapter: "in a living container", "change its limits", operands: [Operand("ID")],
    options: [
      "resources", "cpu-period", "cpu-quota", "cpu-burst", "cpu-share", "cpu-idle", "cpuset-cpus", "cpuset-mems",
      "memory", "memory-reservation", "memory-swap", "pids-limit", "blkio-weight",
    ].map { OptionUse($0) },
    details: "What is not said stays as it is.",
    examples: [Example("zone-oci update --memory 256M web", "of a quota, or of memory and swap, one alone too")]),
  Verb(
    "state", chapter: "looking", "print the state of a container", operands: [Operand("ID")],
    examples: [Example("zone-oci state web", "JSON, as the specification has it")]),
  Verb(
    "list", chapter: "looking", "print all containers", options: [OptionUse("format"), OptionUse("quiet")],
    examples: [Example("zone-oci list -f json", "for programs")]),
  Verb(
    "ps", chapter: "looking", "print the processes of a container",
    operands: [Operand("ID"), Operand("PS-OPTION", .zeroOrMore)], options: [OptionUse("format")],
    details: "The table is ps(1)'s, by default of ps -ef.",
    examples: [Example("zone-oci ps web", "as the host sees them")]),
  Verb(
    "events", chapter: "looking", "print the use of resources, and when memory runs out", operands: [Operand("ID")],
    options: [OptionUse("stats"), OptionUse("interval")],
    examples: [Example("zone-oci events --stats web", "once, as JSON")]),
  Verb(
    "features", chapter: "looking", "print what this runtime can do", examples: [Example("zone-oci features", "JSON")]),
  Verb(
    "spec", chapter: "looking", "write a config.json to begin with",
    options: [OptionUse("bundle"), OptionUse("rootless", "for an ordinary user, who may set no limits")],
    examples: [Example("zone-oci spec", "into this directory")]),
]

/// The verbs of `zone-oci`; the compiler sees that none is forgotten.
public enum OCIVerb: String, CaseIterable, Sendable {
  case create, start, run, kill, delete, exec, pause, resume, update, state, list, ps, events, features, spec
}

extension Invocation {
  public var ociVerb: OCIVerb? { OCIVerb(rawValue: verb.name) }
}
