/// Images: what zones are made from.
let imageVerbs: [Verb] = [
  Verb(
    "image", chapter: "images (handed to orchestrator)", "what zones can be made from: bring, name and prune it",
    operands: [
      Operand(
        "list|show|tag|set|delete|prune|import|export|pull|push|update",
        hint: .words("list show tag set delete prune import export pull push update")),
      Operand("WORD", .zeroOrMore, hint: .file),
    ],
    options: [
      OptionUse("output"), OptionUse("digests"),
      OptionUse("quiet", "list: only names, one a line; pull, push, export, update: no progress"),
      OptionUse("force", "delete: though zones were made from it; all names of an id"),
      OptionUse("all", "prune: images that no zone was made from, too; update: all that were pulled"),
      OptionUse("blobs"), OptionUse("dry-run"),
      OptionUse("yes", "prune: do not ask"), OptionUse("platform"), OptionUse("from"),
      OptionUse("plain-http"), OptionUse("ca"), OptionUse("login"), OptionUse("jobs"),
      OptionUse(
        "expires", "pull, import, tag: the name is not wanted from then on: 12h, 7d, a day as 2026-12-01, never"),
    ],
    details: """
      An image is a stack of layers and a word about how it is run (the OCI image format). Its layers are unpacked \
      once, and shared by all zones and images that have them. NAME is [REGISTRY/]PATH[:TAG][@DIGEST], as Docker has \
      it, or the beginning of an image's id.

      list [PREFIX] has a row a name: its image's id, its age here, the bytes of its layers that it has alone and that \
      it shares, and how many zones were made from it. show NAME tells all about an image. tag NAME NEW gives it one \
      more name. set NAME expires=7d has zonectl prune take a name away then. delete NAME… takes names away. prune \
      removes what no name, zone or snapshot leads to, and tells it; layers of an image's zone at rest between which \
      no snapshot is left become one.

      import FILE|-|DIR [NAME] takes an OCI layout (a folder, or a tar of one), an archive of docker save, or a plain \
      tar of a root, which becomes an image of one layer; compressed by gzip or zstd or not at all. The name is the \
      archive's own where it has one. It prints each name with its digest. export NAME FILE|- writes an OCI layout \
      that docker load reads too. push NAME [NEW] brings an image to its registry, or another; what is there is not \
      sent again. update NAME… brings what registries have now under names that were pulled, and tells which zones are \
      of an older image (zonectl rebase).
      """,
    examples: [
      Example("zonectl image pull debian:12", "of Docker Hub"),
      Example("zonectl image pull localhost:5000/box:v1", "of a registry of this machine, with TLS or without"),
      Example("zonectl image import debian.tar.gz localhost/debian:12", "a root as an image of one layer"),
      Example("zonectl image import box.oci localhost/box:v1", "an OCI layout, made by buildah say"),
      Example("docker save box:v1 | zonectl image import -", "by the name that it has there"),
      Example("zonectl image push localhost/box:v1 registry.example.org/box:v1", "to a registry, by another name"),
      Example("zonectl image export localhost/box:v1 - | podman load", "to another engine"),
      Example("zonectl image update --all", "what registries have now"),
      Example("zonectl image list", "what is here"),
      Example("zonectl image show localhost/box:v1", "its configuration, layers and zones"),
      Example("zonectl image delete localhost/box:v1", "the name"),
      Example("zonectl image prune", "the bytes that nothing leads to"),
    ]),
  Verb(
    "snapshot", chapter: "images (handed to orchestrator)", "states of a zone's root, and the way back to them",
    operands: [
      Operand("create|list|set|rollback|delete", hint: .words("create list set rollback delete")),
      Operand("ZONE", hint: .zone),
      Operand("NAME", .zeroOrMore),
    ],
    options: [
      OptionUse("label", "create: a word of yours about it"),
      OptionUse("expires", "create: it is not wanted from then on: 12h, 7d, 2w, a day as 2026-12-01, never"),
      OptionUse("output"), OptionUse("quiet"),
    ],
    details: """
      Of a zone made from an image, or a sparse one that is stopped. create ZONE [NAME] takes no time where the zone \
      is stopped; one that runs is frozen while what it has written is copied (where the file system shares blocks, \
      without its content). rollback ZONE NAME throws away what was written since: also later snapshots stay. set ZONE \
      NAME expires=7d has zonectl prune delete it then. delete ZONE NAME… forgets; the bytes go with image prune. \
      Volumes are not in it.
      """,
    examples: [
      Example("zonectl snapshot create web before-upgrade", "before something that may go wrong"),
      Example("zonectl snapshot list web", "what there is"),
      Example("zonectl snapshot rollback web before-upgrade", "and it never happened (stop it first)"),
    ]),
  Verb(
    "clone", chapter: "images (handed to orchestrator)", "a new zone with the root of another",
    operands: [Operand("ZONE[@SNAPSHOT]", hint: .zone), Operand("NEW")],
    options: [OptionUse("as-template")],
    details: """
      The two share all that was written until now, however much it is, and go their own ways from here on. The new \
      zone's settings are the other's (zonectl set changes them), its addresses and ids its own; a named volume is one \
      volume for both. Of a zone made from an image, which is frozen while what it has written is copied where it \
      runs, or a sparse one that is stopped (a snapshot of it at any time).
      """,
    examples: [
      Example("zonectl clone web web2", "as it is"), Example("zonectl clone web@before-upgrade test", "as it was"),
      Example("zonectl clone web golden --as-template", "for clones alone"),
    ]),
  Verb(
    "rebase", chapter: "images (handed to orchestrator)", "put what a zone has written on a newer image",
    operands: [Operand("ZONE", hint: .zone), Operand("IMAGE", .optional)],
    options: [
      OptionUse("dry-run", "only tell the conflicts"), OptionUse("force", "though there are conflicts"),
      OptionUse("output"),
    ],
    details: """
      IMAGE is the zone's, as it is now, unless another is named. What the zone has written and the newer image has \
      changed are conflicts: they are told, and nothing is done without --force. The root as it was is kept as the \
      snapshot before-rebase, or before-rebase-2 and so on where there is one: which, is told.
      """,
    examples: [
      Example("zonectl stop web && zonectl rebase web", "on the newer image"),
      Example("zonectl snapshot rollback web before-rebase", "and back"),
    ]),
  Verb(
    "commit", chapter: "images (handed to orchestrator)", "make an image of what a zone has written",
    operands: [Operand("ZONE", hint: .zone), Operand("NAME")],
    options: [OptionUse("change"), OptionUse("message"), OptionUse("author"), OptionUse("compress")],
    details: """
      The zone's files that are not its image's become one more layer on it, as NAME. The image is run as the one that \
      the zone was made from, but for what is changed: the zone's own settings are not the image's. A running zone is \
      frozen while its files are read. Volumes are not in it.
      """,
    examples: [
      Example("zonectl commit web localhost/web:v2", "as it is now"),
      Example("zonectl commit web localhost/web:v2 --change 'CMD=[\"serve\"]' -m users", "and run otherwise"),
    ]),
  Verb(
    "diff", chapter: "images (handed to orchestrator)", "what a zone has changed of its image, or since a snapshot",
    operands: [Operand("ZONE[@SNAPSHOT]", hint: .zone)],
    options: [OptionUse("output")],
    details: """
      A row a path: A added, M modified, D deleted, T of another type now, m its mode, owner or attributes alone, t its \
      time alone. Sizes are 12, or 10>12.
      """,
    examples: [
      Example("zonectl diff web", "in the order of paths"), Example("zonectl diff web -o json", "for programs"),
    ]),
  Verb(
    "export", chapter: "images (handed to orchestrator)", "write a zone into one archive",
    operands: [Operand("ZONE", hint: .zone), Operand("FILE|-", hint: .file)],
    options: [
      OptionUse("no-volumes"), OptionUse("quiet", "no progress"), OptionUse("bootable"),
      OptionUse("size", "bootable: of the disk; otherwise twice what is in it, 2G at least"), OptionUse("kernel"),
      OptionUse(
        "network", "bootable: by which the kernel comes; otherwise the zone's own", "NAME", hint: .words("default")),
    ],
    details: """
      Its settings, what it has written over its image, the image, snapshots and what is in its named volumes, all of \
      one moment: a running zone is frozen meanwhile. zonectl import makes the zone again; podman and docker load the \
      archive as an image that they run.

      With --bootable it is the disk of a machine that boots by a BIOS (QEMU, amd64): a clone of the zone, which has \
      to be Debian's, gets a kernel and GRUB by its own apt, within the zone's limits. One without a network wants \
      --network for that. Volumes are not in it.
      """,
    examples: [
      Example("zonectl export web web.tar", "to a file"),
      Example("zonectl export --bootable web web.img", "qemu-system-x86_64 -drive file=web.img,format=raw,if=virtio"),
      Example("zonectl export web - | ssh other zonectl import -", "to another machine"),
    ]),
  Verb(
    "import", chapter: "images (handed to orchestrator)", "make a zone of what export wrote, or of a machine",
    operands: [Operand("FOLDER|FILE|-", hint: .file), Operand("ZONE", .optional)],
    options: [
      OptionUse("no-volumes", "leave out what is in its volumes, and take those that are here"), OptionUse("machine"),
      OptionUse("hostname"), OptionUse("output"),
    ],
    details: """
      An archive of zonectl export becomes the zone again, as ZONE or as it was called.

      With --machine it is the tree of a Debian machine, which becomes an image, and a zone of it that starts the \
      machine's init. Of a FOLDER what is mounted in it from disks is taken as well. What is the hardware's is changed \
      in the zone: zonectl diff shows it. The machine's services are told.
      """,
    examples: [
      Example("zonectl import web.tar", "on another machine"),
      Example("zonectl import --no-volumes web.tar again", "beside the other, with the same volumes"),
      Example("ssh web tar -C / --one-file-system -c . | zonectl import --machine - web", "while it runs"),
    ]),
  Verb(
    "volume", chapter: "images (handed to orchestrator)", "what zones keep beside their roots, and share",
    operands: [
      Operand("list|show|create|set|delete|backup|restore", hint: .words("list show create set delete backup restore")),
      Operand("WORD", .zeroOrMore, hint: .file),
    ],
    options: [
      OptionUse("output"), OptionUse("quiet", "list: only names, one a line"), OptionUse("file"), OptionUse("size"),
      OptionUse("label", "create: a word of yours about it"),
      OptionUse("expires", "create: it is not wanted from then on: 12h, 7d, 2w, a day as 2026-12-01, never"),
      OptionUse("compress", "backup: none (the default), gzip, zstd"),
      OptionUse("force", "restore: in the place of what is there"),
    ],
    details: """
      A volume is made when a zone is first started with it (create --volume NAME:/path), or by create NAME: a \
      directory, or with --file ext4 in a file of --size, whose room is taken at once (root only). With --size alone a \
      directory takes at most so much (root, on ext4 or xfs with project quotas). Either is 16M or more. list, show \
      NAME: size, age, last use, zones. set NAME expires=7d has zonectl prune delete it then, where no zone has it; \
      set NAME size=20G changes a directory's bound. delete NAME…: of no zone.

      backup NAME FILE|- writes one tar. Zones that may write in the volume are frozen while it is read, or only while \
      a directory's blocks are shared where the file system can (btrfs, xfs); it says which. restore NAME FILE|- puts \
      a backup's files in the place of what is there.
      """,
    examples: [
      Example("zonectl volume create data --file --size 10G", "a disk of its own"),
      Example("zonectl volume backup data - --compress zstd >data.tar.zst", "while it is in use"),
      Example("zonectl volume restore data data.tar.zst --force", "back"),
    ]),
  Verb(
    "prune", chapter: "images (handed to orchestrator)", "remove what is past its time, and what no name leads to",
    options: [
      OptionUse("all", "images that no zone was made from, too"), OptionUse("blobs"), OptionUse("volumes"),
      OptionUse("dry-run"), OptionUse("yes", "do not ask about --all and --volumes"), OptionUse("output"),
    ],
    details: """
      What has --expires (zones, snapshots, volumes, names of images) is told of when its time is less than a day away \
      (here; of zones as the event expiring too). It goes by the first prune that comes when its time is over and a \
      day has passed since it was told; zonectl set ZONE expires=7d renews it, snapshot set, volume set and image set \
      the others. A volume that a zone has stays, and so does the last name of a zone's image. Then images, as zonectl \
      image prune does.
      """,
    examples: [
      Example("zonectl create --expires 7d test -- serve", "for a week"),
      Example("zonectl prune --dry-run", "what would go"), Example("zonectl set test expires=never", "it stays"),
    ]),
  Verb(
    "df", chapter: "images (handed to orchestrator)", "where space goes, and what prune would free",
    options: [OptionUse("output")],
    details: """
      Images by the size of their layers' archives, snapshots by what they take on the disk; blobs, the bytes as they \
      were fetched; what is unfinished; and what zones, volumes, logs and caches take on the disk. A number with a + \
      is of a part: there are files that you may not look at. What is freeable goes with zonectl image prune --blobs.
      """,
    examples: [Example("zonectl df", "a row a kind"), Example("zonectl df -o json", "for programs")]),
]
