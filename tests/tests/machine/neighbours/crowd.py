"""Many processes of one container, and many readers of a list of them. Ends when its input does.

crowd.py LIST PROCESSES READERS

Prints that all are reading, and at the end how long one of them has waited for the list (ns, the median).
"""
import os
import select
import signal
import sys
import time

path, processes, readers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def read():
    with open(path, "rb", buffering=0) as file:
        assert file.read(1 << 20)


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
children += [child(forever) for _ in range(readers - 1)]
print("reading", flush=True)
took = []
while not took or not select.select([sys.stdin], [], [], 0)[0]:
    began = time.monotonic_ns()
    read()
    took.append(time.monotonic_ns() - began)
print(sorted(took)[len(took) // 2], flush=True)
for pid in children:
    os.kill(pid, signal.SIGKILL)
for pid in children:
    os.waitpid(pid, 0)
