/// A developer's throw-away zones.
let sandboxVerbs: [Verb] = [
  Verb(
    "sandbox", chapter: "sandboxes", "run a command you do not trust, with your project alone",
    operands: [Operand("COMMAND", hint: .command)],
    options: [
      OptionUse("profile"), OptionUse("ro"), OptionUse("rw"), OptionUse("hide"), OptionUse("env"),
      OptionUse("env-file"),
      OptionUse("home"),
      OptionUse(
        "network",
        "none (the default), allow=HOST[:PORT],… (these and no others, by a proxy), full (by pasta, where it is installed), host"
      ),
      OptionUse("memory"), OptionUse("cpus"), OptionUse("pids"), OptionUse("nesting"), OptionUse("ids"),
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

      Where the machine has no user namespaces, --require landlock runs the command all the same, behind Landlock and the \
      filter alone: its home and TMPDIR are private folders, /tmp, other processes and sockets with a name are closed to it, \
      and what is protected in a project is not. One line on standard error tells what is not covered.

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
    ])
]
