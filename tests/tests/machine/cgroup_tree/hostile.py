"""A caller that wants out of its container: each attempt, and how it has to fail.

Arguments: the mount's cgroup directory, the caller's own cgroup, a sibling of it, and numbers of
processes that are not the container's. Prints a line for each attempt that went otherwise, and at the
end how many there were."""

import errno
import os
import sys
import time

TREE, OWN, SIBLING = sys.argv[1:4]
FOREIGN = [int(pid) for pid in sys.argv[4:]]
attempts = 0


def attempt(what, expected, call, *arguments, **keywords):
    """Calls, and says what came of it if that is none of `expected`."""
    global attempts
    attempts += 1
    try:
        call(*arguments, **keywords)
        got = "done"
    except OSError as error:
        got = errno.errorcode[error.errno]
        outside = [word for word in (SIBLING,) if word in (error.strerror or "")]
        if outside:
            print(what, "names", outside)
    if got not in expected.split():
        print(what, arguments, "gave", got, "instead of", expected)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    descriptor = os.open(path, os.O_WRONLY)
    try:
        # A write may be taken in pieces; the first decides.
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def only_the_next_step(directory, expected):
    global attempts
    attempts += 1
    found = os.listdir(directory)
    if found != [expected]:
        print(directory, "lists", found, "instead of", expected)


def chain(top):
    """The directories above the container's own, with the next step of each."""
    here = top
    for name in OWN.strip("/").split("/"):
        yield here, name
        here = here + "/" + name


REFUSED = "EPERM EACCES"


def outside(top):
    # What exists, but is not for the container, is ENOMEM: any other error would drop the name for all others.
    sibling = top + SIBLING
    for directory, following in chain(top):
        only_the_next_step(directory, following)
        for name in ("cgroup.procs", "tasks", "release_agent", "memory.max", "cgroup.controllers"):
            attempt("read above", "ENOENT ENOMEM", read, directory + "/" + name)
            attempt("write above", "ENOENT ENOMEM", write, directory + "/" + name, b"0")
        attempt("mkdir above", REFUSED, os.mkdir, directory + "/intruder")
        attempt("rmdir above", REFUSED + " EBUSY", os.rmdir, directory + "/" + following)
        attempt("chown above", REFUSED + " EINVAL", os.chown, directory, 0, 0)
        attempt("chmod above", REFUSED, os.chmod, directory, 0o777)
        attempt("rename above", REFUSED, os.rename, directory + "/" + following, directory + "/x")
        attempt("file above", REFUSED, os.open, directory + "/x", os.O_CREAT | os.O_WRONLY)
    for path in (sibling, sibling + "/cgroup.procs", sibling + "/" + "child"):
        attempt("stat beside", "ENOMEM", os.stat, path)
        attempt("read beside", "ENOMEM", read, path)
        attempt("list beside", "ENOMEM", os.listdir, path)
        attempt("write beside", "ENOMEM", write, path, b"0")
        attempt("rmdir beside", "ENOMEM", os.rmdir, path)
        attempt("chown beside", "ENOMEM", os.chown, path, 0, 0)
    attempt("mkdir beside", "ENOMEM", os.mkdir, sibling + "/child")
    # Ways round.
    attempt("dots", "ENOMEM", os.stat, top + OWN + "/.." + SIBLING[SIBLING.rindex("/"):])
    # Too many of them lead out of the hierarchy, where nobody has such a name.
    attempt("dots", "ENOENT ENOMEM", os.stat, top + OWN + "/../../.." + SIBLING)
    for pid in ("self", "1"):
        root = "/proc/" + pid + "/root"
        attempt("root link", "ENOMEM", os.stat, root + sibling)
        attempt("root link", REFUSED, os.mkdir, root + top + "/intruder")
    # Not by its number, which is 1 in each container.
    link = "/tmp/vistafs-link" + SIBLING.replace("/", "-")
    os.symlink(top, link)
    try:
        attempt("through a link", REFUSED, os.mkdir, link + "/intruder")
        attempt("through a link", "ENOMEM", os.stat, link + SIBLING)
    finally:
        os.unlink(link)


def inside(top):
    own = top + OWN
    used, child = own + "/used", own + "/child"
    os.mkdir(used)
    os.mkdir(child)
    sleeper = os.fork()
    if sleeper == 0:
        time.sleep(1000)
        os._exit(0)
    lists = [name for name in ("cgroup.procs", "tasks", "cgroup.threads")
             if os.path.exists(used + "/" + name)]
    # cpuset of v1 takes no tasks before it has CPUs and nodes.
    for name in ("cpuset.cpus", "cpuset.mems"):
        if os.path.exists(used + "/cgroup.clone_children") and os.path.exists(used + "/" + name):
            write(used + "/" + name, read(own + "/" + name))
    attempt("move", "done", write, used + "/cgroup.procs", str(sleeper).encode())
    if read(used + "/cgroup.procs").split() != [str(sleeper).encode()]:
        print("not moved:", used, read(used + "/cgroup.procs"))
    attempt("rmdir of a used one", "EBUSY", os.rmdir, used)
    for name in lists:
        path = child + "/" + name
        for pid in FOREIGN:
            attempt("foreign pid", "ESRCH", write, path, str(pid).encode())
        for text in (b"-1", b"2147483648", b"4294967297", b"self", b"1 2", b"\n", b"\xff\xfe"):
            attempt("odd pid", "EINVAL", write, path, text)
        attempt("long text", "E2BIG EINVAL", write, path, b"1" * (1 << 20))
        # EOPNOTSUPP: a thread cannot leave its process on v2.
        if name != "cgroup.threads" and read(path) != b"":
            print("in", path, "is", read(path))
    for name in (b"cgroup.procs", b".", b".."):
        attempt("mkdir", "EEXIST", os.mkdir, child.encode() + b"/" + name)
    attempt("mkdir", "EINVAL", os.mkdir, child + "/a\nb")
    attempt("mkdir", "ENOENT", os.mkdir, child + "/a/b")
    # cgroupfs itself takes names that are longer than NAME_MAX.
    for name in (255 * b"x", 256 * b"x", b"\xff\xfe", b" ", b"a:b"):
        made = child.encode() + b"/" + name
        attempt("mkdir", "done", os.mkdir, made)
        attempt("rmdir", "done", os.rmdir, made)
    attempt("rmdir of its own", REFUSED, os.rmdir, own)
    attempt("rmdir of a file", "ENOTDIR", os.rmdir, child + "/cgroup.procs")
    attempt("unlink", REFUSED, os.unlink, child + "/cgroup.procs")
    attempt("rename", REFUSED, os.rename, child, own + "/renamed")
    attempt("rename", REFUSED + " EXDEV", os.rename, child, "/tmp/renamed")
    attempt("link", REFUSED, os.link, child + "/cgroup.procs", child + "/x")
    attempt("symlink", REFUSED, os.symlink, "/", child + "/x")
    attempt("mknod", REFUSED, os.mknod, child + "/x", 0o644)
    attempt("file", REFUSED, os.open, child + "/x", os.O_CREAT | os.O_WRONLY)
    for flag in (os.XATTR_CREATE, 0):
        attempt("xattr", "ENOTSUP EPERM", os.setxattr, child, "trusted.x", b"y", flag)
        attempt("xattr", "ENOTSUP EPERM", os.setxattr, child, "user.x", b"y", flag)
    # Descriptors of vistafs's, devices, limits that its maker has set.
    for name, expected in (
        ("cgroup.event_control", REFUSED),
        ("memory.limit_in_bytes", REFUSED),
        ("memory.max", REFUSED),
        ("cpu.max", REFUSED),
        ("cpu.cfs_quota_us", REFUSED),
        ("pids.max", REFUSED),
        ("freezer.state", REFUSED),
        ("cgroup.freeze", REFUSED),
        ("devices.allow", REFUSED),
        ("cpuset.cpus", REFUSED),
    ):
        if os.path.exists(own + "/" + name):
            attempt("write", expected, write, own + "/" + name, b"1")
    if os.path.exists(child + "/cgroup.event_control"):
        attempt("write", REFUSED, write, child + "/cgroup.event_control", b"0 1")
    if os.getenv("UNPRIVILEGED"):
        if os.path.exists(child + "/devices.allow"):
            attempt("devices", "EPERM", write, child + "/devices.allow", b"a *:* rwm")
        for uid, gid in ((70000, -1), (-1, 70000)):
            attempt("chown", "EINVAL", os.chown, child, uid, gid)
        attempt("chown", "done", os.chown, child, 1000, 1000)
        attempt("chown", "done", os.chown, child, 0, 0)
        attempt("chmod", "done", os.chmod, child, 0o700)
        stat = os.stat(child)
        if (stat.st_uid, stat.st_gid, stat.st_mode & 0o777) != (0, 0, 0o700):
            print("owner and mode of", child, stat)
        if not os.path.exists(own + "/cgroup.controllers"):
            # Not given away: it shows an owner that is nobody here.
            stat = os.stat(own + "/notify_on_release")
            if (stat.st_uid, stat.st_gid) != (65534, 65534):
                print("owner of a file of the host", stat)
            attempt("chown", REFUSED, os.chown, own + "/notify_on_release", 0, 0)
            attempt("chmod", REFUSED, os.chmod, own + "/notify_on_release", 0o666)
    else:
        attempt("chown", REFUSED, os.chown, own, 1000, 1000)
        attempt("chmod", REFUSED, os.chmod, own, 0o777)
        attempt("chown", REFUSED, os.chown, own + "/cgroup.procs", 1000, 1000)
    # Held open while it is removed.
    directory = os.open(child, os.O_RDONLY | os.O_DIRECTORY)
    file = os.open(child + "/cgroup.procs", os.O_RDWR)
    os.rmdir(child)
    attempt("list of a removed one", "done ENOENT ESTALE", os.listdir, directory)
    attempt("mkdir in a removed one", "ENOENT ESTALE", os.mkdir, "x", dir_fd=directory)
    attempt("read of a removed one", "ENODEV", os.pread, file, 100, 0)
    attempt("write to a removed one", "ENODEV", os.write, file, str(sleeper).encode())
    os.close(directory)
    os.close(file)
    os.kill(sleeper, 9)
    os.waitpid(sleeper, 0)
    os.rmdir(used)


hierarchies = os.listdir(TREE)
for hierarchy in hierarchies:
    outside(TREE + "/" + hierarchy)
    inside(TREE + "/" + hierarchy)
print("attempts", attempts, "hierarchies", len(hierarchies))
