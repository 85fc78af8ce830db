/// Every option, once. The set `zone` describes a zone and is the same on configure, create, run and explain.
let zonectlOptions: [Option] = [
  // MARK: a zone
  Option(
    "image", "", "BRAND[:WHAT]", hint: .words("sparse dir: oci: tar: debootstrap: empty"), set: "zone",
    help:
      "where the root comes from: sparse (the host's /usr, nothing copied; the default), dir:PATH (a tree, used in place), oci:NAME[:TAG|@DIGEST] (an image, pulled where it is not here: zonectl image), empty; create and run also take tar:FILE (a root in an archive) and debootstrap:SUITE (Debian, by mmdebstrap)"
  ),
  Option("cpus", "", "N", set: "zone", help: "at most this many CPUs' time, 1.5 say; 0.01 or more"),
  Option(
    "cpu-shares", "", "N", set: "zone",
    help: "weight against other zones when the CPUs are busy, 2 to 262144; 1024 is usual"),
  Option("cpuset", "", "LIST", set: "zone", help: "only these CPUs: 0-1,3"),
  Option("memory", "", "SIZE", set: "zone", help: "at most this much memory: 512M, 2G (K, M, G, T are powers of 1024)"),
  Option(
    "quota", "", "SIZE", set: "zone",
    help: "write at most this much to the root (ext4, xfs and btrfs with quotas; root)"),
  Option("pids", "", "N", set: "zone", help: "at most this many processes and threads"),
  Option(
    "volume", "v", "[SOURCE:]TARGET[:ro]", repeats: true, hint: .directory, set: "zone",
    help: "put a host directory or a named volume at TARGET inside; without SOURCE a volume of the zone's own"),
  Option(
    "tmpfs", "", "TARGET[:SIZE]", repeats: true, set: "zone",
    help: "put a file system in memory at TARGET, of at most SIZE"),
  Option(
    "secret", "", "NAME=FILE[,uid=N]", repeats: true, hint: .file, set: "zone",
    help: "show FILE's content as /run/secrets/NAME inside, never in show or explain"),
  Option(
    "env", "e", "KEY[=VALUE]", repeats: true, help: "set an environment variable; without VALUE it is taken from yours"),
  Option("env-file", "", "FILE", repeats: true, hint: .file, help: "read KEY=VALUE lines; --env wins over them"),
  Option("workdir", "w", "DIR", help: "the command's directory inside"),
  Option(
    "user", "u", "USER[:GROUP]",
    help: "run as this user of the zone, by name or number; otherwise the zone's own, the image's, or root"),
  Option("hostname", "", "NAME", set: "zone", help: "the host name inside; otherwise the zone's name"),
  Option(
    "network", "", "none|host|NAME", hint: .words("none host default"), set: "zone",
    help: "the network; otherwise the one named default (private addresses, the outside reached by NAT)"),
  Option(
    "network-alias", "", "NAME", repeats: true, set: "zone",
    help: "another name by which zones of its network find it"),
  Option(
    "publish", "p", "[ADDRESS:]HOST:ZONE[/udp]", repeats: true, set: "zone",
    help: "let a port of the host lead to one of the zone; ranges as 8000-8010:80-90"),
  Option("read-only", "", set: "zone", help: "nothing of the root can be written; volumes, /tmp and /run can"),
  Option(
    "cap-add", "", "CAPABILITY", repeats: true, set: "zone", help: "give a capability besides the default ones; ALL"),
  Option("cap-drop", "", "CAPABILITY", repeats: true, set: "zone", help: "take a default capability away; ALL"),
  Option(
    "restart", "", "POLICY", hint: .words("no always unless-stopped on-failure"), set: "zone",
    help: "when the command has ended: no, always, unless-stopped, on-failure[:TRIES]"),
  Option("expires", "", "WHEN", set: "zone", help: "not wanted from then on: 12h, 7d, 2w, a day as 2026-12-01, never"),
  Option("autostart", "", set: "zone", help: "started at machine start (zonectl boot --all)"),
  Option(
    "init", "", set: "zone",
    help:
      "the command is an init of its own and becomes pid 1; /sbin/init and systemd do without a word"
  ),
  Option("nesting", "", set: "zone", help: "namespaces, and so zones, can be made inside; weakens the walls"),
  Option(
    "calls", "", "GROUP,…", repeats: true,
    hint: .words(
      "base process network file-system ipc identity scheduling clock async-io debug walls privileged"), set: "zone",
    help: "leave only these groups of system calls, and the base that every program needs (docs/LEARN.md)"),
  Option("label", "l", "KEY=VALUE", repeats: true, set: "zone", help: "a word of yours about the zone, kept with it"),
  Option(
    "stop-signal", "", "SIGNAL", hint: .signal, set: "zone",
    help: "what stop sends first; otherwise what the image says, or TERM"),
  Option("stop-timeout", "", "SECONDS", set: "zone", help: "how long stop waits before it kills; otherwise 10"),

  // MARK: a sandbox
  Option("ro", "", "PATH", repeats: true, hint: .file, help: "show PATH of yours at its place, read-only"),
  Option(
    "rw", "", "PATH", repeats: true, hint: .file,
    help: "let the command write PATH of yours; also lifts the protection of one in the project (--rw .git/hooks)"),
  Option("hide", "", "PATH", repeats: true, hint: .file, help: "show something empty at PATH"),
  Option("home", "", "NAME", help: "a private home that lasts, kept under this name; otherwise it goes too"),
  Option(
    "profile", "", "NAME|PATH", repeats: true, hint: .words("build python node swift agent"),
    help: "options under a name: build, python, node, swift, agent, or a file of yours; the command line wins"),
  Option(
    "require", "", "WALL,…", repeats: true,
    help:
      "fail where one of these walls cannot stand: user mount pid net ipc uts cgroup landlock seccomp capabilities no-new-privs limits"
  ),
  Option(
    "review", "", help: "write to a layer over the project, which zonectl changes shows and applies"),
  Option(
    "ids", "", "one|many", hint: .words("one many"),
    help: "one: you alone; many: your subordinate ids too, under their own numbers, and none of your groups"),
  Option("only", "", help: "nothing but what is named: no current directory, no tools of PATH, no caches"),
  Option("check", "", help: "write nothing; tell what the profile would deny, and exit with 1 if it would anything"),
  Option("limits", "", help: "write limits of memory and processes as well: twice the most that was seen"),
  Option("explain", "", help: "print the plan in words, each wall and each place with its reason, and run nothing"),
  Option("verbose", "v", help: "tell on standard error what stands, what is in sight and what is refused"),
  Option("report", "", "FILE", hint: .file, help: "write how it ended, and what it took, to FILE as JSON"),
  Option("id", "", "NAME", help: "the run's name, in list, its report and its review; otherwise made from two words"),

  Option("pid", "", "PID", help: "this process, whoever started it"),

  // MARK: terminals
  Option("tty", "t", help: "a terminal for the command"),
  Option("interactive", "i", help: "give the command your standard input"),
  Option("detach", "d", help: "do not stay attached; print the zone's name"),
  Option(
    "detach-keys", "", "KEYS", help: "what you type to leave without ending the command: ctrl-p,ctrl-q (the default)"),

  // MARK: what verbs do
  Option("name", "", "NAME", help: "the zone's name; otherwise one is made from two words"),
  Option("rm", "", help: "delete the zone when the command has ended"),
  Option("all", "", help: "every zone that it can be done to"),
  Option("force", "", help: "also where a fleet owns the zone"),
  Option("yes", "", help: "do not ask"),
  Option("timeout", "", "SECONDS", help: "wait no longer than this"),
  Option("signal", "s", "SIGNAL", hint: .signal, help: "the signal, by name or number"),
  Option("follow", "f", help: "go on as more is written, until the zone is deleted or you press Ctrl-C"),
  Option("tail", "", "LINES", help: "only the last lines"),
  Option("quiet", "q", help: "only names, one a line"),
  Option(
    "output", "o", "table|wide|json", hint: .words("table wide json"),
    help: "how to print: table (for people), wide (more columns), json (for programs; its names do not change)"),

  // MARK: images
  Option(
    "pull", "", "WHEN", hint: .words("missing always never"),
    help: "whether to bring an image (oci:NAME) from its registry: where it is missing (the default), always, never"),
  Option("digests", "", help: "list: the digest of each image's manifest too"),
  Option("blobs", "", help: "prune: fetched bytes of layers that are unpacked, too; a push would fetch them again"),
  Option("dry-run", "", help: "only tell what would be done"),
  Option(
    "platform", "", "OS/ARCH", help: "the image for this platform; otherwise for this machine (update: as it was)"),
  Option(
    "from", "", "FORM", hint: .words("auto oci docker tar"),
    help: "import: what it is: oci, docker or tar; otherwise auto finds out"),
  Option("plain-http", "", help: "pull, push: without TLS, where nobody else is on the way to the registry"),
  Option("ca", "", "FILE", hint: .file, help: "pull, push: certificates (PEM) to trust beside this machine's"),
  Option(
    "login", "", "FILE", hint: .file,
    help: "pull, push: a file of logins, as podman login and docker login make; otherwise theirs are looked at"),
  Option("jobs", "", "NUMBER", help: "pull, push: so many layers beside each other, 1 to 64; otherwise 4"),

  Option(
    "change", "", "WORD=VALUE", repeats: true,
    hint: .words("CMD= ENTRYPOINT= ENV= EXPOSE= LABEL= STOPSIGNAL= USER= VOLUME= WORKDIR="),
    help: "say something of the image anew: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR"),
  Option("message", "m", "TEXT", help: "why the image was made, for its history"),
  Option("author", "", "NAME", help: "who made it"),
  Option(
    "compress", "", "HOW", hint: .words("gzip zstd none"), help: "the new layer: gzip (the default), zstd, none"),

  Option("file", "", help: "create: ext4 in a file, a disk of its own"),
  Option("size", "", "SIZE", help: "create: how large it is, or may become (512M, 10G)"),

  Option("no-volumes", "", help: "leave out what is in its volumes"),
  Option("bootable", "", help: "a disk that boots"),
  Option("kernel", "", "PACKAGE", help: "bootable: linux-image-cloud-amd64 (the default: virtio), linux-image-amd64 …"),
  Option("volumes", "", help: "volumes of no zone too, with all that is in them"),
  Option("machine", "", help: "what is imported is the tree of a machine"),
  Option("as-template", "", help: "the new zone is there to be cloned: it is never started itself"),

  // MARK: before the verb or after it
  Option(
    "root", "", "DIR", hint: .directory, set: "global",
    help: "keep everything in DIR/data and DIR/run: a world of zones apart from the others"),
  Option("help", "h", set: "global", help: "teach the program or the verb, and do nothing"),
  Option("version", "", set: "global", help: "print the version"),
]
