"""Reads MemTotal from a kept descriptor and by new ones: when, and what. Ends when its input does.

One line for each change that is seen: time before the read that saw the old value last, time after
the first read of the new one (CLOCK_MONOTONIC, ns), and the new value. Then how many reads there were.
"""
import os
import select
import sys
import time

kept = os.open("/proc/meminfo", os.O_RDONLY)


def by_new():
    fd = os.open("/proc/meminfo", os.O_RDONLY)
    try:
        return os.read(fd, 8192)
    finally:
        os.close(fd)


seen = {}
reads = 0
print("ready", flush=True)
while not select.select([0], [], [], 0)[0]:
    for how, read in ("kept", lambda: os.pread(kept, 8192, 0)), ("new", by_new):
        before = time.monotonic_ns()
        total = int(read().split(None, 2)[1])
        after = time.monotonic_ns()
        reads += 1
        last, value = seen.get(how, (before, total))
        if total != value:
            print(how, last, after, total, flush=True)
        seen[how] = (before, total)
print("reads", reads, flush=True)
