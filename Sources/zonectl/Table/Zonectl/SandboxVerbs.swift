/// A developer's throw-away zones.
let sandboxVerbs: [Verb] = [
  Verb(
    "sandbox", chapter: "sandboxes", "run a command you do not trust, with your project alone",
    operands: [Operand("COMMAND", hint: .command)],
    options: [
      OptionUse("profile"), OptionUse("ro"), OptionUse("rw"), OptionUse("hide"), OptionUse("only"), OptionUse("env"),
      OptionUse("env-file"),
      OptionUse("home"),
      OptionUse(
        "network",
        "none (the default), allow=HOST[:PORT],… (these and no others, by a proxy), full (by pasta, where it is installed), host"
      ),
      OptionUse("memory"), OptionUse("cpus"), OptionUse("pids"), OptionUse("nesting"), OptionUse("ids"),
      OptionUse("calls"),
      OptionUse("timeout", "kill the command after this long; the status is then 125"), OptionUse("require"),
      OptionUse("review"), OptionUse("report"), OptionUse("id"), OptionUse("explain"), OptionUse("verbose"),
    ],
    details: """
      Needs no root, no daemon and no configuration. The command is you, without any privilege: it may write the \
      current directory, and sees /usr and /opt of the machine read-only, a private home, /tmp and process table, and \
      no network. What PATH names in your home (rustup, nvm, pyenv, uv, swiftly) is there read-only, caches of packages \
      are copy-on-write, git knows your name. Everything else of your home, your agents' and containers' sockets and \
      other people's processes are out of sight, and only harmless variables of the environment are passed on.

      In the project .git/hooks, .git/config, .envrc, .vscode, .idea and the configuration of agents are read-only, \
      also where they do not exist; .git cannot be moved out of the way. --rw lifts that.

      With --network allow= there is no route at all: a proxy outside, which programs find by the usual variables, \
      connects them with the hosts named and checks the name that TLS shows. HOST is a name, *.NAME, an address or a \
      prefix. With --review the project stays as it is until zonectl changes apply.

      With --report or --verbose the command is watched: what it is refused is told, each path and call with the rule. \
      --only gives nothing but what is named by --ro and --rw; zonectl learn writes such profiles.

      Where the machine has no user namespaces, --require landlock runs the command all the same, behind Landlock and \
      the filter alone: its home and TMPDIR are private folders, /tmp, other processes and sockets with a name are \
      closed to it, and what is protected in a project is not. One line on standard error tells what is not covered.

      The exit status is the command's own; 128+n where signal n ended it; 125 where zonectl failed, 126 where the \
      command cannot be invoked, 127 where it was not found. Nothing but the command writes to standard output.
      """,
    examples: [
      Example("zonectl sandbox make test", "a build that reaches nothing but its own directory"),
      Example("zonectl sandbox --network full --memory 2G npm ci", "with the network and a limit"),
      Example("zonectl sandbox --network allow=pypi.org:443,*.pythonhosted.org:443 pip install .", "and no other host"),
      Example("zonectl sandbox --review agent; zonectl changes show", "nothing reaches the project before apply"),
      Example("zonectl sandbox --ro ../lib --hide secrets.env ./configure", "more to see, and less"),
      Example("zonectl sandbox --explain make test", "what it would be, and nothing is run"),
      Example("zonectl sandbox --require landlock make test", "also where user namespaces are switched off"),
      Example("zonectl sandbox --home agent --network full agent", "an agent whose home lasts"),
    ]),
  Verb(
    "learn", chapter: "sandboxes", "watch a run and write the least profile of it",
    operands: [Operand("COMMAND", hint: .command)],
    options: [
      OptionUse(
        "output",
        "write the profile to FILE, joined with what it has; otherwise to one of the command's name "
          + "among your profiles", "FILE", hint: .file),
      OptionUse("check"), OptionUse("profile", "with --check: the profile to compare with", "NAME|PATH"),
      OptionUse(
        "network", "allow (the default: every host, by the proxy, its name is written down) or none",
        "allow|none", hint: .words("allow none")),
      OptionUse("limits"), OptionUse("env"), OptionUse("env-file"),
      OptionUse("timeout", "kill the command after this long; the status is then 125"),
    ],
    details: """
      The command runs without walls between it and your files: your whole home is there as it is, and so is what it \
      writes. So learn from what you trust, and run with the profile what you do not. What it reads, writes, asks the \
      network for and which groups of system calls it makes is written as a profile that sandbox --profile takes: \
      nothing but what was used, with names generalised so that other files in the same folders fit.

      A file that is only yours (~/.ssh, ~/.netrc) is written by its own name, with a line that says so: look at it \
      before you use the profile. A second run is joined with the first. The exit status is the command's own.
      """,
    examples: [
      Example("zonectl learn -- ./convert.sh in/one.csv", "the first run"),
      Example("zonectl sandbox --profile convert.sh -- ./convert.sh in/two.csv", "from now on with nothing else"),
      Example("zonectl learn --check --profile convert.sh -- ./convert.sh in/new.csv", "would it be denied anything?"),
    ]),
]
