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
server.setblocking(False)
print("ready", flush=True)
print(os.stat("/proc/meminfo").st_ino, flush=True)
sys.stdin.readline()

kept, by_name = os.open("/proc/meminfo", os.O_RDONLY), os.open(PATHS[0], os.O_RDONLY)
passed = []
client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
client.connect(theirs)
reads = 0


def give(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
        client.sendmsg([b"x"], [rights], socket.MSG_DONTWAIT)
    except (BlockingIOError, ConnectionRefusedError):
        pass  # It has more than it takes, or has ended.
    finally:
        os.close(fd)


def take():
    try:
        _, ancillary, _, _ = server.recvmsg(1, socket.CMSG_SPACE(4))
    except BlockingIOError:
        return
    if len(passed) == 2:
        os.close(passed.pop(0))
    passed.append(array.array("i", ancillary[0][2])[0])


for number in range(rounds):
    for what in "kept", "kept again":
        check(os.pread(kept, 8192, 0), MINE, what)
    for fd in passed:
        check(os.pread(fd, 8192, 0), THEIRS, "passed")
    reads += 2 + len(passed)
    if number % 16 == 0:
        check(os.pread(by_name, 8192, 0), MINE, "kept by name")
        opened(PATHS[number // 16 % 2])
        reads += 3
    if number % 512 == 0:
        give(PATHS[number // 512 % 2])
        take()
if not passed:
    sys.exit("no descriptor has come")
print(reads, flush=True)
# Stays, so that the other one's descriptors are taken.
sys.stdin.readline()
