#!/usr/bin/env python3
"""Makes images in every form that `zonectl image import` takes, and hostile ones: layouts.py FOLDER.

FOLDER/NAME (a folder) or FOLDER/NAME.tar; FOLDER/hostile/NAME[.tar] with FOLDER/hostile.list, a line each: NAME, a tab, and a
part of what is said of it. The same bytes each time.
"""
import gzip, hashlib, io, json, os, sys, tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REF = "org.opencontainers.image.ref.name"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(entries, form=tarfile.PAX_FORMAT):
    """Entries: (name, type or content, {attributes})."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, what, *more in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 1_700_000_000
            info.mode = 0o644
            data = None
            if what == "/":
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(what, tuple):
                info.type, info.linkname = what
            else:
                data = what
                info.size = len(data)
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def packed(data):
    return gzip.compress(data, 6, mtime=0)


BASE = tar([("./", "/"), ("etc/", "/"), ("etc/passwd", b"root:x:0:0::/root:/bin/sh\n"), ("bin/", "/", {"mode": 0o711}),
            ("bin/tool", b"tool\n", {"mode": 0o4755, "uid": 5, "gid": 6}), ("var/", "/"), ("var/old", b"old\n")])
# A directory that no entry tells of, a name that is deleted, and a device, which is left out.
MIDDLE = tar([("bin/other", b"other\n"), ("var/", "/"), ("var/.wh.old", b""), ("dev/", "/"),
              ("dev/null", (tarfile.CHRTYPE, ""), {"devmajor": 1, "devminor": 3})])
TOP = tar([("etc/", "/"), ("etc/motd", b"hello\n" * 1000)])


class Layout:
    def __init__(self):
        self.blobs, self.manifests = {}, []

    def add(self, data):
        self.blobs[digest(data)] = data
        return {"digest": digest(data), "size": len(data)}

    def image(self, layers, tag=None, platform=None, use=None, **changes):
        """Layers: (archive, blob, media type)."""
        config = {"architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
                  "config": use if use is not None else {"Cmd": ["/bin/tool"], "Env": ["PATH=/bin"]},
                  "rootfs": {"type": "layers", "diff_ids": [digest(archive) for archive, _, _ in layers]},
                  "history": [{"created_by": "layer %d" % n} for n in range(len(layers))]}
        if platform:
            config["os"], config["architecture"] = platform.split("/")
        config.update(changes.get("config", {}))
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {"mediaType": CONFIG, **self.add(json.dumps(config).encode())},
                    "layers": [{"mediaType": kind, **self.add(blob)} for _, blob, kind in layers]}
        manifest.update(changes.get("manifest", {}))
        entry = {"mediaType": MANIFEST, **self.add(json.dumps(manifest).encode())}
        if platform:
            entry["platform"] = dict(zip(["os", "architecture"], platform.split("/")))
        if tag:
            entry["annotations"] = {REF: tag}
        self.manifests.append(entry)
        return entry

    def files(self):
        index = {"schemaVersion": 2, "manifests": self.manifests}
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
        for name, data in self.blobs.items():
            files["blobs/" + name.replace(":", "/")] = data
        return files


THREE = [(BASE, BASE, LAYER), (MIDDLE, packed(MIDDLE), LAYER + "+gzip"), (TOP, packed(TOP), LAYER + "+gzip")]
USE = {"Cmd": ["-v"], "Entrypoint": ["/bin/tool"], "Env": ["PATH=/bin", "A=b=c"], "User": "5:6", "WorkingDir": "/srv/",
       "Labels": {"org.example": "yes"}, "Volumes": {"/data": {}}, "ExposedPorts": {"80": {}}, "StopSignal": "SIGINT",
       "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 1000000000}}


def three(**changes):
    layout = Layout()
    layout.image(THREE, tag="v1", use=USE, **changes)
    return layout


def folder(path, files, links={}):
    for name, data in files.items():
        os.makedirs(os.path.dirname(f"{path}/{name}"), exist_ok=True)
        with open(f"{path}/{name}", "wb") as file:
            file.write(data)
    for name, target in links.items():
        os.makedirs(os.path.dirname(f"{path}/{name}"), exist_ok=True)
        if os.path.lexists(f"{path}/{name}"):
            os.remove(f"{path}/{name}")
        os.symlink(target, f"{path}/{name}")


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def saved(layers, tags, links={}, config_name=None):
    """As docker save has it, of old: a folder a layer, and links where two are the same."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": USE,
                         "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}}).encode()
    name = config_name or hashlib.sha256(config).hexdigest() + ".json"
    entries, paths = [(name, config)], []
    for number, layer in enumerate(layers):
        path = "%064x/layer.tar" % number
        paths.append(path)
        entries.append((path, (tarfile.SYMTYPE, links[number]) if number in links else layer))
    manifest = json.dumps([{"Config": name, "RepoTags": tags, "Layers": paths}]).encode()
    return tar(entries + [("manifest.json", manifest), ("repositories", b"{}")])


def good(top):
    files = three().files()
    folder(f"{top}/box", files)
    archive = tar([("blobs/", "/"), ("blobs/sha256/", "/")] + [(name, data) for name, data in sorted(files.items())])
    write(f"{top}/box.tar", archive)
    write(f"{top}/box.tar.gz", packed(archive))
    docker = saved([BASE, MIDDLE, BASE], ["box:saved", "localhost:5000/box:saved"], {2: "../%064x/layer.tar" % 0})
    write(f"{top}/saved.tar", docker)
    write(f"{top}/saved.tar.gz", packed(docker))
    write(f"{top}/unnamed.tar", saved([BASE], None))
    write(f"{top}/root.tar", BASE)
    write(f"{top}/root.tar.gz", packed(BASE))

    many = Layout()
    for platform, layer in [("linux/amd64", BASE), ("linux/arm64", TOP)]:
        many.image([(layer, layer, LAYER)], platform=platform)
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": many.manifests}).encode()
    many.manifests = [{"mediaType": INDEX, **many.add(index), "annotations": {REF: "localhost/many:v1"}}]
    folder(f"{top}/many", many.files())

    two = Layout()
    two.image([(BASE, BASE, LAYER)], tag="one")
    two.image([(BASE, BASE, LAYER), (TOP, TOP, LAYER)], tag="two")
    folder(f"{top}/two", two.files())

    full = Layout()
    full.image([(BASE, BASE, LAYER)], tag="localhost/full/name:v2")
    folder(f"{top}/full", full.files())


def hostile(top):
    said = []

    def case(name, files, words, links={}):
        folder(f"{top}/hostile/{name}", files, links)
        said.append((name, words))

    def archive(name, data, words):
        write(f"{top}/hostile/{name}.tar", data)
        said.append((name + ".tar", words))

    os.makedirs(f"{top}/hostile")
    blob = "blobs/" + digest(packed(TOP)).replace(":", "/")
    files = three().files()
    case("wrong-bytes", {**files, blob: packed(TOP)[:-1] + b"x"}, "layer 3 of 3")
    case("short", {**files, blob: packed(TOP)[:-1]}, "are promised")
    case("missing", {name: data for name, data in files.items() if name != blob}, "it is not in the layout")
    case("no-index", {name: data for name, data in files.items() if name != "index.json"}, "there is no index.json in it")
    case("no-layout", {"etc/passwd": b""}, "without the file oci-layout")
    case("version", {**files, "oci-layout": b'{"imageLayoutVersion":"2.0.0"}'}, "a layout of version 2.0.0")
    case("empty", {**files, "index.json": b'{"schemaVersion":2,"manifests":[]}'}, "no image in its index.json")
    case("both", {**files, "index.json": b'{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}'}, "a manifest and an index at once")
    case("twice", {**files, "index.json": b'{"schemaVersion":2,"manifests":[],"manifests":[]}'}, "index.json")
    case("link-out", files, "link", {blob: "/etc/passwd"})
    case("link-up", files, "link", {blob: "../../../../../../etc/passwd"})
    case("link-folder", {name: data for name, data in files.items() if not name.startswith("blobs")}, "link", {"blobs": "../box/blobs"})
    path = three()
    path.manifests[0]["digest"] = "sha256:../../../../../../../../etc/passwd"
    case("path", path.files(), "digits of 0-9 and a-f")
    path = three()
    path.manifests[0]["size"] = 1 << 60
    case("size", path.files(), "are promised")
    case("manifest-bytes", {**files, "blobs/" + three().manifests[0]["digest"].replace(":", "/"): b" " * three().manifests[0]["size"]}, "the bytes of blob")
    wrong = [(TOP, BASE, LAYER)]
    layout = Layout()
    layout.image(wrong, tag="v1")
    case("wrong-diff", layout.files(), "the image says")
    layout = Layout()
    layout.image([(BASE, BASE, LAYER + "+zstd")], tag="v1")
    case("wrong-compression", layout.files(), "media type")
    layout = Layout()
    layout.image([(BASE, BASE, "application/vnd.in-toto+json")], tag="v1")
    case("no-layers", layout.files(), "known are tar, gzip and zstd")
    case("more-layers", three(config={"rootfs": {"type": "layers", "diff_ids": []}}).files(), "tells of 0 layers")
    case("foreign-config", three(manifest={"config": {"mediaType": "application/x-toto", **Layout().add(b"{}")}}).files(), "its configuration is of type")
    case("climbing-workdir", three(config={"config": {"WorkingDir": "/a/../../b"}}).files(), "WorkingDir")
    case("signal", three(config={"config": {"StopSignal": "SIGNONE"}}).files(), "StopSignal")
    evil = tar([("../../../../escaped", b"x")])
    layout = Layout()
    layout.image([(evil, evil, LAYER)], tag="v1")
    case("climbing-layer", layout.files(), "leads upwards by '..'")
    layout = Layout()
    layout.image([(BASE, BASE, LAYER)], tag="../../escaped:v1")
    case("climbing-name", layout.files(), "called what is no name")
    other = Layout()
    other.image([(BASE, BASE, LAYER)], platform="plan9/mips")
    other.image([(TOP, TOP, LAYER)], platform="plan9/arm")
    case("platform", other.files(), "it has no image for linux/")
    ring = Layout()
    inner = ring.image([(BASE, BASE, LAYER)], tag="v1")
    for _ in range(5):
        data = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}).encode()
        inner = {"mediaType": INDEX, **ring.add(data)}
    ring.manifests = [{**inner, "annotations": {REF: "v1"}}]
    case("deep", ring.files(), "points at an index")
    case("large-config", three(config={"author": "x" * (9 << 20)}).files(), "its configuration")

    archive("climbing", tar([("../oci-layout", b"{}"), ("index.json", b"{}")]), "'..'")
    items = sorted(files.items())
    archive("double", tar(items + [("index.json", files["index.json"])]), "two entries of this name")
    archive("link", tar([(name, (tarfile.SYMTYPE, "/etc/passwd")) if name == blob else (name, data) for name, data in items]), "link")
    archive("ring", tar([(name, (tarfile.SYMTYPE, os.path.basename(name))) if name == blob else (name, data) for name, data in items]), "link")
    archive("device", tar([(name, (tarfile.CHRTYPE, "")) if name == blob else (name, data) for name, data in items]), "is no regular file")
    archive("cut", tar(items)[:5000], "ends in the middle")
    archive("saved-climbing", saved([BASE], ["a:b"], config_name="../../etc/passwd"), "'..'")
    archive("saved-name", saved([BASE], ["../b:c"]), "no name")
    archive("saved-link", saved([BASE, BASE], ["a:b"], {1: "../../../x"}), "'..'")
    archive("garbage", b"no tar at all\n" * 100, "no octal number")
    write(f"{top}/hostile/cut.tar.gz", packed(tar(items))[:1000])
    said.append(("cut.tar.gz", "ends in the middle"))
    write(f"{top}/hostile.list", "".join(f"{name}\t{words}\n" for name, words in said).encode())


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    good(sys.argv[1])
    hostile(sys.argv[1])
