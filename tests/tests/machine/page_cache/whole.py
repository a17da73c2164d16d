"""Several readers of one container's files, whose lengths change: each text must be whole.

whole.py SECONDS READS

Each reader goes on for so long, and for as many reads.
"""
import os
import re
import sys
import time

NUMBER = rb"\d+\.\d\d"
WHOLE = {
    "/proc/loadavg": re.compile(rb"%s %s %s \d+/\d+ \d+ *\n" % (NUMBER, NUMBER, NUMBER)),
    "/proc/uptime": re.compile(rb"%s %s *\n" % (NUMBER, NUMBER)),
    "/proc/stat": re.compile(rb"cpu  .*\nsoftirq[ \d]+\n", re.S),
    "/proc/meminfo": re.compile(rb"MemTotal: .* kB\n", re.S),
}
# What a reader may find behind its text: the spaces that a longer one has before its end.
REST = re.compile(rb" *\n|")
end = time.monotonic() + float(sys.argv[1])
least = int(sys.argv[2])


def reader():
    reads = 0
    kept = {path: os.open(path, os.O_RDONLY) for path in WHOLE}
    while time.monotonic() < end or reads < least:
        for path, whole in WHOLE.items():
            fd = os.open(path, os.O_RDONLY)
            text = os.read(fd, 8192)
            rest = os.read(fd, 8192)
            os.close(fd)
            again = os.pread(kept[path], 8192, 0)
            for text in text, again:
                # Where it was looked at while its length was told anew, lines are empty at its end.
                if not whole.fullmatch(text.rstrip(b"\n") + b"\n"):
                    print(f"{path}: {text!r}", flush=True)
                    os._exit(1)
            if not REST.fullmatch(rest):
                print(f"{path}: after the end {rest!r}", flush=True)
                os._exit(1)
            reads += 3
    return reads


children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        os.write(1, b"%d\n" % reader())
        os._exit(0)
    children.append(child)
failed = False
while children:
    # New numbers of processes, and CPU time.
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    for child in children[:]:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            children.remove(child)
            failed = failed or status != 0
sys.exit(failed)
