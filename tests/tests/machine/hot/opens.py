"""For each line of input opens, reads and closes 10,000 times, and tells how often that went well.

Gives up when nobody answers for three seconds: then 0.
"""
import os
import signal
import sys


def give_up(*_):
    print(0, flush=True)
    os._exit(0)


signal.signal(signal.SIGALRM, give_up)
print("ready", flush=True)
while sys.stdin.readline():
    signal.alarm(3)
    good = 0
    for _ in range(10_000):
        fd = os.open("/proc/meminfo", os.O_RDONLY)
        good += os.read(fd, 8192).startswith(b"MemTotal:          98304 kB\n")
        os.close(fd)
    signal.alarm(0)
    print(good, flush=True)
