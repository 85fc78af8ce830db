/// From nothing to running and back: the arrows of the table of states.
let lifeVerbs: [Verb] = [
  Verb(
    "configure", chapter: "a zone's life", "write a zone's spec down; nothing is made yet",
    operands: [Operand("NAME"), Operand("COMMAND", .optional, hint: .command)], sets: ["zone"],
    options: commandUses,
    details: """
      none -> configured. Replaces the spec of a zone that is merely configured; create then makes it. Useful where \
      specs are prepared at one time and roots made at another.
      """,
    examples: [
      Example("zonectl configure web --memory 256M --autostart busybox httpd -f", "prepare"),
      Example("zonectl create web", "and make it"),
    ]),
  Verb(
    "create", chapter: "a zone's life", "make a zone, ready to start",
    operands: [Operand("NAME"), Operand("COMMAND", .optional, hint: .command)], sets: ["zone"],
    options: [OptionUse("pull")] + commandUses,
    details: """
      none or configured -> installed. Without options, a zone that was configured is made as its spec says. Without \
      COMMAND it runs what its image says; where that says nothing, its init waits, and you work in it by exec or \
      login. An image's entrypoint goes before COMMAND.

      --profile FILE: each path that the profile names is put at the same place inside, as -v PATH:PATH[:ro] does; \
      with only in it there is no network, unless it or an option names one. What a zone does not have is refused with \
      its line. The spec keeps what came of it, so a later change of the file changes nothing (docs/LEARN.md).

      All after COMMAND's first word belongs to the command, also what looks like an option.
      """,
    examples: [
      Example("zonectl create box", "a zone to work in: start it, then zonectl login box"),
      Example(
        "zonectl create db -v db-data:/var/lib/db --memory 1G --restart on-failure:5 /usr/local/bin/db --verbose",
        "a service with a volume; --verbose is the command's"),
      Example(
        "zonectl create conv --profile convert.sh -w ~/project ./convert.sh in/one.csv", "with what learn has seen"),
      Example("zonectl create old --image dir:/srv/old-root /sbin/server", "a tree that you have"),
    ]),
  Verb(
    "ready", chapter: "a zone's life", "set a zone up as far as the gate: all but its first process",
    operands: [Operand("NAME", .oneOrMore, hint: .zone)],
    options: [OptionUse("force")],
    details: """
      installed -> ready. Namespaces, root, network, cgroup and keeper stand; the first process waits for start, \
      which then takes next to no time.
      """,
    examples: [Example("zonectl ready web && zonectl start web", "in two steps")]),
  Verb(
    "start", aliases: ["boot"], chapter: "a zone's life", "start zones",
    operands: [Operand("NAME", .zeroOrMore, hint: .zone)],
    options: [OptionUse("all", "every zone that was created with --autostart"), OptionUse("force")],
    details: """
      installed or ready -> running. Returns when the command was executed. With --all (so systemd's unit calls it \
      at machine start) each zone is tried, also after one has failed.
      """,
    examples: [
      Example("zonectl start web db", "two zones"),
      Example("zonectl boot --all", "at machine start"),
    ]),
  Verb(
    "run", chapter: "a zone's life", "create a zone, start it and stay with it",
    operands: [Operand("COMMAND", .optional, hint: .command)], sets: ["zone"],
    options: [
      OptionUse("name"), OptionUse("rm"), OptionUse("pull"), OptionUse("detach"), OptionUse("interactive"),
      OptionUse("tty"),
      OptionUse("detach-keys"), OptionUse("timeout", "halt the zone after this long; the status is then 125"),
    ] + processUses,
    details: """
      The zone stays afterwards unless --rm was given. Without COMMAND you get what the image says, or the user's \
      shell (from the zone's passwd). --rm of an image's zone wants Linux 6.6. The exit status is the command's own; \
      128+n where signal n ended it; 125 where zonectl failed, 126 where the command cannot be invoked, 127 where it \
      was not found.
      """,
    examples: [
      Example("zonectl run --rm -it", "a shell in a throw-away zone; /usr is the host's, read-only"),
      Example("zonectl run --rm --network none --memory 64M sort < list", "walls around one command"),
      Example("zonectl run -d --name web -p 8080:80 -v ./site:/srv:ro busybox httpd -f -h /srv", "in the background"),
    ]),
  Verb(
    "stop", chapter: "a zone's life", "end zones gently: stop signal, grace, kill",
    operands: [Operand("NAME", .zeroOrMore, hint: .zone)],
    options: [
      OptionUse("timeout", "how long to wait before the kill; otherwise the zone's stop-timeout"),
      OptionUse("all", "every zone that lives"), OptionUse("force"),
    ],
    details: "ready, running or frozen -> installed. A zone that has already stopped is fine.",
    examples: [
      Example("zonectl stop web", "with the zone's own grace"),
      Example("zonectl stop --all --timeout 30", "before the machine goes down"),
    ]),
  Verb(
    "halt", chapter: "a zone's life", "end zones at once",
    operands: [Operand("NAME", .zeroOrMore, hint: .zone)],
    options: [OptionUse("all", "every zone that lives"), OptionUse("force")],
    details: "Any live state -> installed, without asking the zone. Also leads out of unavailable.",
    examples: [Example("zonectl halt web", "as pulling the plug")]),
  Verb(
    "restart", chapter: "a zone's life", "stop zones and start them again",
    operands: [Operand("NAME", .oneOrMore, hint: .zone)],
    options: [OptionUse("timeout", "how long stop waits before the kill"), OptionUse("force")],
    details: "Changes made by set that wait for a restart take effect.",
    examples: [Example("zonectl restart web", "stop, start")]),
  Verb(
    "pause", chapter: "a zone's life", "freeze zones where they are",
    operands: [Operand("NAME", .oneOrMore, hint: .zone)], options: [OptionUse("force")],
    details: "running -> frozen. The processes keep their memory and get no CPU time until resume.",
    examples: [Example("zonectl pause batch", "make room for something urgent")]),
  Verb(
    "resume", aliases: ["unpause"], chapter: "a zone's life", "let frozen zones go on",
    operands: [Operand("NAME", .oneOrMore, hint: .zone)], options: [OptionUse("force")],
    details: "frozen -> running.",
    examples: [Example("zonectl resume batch", "after pause")]),
  Verb(
    "delete", aliases: ["rm"], chapter: "a zone's life", "delete zones and their data",
    operands: [Operand("NAME", .oneOrMore, hint: .zone)],
    options: [OptionUse("force", "halt it first if it lives; also where a fleet owns it"), OptionUse("yes")],
    details: "Asks on a terminal unless --yes was given. Named volumes stay.",
    examples: [
      Example("zonectl delete web", "asks"),
      Example("zonectl rm --force --yes web db", "whatever they are doing"),
    ]),
]

/// The same for whatever makes a spec.
let profileUse = OptionUse(
  "profile",
  "take the paths, variables, limits, groups of calls and capabilities that a profile of yours names (zonectl learn writes them); options win, and volumes are joined",
  "NAME|FILE", hint: .file)

/// How the command runs; configure and create keep it in the spec.
private let processUses: [OptionUse] = [
  OptionUse("env"), OptionUse("env-file"), OptionUse("workdir"), OptionUse("user"), profileUse,
]
private let commandUses: [OptionUse] = [OptionUse("tty")] + processUses
