"""A user of the host, on the tree of vistafs and on the kernel's own: each attempt must go the same way.

Arguments: the same directory in both, and the number of a process of somebody else's."""

import errno
import os
import sys

OURS, KERNELS, FOREIGN = sys.argv[1:4]
attempts = 0


def outcome(call, *arguments):
    try:
        call(*arguments)
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]


def same(what, call, *paths):
    """Calls with each of the paths below both trees."""
    global attempts
    attempts += 1
    ours, kernels = (outcome(call, *(top + path for path in paths)) for top in (OURS, KERNELS))
    if ours != kernels:
        print(what, paths, "gave", ours, "where the kernel gives", kernels)


def read(path):
    with open(path, "rb") as file:
        file.read()


def write(data):
    def call(path):
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
    return call


for directory in ("", "/c1", "/c2", "/nothing", "/c1/nothing"):
    same("list", os.listdir, directory)
    same("mkdir", os.mkdir, directory + "/intruder")
    same("rmdir", os.rmdir, directory)
    same("chmod", lambda path: os.chmod(path, 0o777), directory)
    same("chown", lambda path: os.chown(path, os.getuid(), os.getgid()), directory)
    names = os.listdir(KERNELS + directory) if os.path.isdir(KERNELS + directory) else []
    for name in names + ["cgroup.procs", "no.such"]:
        path = directory + "/" + name
        # It takes numbers of descriptors, which mean something else in vistafs: refused to everybody.
        if os.path.isdir(KERNELS + path) or name == "cgroup.event_control":
            continue
        same("read", read, path)
        for data in (FOREIGN.encode(), str(os.getpid()).encode(), b"0", b"max", b"1"):
            same("write", write(data), path)
        same("chmod", lambda path: os.chmod(path, 0o777), path)
        same("chown", lambda path: os.chown(path, os.getuid(), os.getgid()), path)
        same("rmdir", os.rmdir, path)
print("attempts", attempts)
