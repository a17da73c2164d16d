"""Reads texts whose lines tell which text they are of, where files are opened without asking.

How many texts of a short one were seen, and how often that was read.
"""
import errno
import os
import sys
import time

TEXTS = os.environ["TEXTS"] + "/proc/"
SECONDS = 1.0


def moment(text):
    """The number of a text, which must be whole."""
    lines = text.decode().rstrip(" \n").split("\n")
    cpus, number = lines[0].split(" ")[2:5:2]
    expected = [f"cpu{cpu} of {cpus} in {number}" for cpu in range(int(cpus))]
    if lines != expected:
        wrong = [pair for pair in zip(lines, expected) if pair[0] != pair[1]][:3]
        sys.exit(f"{len(lines)} lines, not {cpus}: {wrong}")
    return int(number)


def refused(why, act, *args):
    try:
        text = act(*args)
    except OSError as error:
        if error.errno == why:
            return
        sys.exit(f"{error}, not {errno.errorcode[why]}")
    sys.exit(f"no {errno.errorcode[why]}: {text!r:.200}")


# Of many pages: not there, and not listed once that is known.
refused(errno.ENOENT, os.open, TEXTS + "large", os.O_RDONLY)
names = set(os.listdir(TEXTS))
if not {"small", "growing"} <= names or "large" in names:
    sys.exit(f"{names}")

# One that grows beyond a page while it is open is refused from then on, and no text of it is cut off.
growing = os.open(TEXTS + "growing", os.O_RDONLY)
lengths = []
deadline = time.monotonic() + 20
while True:
    try:
        text = os.pread(growing, 1 << 20, 0)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        break
    moment(text)
    lengths.append(len(text))
    if time.monotonic() > deadline:
        sys.exit(f"it is still read: {lengths}")
    time.sleep(0.03)
if len(lengths) < 2 or lengths[-1] > 4096:
    sys.exit(f"{lengths}")

other = os.fork()
numbers = []
end = time.monotonic() + SECONDS
while time.monotonic() < end:
    fd = os.open(TEXTS + "small", os.O_RDONLY)
    numbers.append(moment(os.read(fd, 1 << 20)))
    os.close(fd)
if numbers != sorted(numbers):
    sys.exit(f"time goes back: {numbers}")
if other == 0:
    os._exit(0)
if os.waitpid(other, 0)[1]:
    sys.exit("the other one has failed")
print(len(set(numbers)), len(numbers))
