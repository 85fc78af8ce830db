/// Seeing what there is, and changing it.
let lookingVerbs: [Verb] = [
  Verb(
    "list", aliases: ["ls"], chapter: "looking and changing", "the zones, and how they are",
    operands: [Operand("NAME", .zeroOrMore, hint: .zone)],
    options: [OptionUse("output"), OptionUse("quiet")],
    details: "With names, only those zones.",
    examples: [
      Example("zonectl list", "a table"),
      Example("zonectl ls -o json", "for programs"),
      Example("zonectl stop $(zonectl ls -q)", "names only"),
    ]),
  Verb(
    "show", aliases: ["inspect"], chapter: "looking and changing", "all about zones",
    operands: [Operand("NAME", .oneOrMore, hint: .zone)],
    options: [OptionUse("output")],
    details: """
      State, processes, the last end and every setting under the name by which set changes it. \
      The content of secrets is not shown.
      """,
    examples: [
      Example("zonectl show web", "for people"),
      Example("zonectl show -o json web db", "an array, one object a zone"),
    ]),
  Verb(
    "set", chapter: "looking and changing", "change a zone's settings, live where that is possible",
    operands: [Operand("NAME", hint: .zone), Operand("KEY=VALUE", .oneOrMore)],
    options: [OptionUse("output"), OptionUse("force")],
    details: """
      KEY is the name of an option of create (memory, cpus, restart, publish …), env.NAME, label.NAME or command; KEY= \
      takes the setting away. Flags are true or false. Lists are replaced as a whole: separate the parts by commas \
      (not of volume and secret), or give the key several times. For each key the answer is live (done), restart (at \
      the next start) or refused; if one is refused, nothing is changed.
      """,
    examples: [
      Example("zonectl set web memory=512M cpus=2", "live"),
      Example("zonectl set web env.MODE=fast publish=8080:80,8443:443", "later; at once"),
      Example("zonectl set web memory=", "no limit any more"),
    ]),
  Verb(
    "explain", chapter: "looking and changing", "print what starting a zone would do, and do nothing",
    operands: [Operand("NAME", hint: .zone), Operand("COMMAND", .optional, hint: .command)], sets: ["zone"],
    options: [
      OptionUse("tty"), OptionUse("env"), OptionUse("env-file"), OptionUse("workdir"), OptionUse("user"), profileUse,
    ],
    details: """
      The plan in the order in which the kernel would be asked: id maps, namespaces, mounts, devices, limits, \
      capabilities, the filter, the command. NAME may be a zone, then options change it for this look, or a name that \
      is still free. Of a sandbox it is sandbox --explain.
      """,
    examples: [
      Example("zonectl explain web", "a zone as it is"),
      Example("zonectl explain new --network none --read-only", "one that is not there"),
    ]),
  Verb(
    "audit", chapter: "looking and changing",
    "compare a zone, or any process, with what was asked for",
    operands: [Operand("NAME", .optional, hint: .zone)],
    options: [
      OptionUse("pid"),
      OptionUse("require", "differ where one of these walls does not stand around the process (sandbox has the names)"),
      OptionUse("output"),
    ],
    details: """
      Namespaces, ids, capabilities, the filter, control groups and their limits, mounts, open files, the keeper, the \
      network and its rules are read from the kernel, not from our own records, and compared with what a start of the \
      zone would make. Each line is one of these: ok, or DIFFERS with what was wanted and what is. \
      Lines that begin with weaker: name walls that are lower because that was asked for. A setting that waits for the \
      next start differs until then.

      With --pid it is told which walls stand around a process that somebody else started: which namespaces it does \
      not share with you, its capabilities, filters, limits, mounts and open files. A wall stands, is open, or \
      unknown: whatever you may not see, and Landlock, which the kernel tells nobody. Only walls named by --require \
      can differ. A process of a zone of yours is that zone's affair.

      The status is 0 where all is as asked for, 1 where something differs or the zone is not live.
      """,
    examples: [
      Example("zonectl audit web", "a line for each kind of wall"),
      Example("zonectl audit web -o json", "for programs; the differences one by one"),
      Example("zonectl audit --pid 4711 --require net,seccomp", "a process of anybody's"),
      Example("zonectl audit web >/dev/null || echo look at web", "in a script"),
    ]),
  Verb(
    "events", chapter: "looking and changing", "what happened to zones since the machine started",
    operands: [Operand("NAME", .zeroOrMore, hint: .zone)],
    options: [OptionUse("follow"), OptionUse("tail", "only the last N events"), OptionUse("output")],
    details: """
      A line an event: created, ready, started, paused, resumed, ended (with the exit status), deleted, expiring (what \
      --expires gave it is over in less than a day); of a sandbox denied, with what its command was refused. With \
      names, only those zones; a sandbox has the name that --id gave it. Times are UTC. What happened to fleets as \
      fleets: orchestrator events.
      """,
    examples: [
      Example("zonectl events -f", "what there was, and what comes"),
      Example("zonectl events -o json --tail 5 build-7", "a JSON object a line"),
    ]),
  Verb(
    "changes", chapter: "looking and changing", "take or forget what a reviewed command has changed",
    operands: [
      Operand("list|show|apply|drop", hint: .words("list show apply drop")), Operand("PATH", .zeroOrMore, hint: .file),
    ],
    options: [
      OptionUse("id", "the review, where there is more than one"), OptionUse("output"),
      OptionUse("force", "apply: also over what has changed since, and the protected paths that are named"),
      OptionUse("yes", "drop: do not ask"), OptionUse("quiet", "apply: say only what is refused"),
    ],
    details: """
      A command under sandbox --review writes to a layer; nothing of it is in the real tree before apply. PATH is a \
      file, or a directory with all in it; without one everything is meant.

      list prints a line a path: A added, M modified, D deleted, T another type, m mode or attributes, t time alone; \
      what was moved is deleted and added. show prints the lines that differ. apply brings the changes into the tree, \
      one file after the other, each at once; one that was killed goes on with the next apply. drop forgets.

      apply refuses, by name, what has changed in the real tree since the command began, and protected paths \
      (.git/hooks, .git/config, .envrc, .vscode, .idea, configuration of agents) unless they are named with --force; \
      all else is applied, and the status is 1. Set-id bits, sockets and devices are left out and told.
      """,
    examples: [
      Example("zonectl changes list", "of the only review, or of that of this tree"),
      Example("zonectl changes show src", "the lines that differ"),
      Example("zonectl changes apply src Makefile", "a part; the rest waits"),
      Example("zonectl changes apply --force .git/hooks/pre-commit", "a protected path, knowingly"),
      Example("zonectl changes drop --yes", "forget the whole review"),
    ]),
  Verb(
    "features", chapter: "looking and changing", "what this kernel, and you on it, can do",
    options: [OptionUse("output")],
    details: "Each line is a feature, whether it is there, and what zones lack without it.",
    examples: [Example("zonectl features -o json", "for programs")]),
]

/// What `orchestrator` does.
let fleetVerbs: [Verb] = [
  Verb(
    "apply", chapter: "fleets (handed to orchestrator)", "make a fleet as its manifest says",
    examples: [Example("zonectl apply manifests/hello.yaml", "start, change or do nothing, as needed")],
    kind: .handedOver),
  Verb(
    "plan", chapter: "fleets (handed to orchestrator)", "show what apply would do",
    examples: [Example("zonectl plan manifests/hello.yaml", "changes nothing")], kind: .handedOver),
  Verb(
    "down", chapter: "fleets (handed to orchestrator)", "take a fleet down",
    examples: [Example("zonectl down hello --volumes", "and its named volumes")], kind: .handedOver),
  Verb(
    "ps", chapter: "fleets (handed to orchestrator)", "the zones of fleets",
    examples: [Example("zonectl ps", "all fleets")], kind: .handedOver),
]

/// The program itself.
let aboutVerbs: [Verb] = [
  Verb(
    "completion", chapter: "about zonectl", "print a shell's completion script",
    operands: [Operand("SHELL", hint: .words("bash zsh fish"))],
    examples: [
      Example("source <(zonectl completion bash)", "bash, in ~/.bashrc"),
      Example("zonectl completion zsh > \"${fpath[1]}/_zonectl\"", "zsh"),
      Example("zonectl completion fish > ~/.config/fish/completions/zonectl.fish", "fish"),
    ]),
  Verb(
    "man", chapter: "about zonectl", "print the manual page, or write all of them into a directory",
    operands: [Operand("DIRECTORY", .optional, hint: .directory)],
    details: "With DIRECTORY, zonectl.1 and a page for each verb are written there.",
    examples: [
      Example("zonectl man | man -l -", "read it"),
      Example("zonectl man /usr/local/share/man/man1", "install them"),
    ]),
  Verb(
    "help", chapter: "about zonectl", "teach the program or one verb",
    operands: [Operand("VERB", .optional, hint: .verb)],
    examples: [Example("zonectl help run", "the same as zonectl run --help")]),
  Verb("version", chapter: "about zonectl", "print the version", examples: [Example("zonectl version", "one line")]),
  Verb("zone-ended", chapter: "", "a zone's first process has ended (called by its keeper)", kind: .hidden),
  Verb("network-names", chapter: "", "answer the names of a network (one helper a network)", kind: .hidden),
  Verb(
    "user-network", chapter: "", "hold an ordinary user's network, answer its names, relay its ports", kind: .hidden),
  Verb("egress-proxy", chapter: "", "connect a zone without a route by the names it may ask for", kind: .hidden),
  Verb("sandbox-watch", chapter: "", "look at a sandbox from outside and tell what it is refused", kind: .hidden),
]
