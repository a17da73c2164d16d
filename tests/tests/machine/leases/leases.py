"""Tries to lease each shared file below the directory, once for each line that it is told: how many were tried, and
which leases were granted. Then whether its own file could be leased, by which it delays itself alone."""
import fcntl
import os
import sys

TOP = sys.argv[1]
KINDS = {"write": fcntl.F_WRLCK, "read": fcntl.F_RDLCK}


def granted(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    found = []
    for name, kind in KINDS.items():
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, kind)
        except OSError:
            continue
        found.append(name)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    os.close(fd)
    return found


def all_files():
    for directory, below, files in os.walk(TOP):
        if directory == TOP:
            below[:] = [name for name in below if name not in ("at", "c", "cgroup", "self")]
        for name in files:
            yield os.path.join(directory, name)


print("ready", flush=True)
for _ in sys.stdin:
    tried, leased = 0, []
    for path in all_files():
        try:
            leased += [f"{kind}:{path}" for kind in granted(path)]
            tried += 1
        except OSError:
            # It may not be opened at all.
            continue
    print(tried, *leased, flush=True)
    print(*granted(TOP + "/self/proc/uptime"), flush=True)
