"""boot.py DISK PASSWORD SECONDS: boots a disk in QEMU, logs in as root on its serial line, and runs what standard input has,
a command a line. Prints what each has said. The disk stays as it is."""
import os
import select
import subprocess
import sys
import time

disk, password, limit = sys.argv[1], sys.argv[2], float(sys.argv[3])
commands = sys.stdin.read().splitlines()
end = time.monotonic() + limit
# Without cmpxchg16b: QEMU 7.2's own processor fails there.
qemu = subprocess.Popen(
    ["qemu-system-x86_64", "-m", "768", "-cpu", "qemu64,-cx16", "-nographic", "-no-reboot", "-snapshot",
     "-nic", "none", "-drive", f"file={disk},format=raw,if=virtio"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
seen = b""


def wait(word):
    global seen
    while word not in seen:
        if time.monotonic() > end:
            sys.exit(f"{word} does not come: {seen[-3000:].decode(errors='replace')}")
        if select.select([qemu.stdout], [], [], 0.5)[0]:
            got = os.read(qemu.stdout.fileno(), 65536)
            if not got:
                sys.exit(f"QEMU has ended: {seen[-3000:].decode(errors='replace')}")
            seen += got
    before, seen = seen.split(word, 1)
    return before.decode(errors="replace")


def send(text):
    qemu.stdin.write(text.encode())
    qemu.stdin.flush()


try:
    wait(b" login:")
    send("root\n")
    wait(b"assword:")
    send(password + "\n")
    wait(b"# ")
    for command in commands:
        # The line that is echoed has the mark in two parts.
        send(command + '; echo "en""ded $?"\n')
        wait(b"\r\n")
        said = wait(b"ended ")
        status = wait(b"\r\n")
        print(f"{command}: {said.strip()} ({status})", flush=True)
finally:
    qemu.kill()
    qemu.wait()
