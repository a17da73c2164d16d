"""For each line of input opens, reads and closes 1,000 times, and tells how often that went well.

By a file that is bound, and by name from a directory that is kept. Gives up when nobody answers for three seconds: then 0.
"""
import os
import signal
import sys


def give_up(*_):
    print(0, flush=True)
    os._exit(0)


signal.signal(signal.SIGALRM, give_up)
directory = os.open(os.environ["M"] + "/proc", os.O_PATH)
print("ready", flush=True)
while sys.stdin.readline():
    signal.alarm(3)
    good = 0
    for number in range(1000):
        name = ("/proc/meminfo", "meminfo")[number % 2]
        fd = os.open(name, os.O_RDONLY, dir_fd=directory)
        good += os.read(fd, 8192).startswith(b"MemTotal:          98304 kB\n")
        os.close(fd)
    signal.alarm(0)
    print(good, flush=True)
