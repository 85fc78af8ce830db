/// Work in and with zones that live.
let insideVerbs: [Verb] = [
  Verb(
    "exec", chapter: "inside a zone", "run a command in a zone that lives",
    operands: [Operand("NAME", hint: .zone), Operand("COMMAND", hint: .command)],
    options: [
      OptionUse("interactive"), OptionUse("tty"), OptionUse("env"), OptionUse("env-file"), OptionUse("workdir"),
      OptionUse("user"), OptionUse("timeout", "kill the command after this long; the status is then 125"),
    ],
    details: """
      The command gets the zone's walls, limits and environment. Options stand before COMMAND; what follows it is \
      its own. The exit status is the command's, as with run.
      """,
    examples: [
      Example("zonectl exec web ls -l /srv", "-l is ls's"),
      Example("zonectl exec -it web sh", "a shell on your terminal"),
      Example("zonectl exec -i db restore < dump", "feed it from here"),
    ]),
  Verb(
    "login", chapter: "inside a zone", "a login shell in a zone, on your terminal",
    operands: [Operand("NAME", hint: .zone)],
    options: [OptionUse("user", "whose shell; otherwise root's")],
    details: "The shell is the one that the zone's passwd names, started as a login shell in the user's home.",
    examples: [
      Example("zonectl login box", "as root"),
      Example("zonectl login box --user www-data", "as somebody else"),
    ]),
  Verb(
    "attach", chapter: "inside a zone", "connect your terminal to a zone's first process",
    operands: [Operand("NAME", hint: .zone)],
    options: [OptionUse("detach-keys")],
    details: """
      Ctrl-P Ctrl-Q leaves again and the zone goes on. When the first process ends, its status is yours. Of a zone \
      without a terminal you see the output; signals that you get (Ctrl-C) are passed to it.
      """,
    examples: [Example("zonectl attach web", "until it ends or you leave")]),
  Verb(
    "logs", chapter: "inside a zone", "what a zone's first process has written",
    operands: [Operand("NAME", hint: .zone)],
    options: [OptionUse("follow"), OptionUse("tail")],
    details: "Both standard output and standard error, as they were written, over restarts of the zone.",
    examples: [
      Example("zonectl logs --tail 20 web", "the last lines"),
      Example("zonectl logs -f web", "and what comes"),
    ]),
  Verb(
    "cp", chapter: "inside a zone", "copy files into a zone that lives, or out of one",
    operands: [Operand("SOURCE", hint: .zonePath), Operand("TARGET", hint: .zonePath)],
    details: """
      One of the two is NAME:PATH, the other a path here (./a:b where the name has a colon). Directories are copied \
      with all they hold, but not other file systems mounted in them. Paths inside are found by the zone's own eyes: \
      no symbolic link of its can lead out. As with cp, a TARGET that is a directory receives SOURCE under its own \
      name. What comes in belongs to the zone's root, what goes out to you; set-id bits, devices, sockets and pipes \
      are left out.
      """,
    examples: [
      Example("zonectl cp web:/etc/hosts .", "out"),
      Example("zonectl cp site web:/srv", "in, as /srv/site"),
    ]),
  Verb(
    "kill", chapter: "inside a zone", "send a signal to a zone's first process",
    operands: [Operand("NAME", hint: .zone), Operand("SIGNAL", .optional, hint: .signal)],
    options: [OptionUse("signal"), OptionUse("force")],
    details: "Without SIGNAL it is TERM. To end a zone for certain, use stop or halt.",
    examples: [
      Example("zonectl kill web HUP", "read the configuration again"),
      Example("zonectl kill -s KILL web", "its restart policy then decides"),
    ]),
  Verb(
    "wait", chapter: "inside a zone", "wait until zones have ended, and print how",
    operands: [Operand("NAME", .oneOrMore, hint: .zone)],
    options: [OptionUse("timeout", "give up after this long, with status 1"), OptionUse("output")],
    details: """
      Prints the status of the first process (128+n where signal n ended it) and, where a signal did, its name or \
      oom-killed. With several zones each line begins with the name. A zone that does not live answers with its last end.
      """,
    examples: [
      Example("zonectl wait batch", "prints 0, or 137 oom-killed"),
      Example("zonectl wait --timeout 60 batch || echo still busy", "with an end"),
    ]),
]
