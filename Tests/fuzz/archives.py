#!/usr/bin/env python3
"""Makes the hostile archives of Tests/corpora/archive, each under a name that says what it is.

usage: Tests/fuzz/archives.py FOLDER

The same bytes each time; ImageArchiveTests looks that the committed ones are these, and has what is to become of each.
A name begins with what it attacks: reader- (TarReader), plan- (LayerPlanner); ok- is taken by both.
"""
import os
import sys


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def header(name=b"a", size=0, kind=b"0", link=b"", mode=0o644, uid=0, gid=0, mtime=0, magic=b"ustar\00000",
           major=0, minor=0, prefix=b"", changes=()):
    """A block; `changes` are (offset, bytes), put in before the checksum is made."""
    block = bytearray(512)

    def put(at, data):
        block[at:at + len(data)] = data
    put(0, name[:100])
    put(100, octal(mode, 8))
    put(108, octal(uid, 8))
    put(116, octal(gid, 8))
    put(124, octal(size, 12))
    put(136, octal(mtime, 12))
    put(156, kind)
    put(157, link[:100])
    put(257, magic)
    put(329, octal(major, 8))
    put(337, octal(minor, 8))
    put(345, prefix)
    for at, data in changes:
        put(at, data)
    put(148, b" " * 8)
    put(148, b"%06o\0 " % sum(block))
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % 512)


def file(name, data=b"", **more):
    return header(name, len(data), **more) + padded(data)


def folder(name, **more):
    return header(name, kind=b"5", mode=0o755, **more)


def symlink(name, to):
    return header(name, kind=b"2", link=to)


def hardlink(name, to):
    return header(name, kind=b"1", link=to)


def record(key, value):
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while length != len(body) + len(b"%d" % length):
        length = len(body) + len(b"%d" % length)
    return b"%d" % length + body


def pax(*pairs, kind=b"x"):
    data = b"".join(record(key, value) for key, value in pairs)
    return raw(data, kind)


def raw(data, kind=b"x"):
    return header(b"././@PaxHeader", len(data), kind) + padded(data)


def long(name, kind=b"L"):
    return header(b"././@LongLink", len(name) + 1, kind, magic=b"ustar  \0") + padded(name + b"\0")


def pairs(*segments):
    return b"".join(octal(offset, 12) + octal(length, 12) for offset, length in segments)


def sparse(name, data, real, *segments, more=b"\0"):
    changes = [(386, pairs(*segments)), (482, more), (483, octal(real, 12))]
    return header(name, len(data), b"S", magic=b"ustar  \0", changes=changes)


END = bytes(1024)
WHITEOUT = b".wh."
MANY = b"d/" * 1000

ARCHIVES = {
    # Taken: what is odd, and means one thing.
    "ok-empty": b"",
    "ok-end": END,
    "ok-absolute-is-below-the-top": file(b"/etc/passwd", b"x"),
    "ok-slashes-and-dots": folder(b"./") + folder(b".//a/./") + file(b"a//./b", b"x"),
    "ok-link-out-is-only-text": symlink(b"out", b"/etc") + symlink(b"up", b"../../.."),
    "ok-global-comment": pax((b"comment", b"0123"), kind=b"g") + file(b"a"),
    "ok-duplicate-later-wins": file(b"a", b"1") + file(b"a", b"2"),
    "ok-directory-after-its-content": file(b"a/b", b"x") + folder(b"a/"),
    "ok-directory-becomes-file-becomes-directory": folder(b"a/") + file(b"a/b") + file(b"a") + folder(b"a/"),
    "ok-devices-are-left-out": header(b"dev/null", kind=b"3", major=1, minor=3) + header(b"dev/sda", kind=b"4", major=8),
    "ok-other-machines-label": pax((b"SCHILY.xattr.security.selinux", b"s\0"),
                                   (b"SCHILY.xattr.user.a", b"\0\1")) + file(b"a"),
    "ok-whiteouts-in-any-order": file(b"a/" + WHITEOUT + b"b") + folder(b"a/b/") + folder(b"c/") + file(WHITEOUT + b"c"),
    "ok-opaque-after": folder(b"a/") + file(b"a/b") + file(b"a/.wh..wh..opq"),
    "ok-aufs": folder(b".wh..wh.plnk/") + file(b".wh..wh.plnk/1.2", b"x") + hardlink(b".wh..wh.aufs", b"x"),
    "ok-aufs-whiteout-as-hard-link": hardlink(b".wh.a", b".wh..wh.aufs"),
    "ok-v7-directory": header(b"a/", magic=b"") + file(b"a/b", b"x", magic=b""),
    "ok-binary-size": header(b"a", changes=[(124, b"\x80" + bytes(10) + b"\x03")]) + padded(b"abc"),
    "ok-time-before-1970": header(b"a", changes=[(136, b"\xff" * 12)]),
    "ok-sparse-hole-alone": sparse(b"a", b"", 1 << 30, (1 << 30, 0)),
    "ok-sparse-old": sparse(b"a", b"xy", 4096, (0, 1), (4095, 1)) + padded(b"xy"),
    "ok-sparse-old-goes-on": sparse(b"a", b"abcde", 99, (0, 1), (2, 1), (4, 1), (6, 1), more=b"\1")
    + padded(pairs((8, 1)) + bytes(480) + b"\0") + padded(b"abcde"),
    "ok-sparse-0.1": pax((b"GNU.sparse.size", b"9"), (b"GNU.sparse.numblocks", b"2"), (b"GNU.sparse.map", b"1,1,8,1"))
    + file(b"a", b"xy"),
    "ok-sparse-1.0": pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"real"),
                         (b"GNU.sparse.realsize", b"9")) + file(b"GNUSparseFile.0/real", padded(b"1\n8\n1\n") + b"x"),
    "ok-sparse-name-cut": pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"real"),
                              (b"GNU.sparse.realsize", b"9")) + file(b"d" * 99 + b"/", padded(b"1\n8\n1\n") + b"x"),

    # The reader: what two readers take for different things, what has no end, what is no number.
    "reader-no-archive": b"#!/bin/sh\n" * 60,
    "reader-cut-header": header()[:300],
    "reader-cut-content": header(size=600) + b"x" * 512,
    "reader-cut-extension": header(kind=b"x", size=600) + b"x" * 512,
    "reader-wrong-checksum": header(changes=())[:-1] + b"x",
    "reader-after-the-end": file(b"a") + END + file(b"b", b"unseen"),
    "reader-one-zero-block": bytes(512) + file(b"a"),
    "reader-extension-of-nothing": pax((b"path", b"x")) + END,
    "reader-link-with-content": header(b"a", 512, b"2", b"b") + file(b"hidden"),
    "reader-hard-link-with-content": file(b"b") + header(b"a", 512, b"1", b"b") + file(b"hidden"),
    "reader-directory-with-content": header(b"a/", 512, b"5") + file(b"hidden"),
    "reader-pax-size-of-a-link": pax((b"size", b"512")) + symlink(b"a", b"b") + file(b"hidden"),
    "reader-unknown-type": header(b"a", kind=b"M"),
    "reader-type-of-another-system": header(b"a", kind=b"\xff"),
    "reader-no-name": header(b""),
    "reader-hard-link-to-nothing": hardlink(b"a", b""),
    "reader-negative-size": header(changes=[(124, b"\xff" * 12)]),
    "reader-huge-size": header(changes=[(124, b"\x80\0\0\0" + b"\x7f" + b"\xff" * 7)]),
    "reader-size-past-63-bits": header(changes=[(124, b"\x80" + b"\xff" * 11)]),
    "reader-size-no-octal": header(changes=[(124, b"0000000008 ")]),
    "reader-uid-of-nobody": header(changes=[(108, b"\x80\0\0\0\xff\xff\xff\xff")]),
    "reader-time-out-of-range": pax((b"mtime", b"99999999999999999")) + file(b"a"),
    "reader-two-extensions": pax((b"path", b"x")) + pax((b"path", b"y")) + file(b"a"),
    "reader-two-long-names": long(b"x") + long(b"y") + file(b"a"),
    "reader-two-kinds-of-name": long(b"x") + pax((b"path", b"y")) + file(b"a"),
    "reader-nul-in-long-name": long(b"x\0y") + file(b"a"),
    "reader-nul-in-pax-name": pax((b"path", b"x\0y")) + file(b"a"),
    "reader-global-path": pax((b"path", b"/etc/shadow"), kind=b"g") + file(b"a"),
    "reader-global-size": pax((b"size", b"0"), kind=b"g") + file(b"a", b"x"),
    "reader-extension-too-long": header(kind=b"x", size=1 << 30),
    "reader-long-name-too-long": header(kind=b"L", size=1 << 30),
    "reader-record-too-long": raw(b"99 path=x\n") + file(b"a"),
    "reader-record-too-short": raw(b"4 path=x\n") + file(b"a"),
    "reader-record-of-zero": raw(b"0 path=x\n") + file(b"a"),
    "reader-record-without-end": raw(b"9 path=xy") + file(b"a"),
    "reader-record-without-key": raw(b"4 =\n") + file(b"a"),
    "reader-record-huge-length": raw(b"99999999999999999999 a=b\n") + file(b"a"),
    "reader-pax-size-no-number": pax((b"size", b"-1")) + file(b"a"),
    "reader-xattr-without-name": pax((b"SCHILY.xattr.", b"x")) + file(b"a"),
    "reader-device-past-32-bits": header(b"a", kind=b"3", changes=[(329, b"\x80\0\0\1\0\0\0\0")]),
    "reader-sparse-overlap": sparse(b"a", b"abc", 9, (0, 2), (1, 1)) + padded(b"abc"),
    "reader-sparse-backwards": sparse(b"a", b"ab", 9, (5, 1), (0, 1)) + padded(b"ab"),
    "reader-sparse-outside": sparse(b"a", b"a", 9, (9, 1)) + padded(b"a"),
    "reader-sparse-overflow": pax((b"GNU.sparse.size", b"999999999999999999"),
                                  (b"GNU.sparse.map", b"999999999999999999,999999999999999999")) + file(b"a"),
    "reader-sparse-less-than-stored": sparse(b"a", b"abc", 9, (0, 1)) + padded(b"abc"),
    "reader-sparse-map-without-end": sparse(b"a", b"a", 9, (0, 1), more=b"\1"),
    "reader-sparse-map-of-no-numbers": sparse(b"a", b"a", 9, (0, 1), more=b"\1") + padded(b"a"),
    "reader-sparse-map-in-content-endless": pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                                                (b"GNU.sparse.realsize", b"9")) + file(b"a", b"100\n1\n"),
    "reader-sparse-too-many": pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                                  (b"GNU.sparse.realsize", b"9")) + file(b"a", padded(b"999999999999\n")),
    "reader-sparse-two-maps": pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.map", b"0,1"),
                                  (b"GNU.sparse.realsize", b"9")) + file(b"a", padded(b"0\n")),
    "reader-sparse-two-formats": pax((b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"0,1"))
    + sparse(b"a", b"a", 9, (0, 1)) + padded(b"a"),
    "reader-sparse-unknown": pax((b"GNU.sparse.major", b"2"), (b"GNU.sparse.realsize", b"9")) + file(b"a"),
    "reader-sparse-directory": pax((b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"")) + folder(b"a/"),

    # The plan: what leads out, what the kernel would believe, what stands for something else.
    "plan-up": file(b"../../etc/passwd", b"x"),
    "plan-up-in-the-middle": file(b"a/../../b", b"x"),
    "plan-up-that-stays-inside": file(b"a/../b", b"x"),
    "plan-through-a-link": symlink(b"a", b"/etc") + file(b"a/passwd", b"x"),
    "plan-through-a-link-that-was-a-directory": folder(b"a/") + file(b"a/x") + symlink(b"a", b"/etc") + file(b"a/y"),
    "plan-through-a-link-to-itself": symlink(b"a", b"a") + file(b"a/b"),
    "plan-below-a-file": file(b"a") + file(b"a/b"),
    "plan-hard-link-up": hardlink(b"a", b"../../etc/shadow"),
    "plan-hard-link-out": hardlink(b"a", b"/etc/shadow"),
    "plan-hard-link-through-a-link": symlink(b"a", b"/etc") + hardlink(b"b", b"a/shadow"),
    "plan-hard-link-to-itself": hardlink(b"a", b"./a"),
    "plan-hard-link-to-a-directory": folder(b"a/") + hardlink(b"b", b"a"),
    "plan-hard-link-to-what-went": file(b"a") + folder(b"a/") + hardlink(b"b", b"a"),
    "plan-hard-link-to-a-device": header(b"a", kind=b"3", major=1, minor=3) + hardlink(b"b", b"a"),
    "plan-whiteout-device": header(b"a", kind=b"3"),
    "plan-whiteout-of-nothing": file(b"a/.wh."),
    "plan-whiteout-of-dot": file(b".wh.."),
    "plan-whiteout-of-up": file(b".wh..."),
    "plan-whiteout-directory": folder(b".wh.a/"),
    "plan-below-a-whiteout": file(b".wh.a/b"),
    "plan-whiteout-through-a-link": symlink(b"a", b"/etc") + file(b"a/.wh.passwd"),
    "plan-opaque-link": symlink(b"a", b"/etc") + file(b"a/.wh..wh..opq"),
    "plan-top-is-a-link": symlink(b"./", b"/etc"),
    "plan-top-is-a-file": header(b".", kind=b"0"),
    "plan-overlay-redirect": pax((b"SCHILY.xattr.trusted.overlay.redirect", b"/etc")) + folder(b"a/"),
    "plan-overlay-metacopy": pax((b"SCHILY.xattr.user.overlay.metacopy", b"")) + file(b"a"),
    "plan-unknown-attribute": pax((b"SCHILY.xattr.system.nfs4_acl", b"x")) + file(b"a"),
    "plan-attribute-of-a-link": pax((b"SCHILY.xattr.user.a", b"x")) + symlink(b"a", b"b"),
    "plan-id-of-no-zone": file(b"a", uid=65536),
    "plan-group-of-no-zone": pax((b"gid", b"4294967294")) + file(b"a"),
    "plan-long-part": pax((b"path", b"a" * 256)) + file(b"a"),
    "plan-long-name": pax((b"path", b"a/" * 2200)) + file(b"a"),
    "plan-deep": pax((b"path", MANY + b"x")) + file(b"a"),
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, data in ARCHIVES.items():
        with open(os.path.join(sys.argv[1], name), "wb") as out:
            out.write(data)


main()
