"""Moves itself between two groups as often as the second argument says, while a thread looks on."""

import os
import sys
import threading

top, moves = sys.argv[1], int(sys.argv[2])
groups = [top + "/a", top + "/b"]
for group in groups:
    os.mkdir(group)
child = os.fork()
if child == 0:
    threading.Event().wait()
done = threading.Event()
wrong = []


def look():
    while not done.is_set():
        for group in groups:
            os.listdir(group)
            with open(group + "/cgroup.procs") as file:
                text = file.read()
            if text.split() not in ([], [str(child)]):
                wrong.append(text)


looker = threading.Thread(target=look)
looker.start()
lists = [os.open(group + "/cgroup.procs", os.O_WRONLY) for group in groups]
for move in range(moves):
    os.write(lists[move % 2], str(child).encode())
done.set()
looker.join()
os.kill(child, 9)
os.waitpid(child, 0)
for group in groups:
    os.rmdir(group)
print("moves", moves, *wrong[:5])
