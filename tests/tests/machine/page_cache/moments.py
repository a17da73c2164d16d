"""Reads texts whose lines tell which text they are of, at once and in pieces, by two processes.

For each file a line: its name, how many texts of it were seen, how many times it was read.
"""
import os
import sys
import time

TEXTS = os.environ["TEXTS"] + "/proc/"
SECONDS = 1.0


def moment(name, text):
    """The number of a text, which must be whole."""
    lines = text.decode().rstrip(" \n").split("\n")
    cpus, number = lines[0].split(" ")[2:5:2]
    expected = [f"cpu{cpu} of {cpus} in {number}" for cpu in range(int(cpus))]
    if lines != expected:
        wrong = [pair for pair in zip(lines, expected) if pair[0] != pair[1]][:3]
        sys.exit(f"{name}: {len(lines)} lines, not {cpus}: {wrong}")
    return int(number)


def pieces(fd, size):
    text = b""
    while True:
        piece = os.read(fd, size)
        if not piece:
            return text
        text += piece


def read(name, size):
    fd = os.open(TEXTS + name, os.O_RDONLY)
    try:
        return moment(name, pieces(fd, size))
    finally:
        os.close(fd)


for name in "large", "small":
    end = time.monotonic() + SECONDS
    other = os.fork()
    numbers = []
    while time.monotonic() < end:
        # A small one in pieces could be of two texts, if this process is not run for a while.
        numbers.append(read(name, 4096 if name == "large" and len(numbers) % 2 else 1 << 20))
    if numbers != sorted(numbers):
        sys.exit(f"{name}: time goes back: {numbers}")
    if other == 0:
        os._exit(0)
    if os.waitpid(other, 0)[1]:
        sys.exit("the other one has failed")
    print(name, len(set(numbers)), len(numbers), flush=True)

# One that grows: a descriptor that was opened while it was small, and new ones.
kept = os.open(TEXTS + "growing", os.O_RDONLY)
numbers, lengths = [], []
for _ in range(12):
    text = os.pread(kept, 1 << 20, 0)
    numbers.append(moment("kept", text))
    numbers.append(read("growing", 1 << 20))
    lengths.append(len(text))
    time.sleep(0.13)
if lengths[0] >= 4096 or lengths[-1] <= 4096 or numbers != sorted(numbers):
    sys.exit(f"it does not grow: {lengths} {numbers}")
print("growing", len(set(numbers)), len(numbers))
