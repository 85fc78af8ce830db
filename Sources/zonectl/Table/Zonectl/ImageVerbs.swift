/// Images: what zones are made from.
let imageVerbs: [Verb] = [
  Verb(
    "image", chapter: "images", "what zones can be made from: bring, name and prune it",
    operands: [
      Operand("list|show|tag|delete|prune|import|pull", hint: .words("list show tag delete prune import pull")),
      Operand("WORD", .zeroOrMore, hint: .file),
    ],
    options: [
      OptionUse("output"), OptionUse("digests"), OptionUse("quiet", "list: only names, one a line; pull: no progress"),
      OptionUse("force", "delete: though zones were made from it; all names of an id"),
      OptionUse("all", "prune: images that no zone was made from, too"), OptionUse("blobs"), OptionUse("dry-run"),
      OptionUse("yes", "prune: do not ask"), OptionUse("platform"), OptionUse("from"),
      OptionUse("plain-http"), OptionUse("ca"), OptionUse("login"), OptionUse("jobs"),
    ],
    details: """
      An image is a stack of layers and a word about how it is run (the OCI image format). Its layers are unpacked once, \
      and shared by all zones and images that have them. NAME is [REGISTRY/]PATH[:TAG][@DIGEST], as Docker has it, or the \
      beginning of an image's id.

      list [PREFIX] has a row a name: its image's id, its age here, the bytes of its layers that it has alone and that \
      it shares, and how many zones were made from it. show NAME tells all about an image. tag NAME NEW gives it one more \
      name. delete NAME… takes names away. prune removes what no name, zone or snapshot leads to, and tells it.

      import FILE|-|DIR [NAME] takes an OCI layout (a folder, or a tar of one), an archive of docker save, or a plain tar \
      of a root, which becomes an image of one layer; compressed by gzip or zstd or not at all. The name is the archive's \
      own where it has one. It prints each name with its digest.
      """,
    examples: [
      Example("zonectl image pull debian:12", "of Docker Hub"),
      Example("zonectl image pull localhost:5000/box:v1", "of a registry of this machine, with TLS or without"),
      Example("zonectl image import debian.tar.gz localhost/debian:12", "a root as an image of one layer"),
      Example("zonectl image import box.oci localhost/box:v1", "an OCI layout, made by buildah say"),
      Example("docker save box:v1 | zonectl image import -", "by the name that it has there"),
      Example("zonectl image list", "what is here"),
      Example("zonectl image show localhost/box:v1", "its configuration, layers and zones"),
      Example("zonectl image delete localhost/box:v1", "the name"),
      Example("zonectl image prune", "the bytes that nothing leads to"),
    ]),
  Verb(
    "df", chapter: "images", "where space goes, and what prune would free",
    options: [OptionUse("output")],
    details: """
      Images and snapshots by the size of their layers' archives; blobs, the bytes as they were fetched; what is \
      unfinished; and what zones, volumes, logs and caches take on the disk. A number with a + is of a part: there are \
      files that you may not look at. What is freeable goes with zonectl image prune --blobs.
      """,
    examples: [Example("zonectl df", "a row a kind"), Example("zonectl df -o json", "for programs")]),
]
