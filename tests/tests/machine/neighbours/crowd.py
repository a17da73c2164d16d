"""Many processes of one container, and many readers of a list of them. Ends when its input does.

crowd.py LIST PROCESSES READERS

Prints how long one reader alone takes for the list (ns, the median), then that all are reading.
"""
import os
import signal
import sys
import time

path, processes, readers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def read():
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    return pid


def forever():
    while True:
        read()


children = [child(signal.pause) for _ in range(processes)]
took = []
for _ in range(5):
    began = time.monotonic_ns()
    read()
    took.append(time.monotonic_ns() - began)
print(sorted(took)[2], flush=True)
children += [child(forever) for _ in range(readers)]
print("reading", flush=True)
sys.stdin.read()
for pid in children:
    os.kill(pid, signal.SIGKILL)
for pid in children:
    os.waitpid(pid, 0)
