"""Reads one file in all ways at the same time as another container, and passes descriptors to it.

hammer.py MINE THEIRS KIB THEIR_KIB ROUNDS: names of two sockets, the limits of both, how often.
"""
import array
import os
import socket
import sys

mine, theirs, kib, their_kib, rounds = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
PATHS = [os.environ["M"] + "/proc/meminfo", "/proc/meminfo"]


def line(total):
    return b"MemTotal:%15d kB\n" % total


MINE, THEIRS = line(kib), line(their_kib)


def check(text, first, what):
    whole = text.startswith(first) and text.endswith(b"kB\n") and b"\0" not in text
    if not whole:
        sys.exit(f"{what}: {text!r}, not {first!r}")


def opened(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        text = os.read(fd, 8192)
        check(text, MINE, path)
        rest = os.read(fd, 8192)
        if rest:
            sys.exit(f"{path}: after the end {rest!r}")
    finally:
        os.close(fd)


server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(mine)
print("ready", flush=True)
sys.stdin.readline()

kept = [os.open(path, os.O_RDONLY) for path in PATHS]
passed = []
client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
client.connect(theirs)
server.setblocking(False)
reads = 0
for number in range(rounds):
    for fd in kept:
        check(os.pread(fd, 8192, 0), MINE, "kept")
        reads += 1
    for fd in passed:
        check(os.pread(fd, 8192, 0), THEIRS, "passed")
        reads += 1
    if number % 16 == 0:
        opened(PATHS[number // 16 % 2])
        reads += 1
    if number % 512 == 0:
        fd = os.open(PATHS[0], os.O_RDONLY)
        try:
            client.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))],
                           socket.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionRefusedError):
            pass
        os.close(fd)
        try:
            _, anc, _, _ = server.recvmsg(1, socket.CMSG_SPACE(4))
            if len(passed) == 2:
                os.close(passed.pop(0))
            passed.append(array.array("i", anc[0][2])[0])
        except BlockingIOError:
            pass
if not passed:
    sys.exit("no descriptor has come")
print(reads, flush=True)
# Stays, so that the other one's descriptors are not refused.
sys.stdin.readline()
