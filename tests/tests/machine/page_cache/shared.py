"""Reads the shared file in all ways there are: only read(2) gets anything, and always what is so now."""
import errno
import mmap
import os

fd = os.open("/proc/meminfo", os.O_RDONLY)
read_end, write_end = os.pipe()


def refused(what, call):
    try:
        got = call()
    except OSError as error:
        if error.errno == errno.EINVAL:
            return
        raise
    raise SystemExit(f"{what}: {got!r}")


refused("splice", lambda: os.splice(fd, write_end, 100, offset_src=0))
refused("sendfile", lambda: os.sendfile(write_end, fd, 0, 100))
# A mapping may be made; its pages may not be filled.
child = os.fork()
if child == 0:
    try:
        pages = mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
    except (OSError, ValueError):
        os._exit(0)
    os.write(1, pages[:8])
    os._exit(1)
_, status = os.waitpid(child, 0)
# SIGBUS, or no mapping at all.
if status not in (0, 7, 7 | 128):
    raise SystemExit(f"mmap: {status}")
print(os.pread(fd, 100, 0).split()[1].decode())
