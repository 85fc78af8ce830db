#!/usr/bin/env python3
"""registry.py LAYOUT FOLDER: a registry on 127.0.0.1 that serves one OCI layout under many names, and is for each name
another kind of bad. The part of the name before the first slash says which: well, cut, whole, busy, ...

FOLDER/port has its port, and FOLDER/log a line a request: METHOD PATH RANGE AUTHORIZATION. What is pushed lies in
FOLDER/pushed/REPOSITORY/{blobs,manifests}. What it waits for in `stall`
is FOLDER/go. With OTHER as a third argument, `offsite` sends to that authority for blobs."""
import base64
import hashlib
import http.server
import json
import os
import sys
import threading
import time
import urllib.parse

layout, folder = sys.argv[1], sys.argv[2]
other = sys.argv[3] if len(sys.argv) > 3 else ""
lock = threading.Lock()
counts = {}
NAME, PASSWORD = "me", "se:cret"


def count(key):
    with lock:
        counts[key] = counts.get(key, 0) + 1
        return counts[key]


def newest():
    """What the layout has now: it may be replaced meanwhile."""
    return json.load(open(f"{layout}/index.json"))["manifests"][0]


def blob(digest):
    try:
        return open(f"{layout}/blobs/{digest.replace(':', '/')}", "rb").read()
    except OSError:
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=(), length=None, chunked=False):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not chunked:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code, headers=()):
        body = json.dumps({"errors": [{"code": code.upper(), "message": code}]}).encode()
        self.answer(status, body, [("Content-Type", "application/json"), *headers])

    def cut(self):
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(2)

    def endless(self):
        piece = b"x" * 65536
        try:
            while True:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        except OSError:
            self.close_connection = True

    def authority(self):
        return self.headers["Host"]

    def do_CONNECT(self):
        """As a proxy: whoever is asked for, it is us."""
        self.note()
        self.send_response_only(200)
        self.end_headers()

    # What is pushed.

    def parts(self):
        """Mode, repository and what stands behind it, of a path of the API."""
        words = self.path.partition("?")[0].split("/")
        at = max(i for i, word in enumerate(words) if word in ("blobs", "manifests"))
        return words[2], "/".join(words[2:at]), words[at:]

    def place(self, repository, kind, name):
        path = f"{folder}/pushed/{repository}/{kind}"
        os.makedirs(path, exist_ok=True)
        return f"{path}/{name.replace(':', '-')}"

    def do_HEAD(self):
        self.note()
        mode, repository, words = self.parts()
        if not self.may(mode):
            return
        if not os.path.exists(self.place(repository, words[0], words[1])):
            self.send_response(404)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(200)
        self.send_header("Content-Length", str(os.path.getsize(self.place(repository, words[0], words[1]))))
        self.end_headers()

    def upload(self, mode, repository):
        query = dict(pair.split("=") for pair in self.path.partition("?")[2].split("&") if "=" in pair)
        if "mount" in query:
            digest, source = urllib.parse.unquote(query["mount"]), urllib.parse.unquote(query["from"])
            there = self.place(source, "blobs", digest)
            if mode != "unmounted" and os.path.exists(there):
                os.link(there, self.place(repository, "blobs", digest))
                return self.answer(201)
        if mode == "denied":
            return self.error(403, "denied")
        if mode == "lost":
            return self.answer(202)
        number = count("upload")
        open(self.place(repository, "uploads", str(number)), "wb").close()
        where = f"/v2/{repository}/blobs/uploads/{number}?state=a%2Bb"
        if mode == "away":
            where = f"http://{other}{where}"
        self.answer(202, headers=[("Location", where)])

    def do_PATCH(self):
        self.note(self.headers.get("Content-Range", ""))
        mode, repository, words = self.parts()
        left = int(self.headers.get("Content-Length", 0))
        if not self.may(mode):
            # What it brought would be taken for the next request.
            self.rfile.read(left)
            return
        path = self.place(repository, "uploads", words[2])
        have = os.path.getsize(path) if os.path.exists(path) else 0
        first = int(self.headers.get("Content-Range", "0-").partition("-")[0])
        if first != have:
            self.error(416, "range invalid")
            self.rfile.read(left)
            return None
        # Half of what is left each time, until little is.
        most = left if mode not in ("halts", "forgets") or left < 64 else left // 2
        if mode == "forgets" and count(f"{repository} {left}") > 1:
            most = left
        with open(path, "ab") as file:
            file.write(self.rfile.read(most))
        if most < left:
            return self.cut()
        self.answer(202, headers=[("Location", self.path), ("Range", f"0-{os.path.getsize(path) - 1}")])

    def do_PUT(self):
        self.note()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mode, repository, words = self.parts()
        if not self.may(mode):
            return
        found = "sha256:" + hashlib.sha256(body).hexdigest()
        if words[0] == "manifests":
            if mode == "moves":
                return self.answer(307, headers=[("Location", f"/v2/well/box/manifests/{words[1]}")])
            if mode == "refuses":
                return self.error(400, "manifest invalid")
            if mode == "busy" and count("busy put") <= 2:
                return self.error(503, "busy", [("Retry-After", "0")])
            for blob in json.loads(body)["layers"] + [json.loads(body)["config"]]:
                if not os.path.exists(self.place(repository, "blobs", blob["digest"])):
                    return self.error(404, "manifest blob unknown")
            for name in (words[1], found):
                with open(self.place(repository, "manifests", name), "wb") as file:
                    file.write(body)
            return self.answer(201, headers=[("Docker-Content-Digest", "sha256:" + "0" * 64 if mode == "liar" else found)])
        path = self.place(repository, "uploads", words[2])
        digest = urllib.parse.unquote(self.path.partition("digest=")[2])
        if "state=a%2Bb" not in self.path:
            return self.error(400, "state lost")
        with open(path, "rb") as file:
            if "sha256:" + hashlib.sha256(file.read()).hexdigest() != digest:
                return self.error(400, "digest invalid")
        os.rename(path, self.place(repository, "blobs", digest))
        if mode == "ended":
            return self.cut()
        self.answer(201)

    def do_POST(self):
        if "/blobs/uploads/" in self.path:
            self.note()
            mode, repository, _ = self.parts()
            if self.may(mode):
                self.upload(mode, repository)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.note(body)
        if "grant_type=refresh_token" in body and "refresh_token=an.identity" in body:
            return self.answer(200, json.dumps({"access_token": "good"}).encode())
        self.error(401, "unauthorized")

    def note(self, more=""):
        line = f"{self.command} {self.path} {self.headers.get('Range', '-')} {self.headers.get('Authorization', '-')} {more}"
        with lock, open(f"{folder}/log", "a") as log:
            log.write(line.strip() + "\n")

    def do_GET(self):
        self.note()
        path = self.path.partition("?")[0]
        if path in ("/v2", "/v2/"):
            return self.answer(200, b"{}")
        if path == "/scoped":
            can = "push" if "pull%2Cpush" in self.path or "pull,push" in self.path else "pull"
            return self.answer(200, json.dumps({"token": can}).encode())
        if path == "/anonymous":
            return self.answer(200, b'{"access_token":"good"}')
        if path == "/token":
            wanted = "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
            if self.headers.get("Authorization") != wanted:
                return self.error(401, "unauthorized")
            return self.answer(200, json.dumps({"token": "good", "expires_in": 60}).encode())
        parts = path.split("/")
        if len(parts) < 6 or parts[1] != "v2" or parts[-2] not in ("manifests", "blobs", "uploads"):
            return self.error(404, "name unknown")
        if parts[-2] == "uploads":
            mode, repository, words = self.parts()
            if mode == "forgets" or not os.path.exists(self.place(repository, "uploads", words[2])):
                return self.error(404, "upload unknown")
            have = os.path.getsize(self.place(repository, "uploads", words[2]))
            return self.answer(204, headers=[("Location", self.path), ("Range", f"0-{max(have - 1, 0)}")])
        mode, kind, pointer = parts[2], parts[-2], parts[-1]
        if not self.may(mode):
            return
        if kind == "manifests":
            return self.manifest(mode, pointer)
        self.blob(mode, pointer)

    def may(self, mode):
        """Whether it goes on: who asks is known, or it does not matter."""
        said = self.headers.get("Authorization", "")
        # Who is sent elsewhere has given his login here.
        if mode == "basic" or mode in ("offsite", "away") and other:
            if said == "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode():
                return True
            self.error(401, "unauthorized", [("WWW-Authenticate", 'Basic realm="here"')])
            return False
        if mode in ("token", "public", "stale"):
            # A token that is good for three requests, or for ever.
            if said == "Bearer good" and (mode != "stale" or count("stale") % 4):
                return True
            realm = f"http://{self.authority()}/{'anonymous' if mode == 'public' else 'token'}"
            self.error(401, "unauthorized", [("WWW-Authenticate", f'Bearer realm="{realm}",service="here"')])
            return False
        if mode == "scoped":
            # As distribution has it: who reads is told of a right to read alone.
            reads = self.command in ("GET", "HEAD")
            if said == "Bearer push" or reads and said == "Bearer pull":
                return True
            scope = f"repository:scoped/box:{'pull' if reads else 'pull,push'}"
            realm = f'Bearer realm="http://{self.authority()}/scoped",service="here",scope="{scope}"'
            self.error(401, "unauthorized", [("WWW-Authenticate", realm)])
            return False
        if mode == "refused":
            self.error(401, "unauthorized", [("WWW-Authenticate", 'Negotiate, Digest realm="x"')])
            return False
        if mode == "realm":
            self.error(401, "unauthorized", [("WWW-Authenticate", 'Bearer realm="file:///etc/passwd"')])
            return False
        return True

    def manifest(self, mode, pointer):
        top = newest()
        data = blob(pointer if ":" in pointer else top["digest"])
        kind = top["mediaType"]
        if data is None:
            return self.error(404, "manifest unknown")
        if ":" in pointer:
            kind = json.loads(data).get("mediaType", kind)
        headers = [("Content-Type", kind)]
        if mode == "missing":
            return self.error(404, "manifest unknown")
        if mode == "busy" and count("busy") <= 2:
            return self.error(503, "busy", [("Retry-After", "0")])
        if mode == "minus" and (turn := count("minus")) <= 2:
            return self.error(503, "busy", [("Retry-After", ("-1", "nan")[turn - 1])])
        if mode == "never":
            return self.error(503, "busy", [("Retry-After", "0")])
        if mode == "endless":
            self.answer(200, headers=headers, chunked=True)
            return self.endless()
        if mode == "both":
            data = json.dumps({"schemaVersion": 2, "manifests": [], "layers": [], "config": {}}).encode()
        if mode == "html":
            data, headers = b"<html>a login page</html>", [("Content-Type", "text/html")]
        if mode == "first":
            data, headers = b'{"schemaVersion":1,"fsLayers":[]}', [("Content-Type", "application/vnd.docker.distribution.manifest.v1+json")]
        if mode == "digest":
            headers.append(("Docker-Content-Digest", "sha256:" + "0" * 64))
        if mode == "swapped" and ":" in pointer:
            data = data.replace(b"{", b"{ ", 1)
        if mode == "changed" and ":" in pointer:
            data = data.replace(b" ", b"\t", 1) if b" " in data else data[:-1] + b" "
        if mode == "climbing":
            data = data.replace(b'"digest": "sha256:', b'"digest": "sha256:../../../', 1)
        if mode == "loop":
            return self.answer(307, headers=[("Location", f"http://{self.authority()}{self.path}")])
        if mode == "file":
            return self.answer(302, headers=[("Location", "file:///etc/passwd")])
        if mode == "nowhere":
            return self.answer(302)
        self.answer(200, data, headers)

    def blob(self, mode, digest):
        data = blob(digest)
        if data is None:
            return self.error(404, "blob unknown")
        if mode == "offsite" and other:
            return self.answer(307, headers=[("Location", f"http://{other}/v2/well/box/blobs/{digest}")])
        if mode == "wrong":
            return self.answer(200, data[:-1] + bytes([data[-1] ^ 1]))
        if mode == "short":
            return self.answer(200, data[:-1])
        if mode == "long":
            self.answer(200, chunked=True)
            return self.endless()
        if mode == "dropped":
            self.answer(200, data[: len(data) // 3], length=len(data))
            return self.cut()
        first = 0
        if mode != "whole" and self.headers.get("Range", "").startswith("bytes="):
            first = int(self.headers["Range"][6:].partition("-")[0])
            if first >= len(data):
                return self.error(416, "no such range")
        rest = data[first:]
        headers = [("Content-Type", "application/octet-stream")]
        if mode == "lying" and first:
            headers.append(("Content-Range", f"bytes {first - 1}-{len(data) - 1}/{len(data)}"))
        elif first:
            headers.append(("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}"))
        status = 206 if first else 200
        if mode in ("cut", "lying") or mode == "whole" and count(digest) == 1:
            # A third of all of it each time.
            piece = rest[: len(data) // 3 + 1]
            self.answer(status, piece, headers, length=len(rest))
            return self.cut() if len(piece) < len(rest) else None
        if mode == "stall" and not first and len(data) > 400:
            self.answer(status, rest[: len(rest) // 2], headers, length=len(rest))
            self.wfile.flush()
            while not os.path.exists(f"{folder}/go"):
                time.sleep(0.01)
            return self.cut()
        self.answer(status, rest, headers)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(f"{folder}/port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(f"{folder}/port.new", f"{folder}/port")
server.serve_forever()
