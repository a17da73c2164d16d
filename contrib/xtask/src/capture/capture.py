"""Makes a cgroup such as a container manager would, puts a load into it, and copies what a view of
it would read. Runs as root in a virtual machine; the copy is left in the directory argv[1]."""

import os
import subprocess
import sys
import time

MIB = 1024 * 1024
# Two of the four CPUs, and not the first ones, so that a view has to number them anew.
CPUS = "1,3"
# The limits of /box are the tighter ones on purpose: those of /box/app alone are not the truth.
# Generous: without a rule, v1 of newer kernels does not count a cgroup's block I/O at all.
DISK = os.stat("/dev/vda").st_rdev
DISK_RATE = "%d:%d %d" % (os.major(DISK), os.minor(DISK), 1024 * MIB)
LIMITS_V1 = {
    "/box": {
        "memory.limit_in_bytes": 256 * MIB,
        "memory.memsw.limit_in_bytes": 384 * MIB,
        "cpu.cfs_period_us": 100000,
        "cpu.cfs_quota_us": 150000,
    },
    "/box/app": {
        "memory.limit_in_bytes": 512 * MIB,
        "cpuset.cpus": CPUS,
        "blkio.throttle.read_bps_device": DISK_RATE,
        "blkio.throttle.write_bps_device": DISK_RATE,
    },
}
LIMITS_V2 = {
    "/box": {
        "memory.max": 256 * MIB,
        "memory.swap.max": 128 * MIB,
        "cpu.max": "150000 100000",
    },
    "/box/app": {"memory.max": 512 * MIB, "cpuset.cpus": CPUS},
}
PROC = (
    "meminfo cpuinfo stat uptime loadavg diskstats swaps vmstat cgroups version partitions "
    "interrupts softirqs schedstat zoneinfo slabinfo "
    "pressure/cpu pressure/memory pressure/io pressure/irq"
)
# Trees that views restrict to the container's CPUs and nodes.
TREES = "/sys/devices/system/cpu", "/sys/devices/system/node"
# Of the host's hardware alone, many of them, or addresses that differ at each boot.
LEFT_OUT = {"power", "hotplug", "crash_notes", "crash_notes_size"}
DEEPEST = 5
LARGEST = 64 * 1024


def read(path):
    """The whole of a file of the kernel, or None when it cannot be read or is large."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError:
        return None
    return data if len(data) <= LARGEST else None


def write(path, value):
    with open(path, "w") as file:
        file.write(str(value))


def mounts():
    """(mount point, file system type, whole line) of each cgroup mount that process 1 sees."""
    found = []
    with open("/proc/1/mountinfo") as lines:
        for line in lines:
            before, after = line.split(" - ")
            kind = after.split()[0]
            if kind in ("cgroup", "cgroup2"):
                found.append((before.split()[4], kind, line))
    return found


def make_swap():
    subprocess.run(["modprobe", "zram"], check=True)
    write("/sys/block/zram0/disksize", 512 * MIB)
    subprocess.run(["mkswap", "-q", "/dev/zram0"], check=True)
    subprocess.run(["swapon", "/dev/zram0"], check=True)


def make_cgroups(mount, kind):
    for path, parent in (("/box", ""), ("/box/app", "/box")):
        here, above = mount + path, mount + parent
        if kind == "cgroup2":
            with open(above + "/cgroup.controllers") as file:
                names = file.read().split()
            for name in names:
                write(above + "/cgroup.subtree_control", "+" + name)
        os.mkdir(here)
        if kind == "cgroup" and os.path.exists(here + "/cpuset.cpus"):
            # A v1 cpuset begins empty and takes no task until it has both.
            for name in ("cpuset.cpus", "cpuset.mems"):
                write(here + "/" + name, read(above + "/" + name).decode())
        limits = LIMITS_V1 if kind == "cgroup" else LIMITS_V2
        for name, value in limits[path].items():
            if os.path.exists(here + "/" + name):
                write(here + "/" + name, value)


def burn(seconds):
    """User time in one process and system time in another, at the same time."""
    end = time.monotonic() + seconds
    if os.fork() == 0:
        while time.monotonic() < end:
            sum(range(1000))
        os._exit(0)
    with open("/dev/zero", "rb", buffering=0) as zeros:
        while time.monotonic() < end:
            zeros.read(MIB)
    os.wait()


def load():
    """What the container does: page cache from a disk, shared memory, CPU time of both kinds."""
    with open("/dev/shm/data", "wb") as file:
        file.write(os.urandom(MIB) * 40)
    for directory, _, names in os.walk("/usr/lib/x86_64-linux-gnu"):
        for name in names:
            try:
                with open(os.path.join(directory, name), "rb") as file:
                    file.read()
            except OSError:
                pass
    # A dirty page that was written back counts as block I/O of the container.
    with open("/var/tmp/data", "wb") as file:
        file.write(bytes(4 * MIB))
        os.fsync(file.fileno())
    burn(4)


def start(hierarchies):
    """Runs the load in /box/app and returns the process that stays there."""
    done, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        for mount, _, _ in hierarchies:
            write(mount + "/box/app/cgroup.procs", os.getpid())
        load()
        os.write(tell, b"x")
        # Sleeps on under the same process id, with the memory of a small program.
        os.execvp("sleep", ["sleep", "infinity"])
    os.close(tell)
    if not os.read(done, 1):
        sys.exit("the load failed")
    # The kernel brings memory.stat up to date about every two seconds.
    time.sleep(3)
    return pid


def copy(path, root):
    data = read(path)
    if data is not None:
        target = root + path
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(data)


def copy_tree(path, root, depth=0):
    """Files that can be read, and links as they are, wherever they lead."""
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.name in LEFT_OUT:
            continue
        if entry.is_symlink():
            os.makedirs(root + path, exist_ok=True)
            os.symlink(os.readlink(entry.path), root + entry.path)
        elif entry.is_dir():
            if depth < DEEPEST:
                copy_tree(entry.path, root, depth + 1)
        else:
            copy(entry.path, root)


def capture(hierarchies, pid, root):
    for name in PROC.split():
        copy("/proc/" + name, root)
    boottime = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    for tree in TREES:
        copy_tree(tree, root)
    for mount, _, _ in hierarchies:
        for path in ("", "/box", "/box/app"):
            directory = mount + path
            for name in sorted(os.listdir(directory)):
                if os.path.isfile(directory + "/" + name):
                    copy(directory + "/" + name, root)
    os.makedirs(root + "/proc/self")
    with open(root + "/proc/self/mountinfo", "w") as file:
        file.writelines(line for _, _, line in hierarchies)
    with open("/proc/%d/stat" % pid) as file:
        # The name may contain spaces and parentheses; field 3 follows the last of them.
        start_ticks = file.read().rsplit(")", 1)[1].split()[22 - 3]
    with open(root + "/container.toml", "w") as file:
        file.write(
            "# which cgroup is the container, and when it started\n"
            'cgroup = "/box/app"        # same path in every hierarchy\n'
            "start_ticks = %s         # start of its first process, USER_HZ ticks since boot\n"
            "boottime_ns = %d  # CLOCK_BOOTTIME at the capture\n"
            "clk_tck = %d\n"
            "page_size = %d\n"
            % (start_ticks, boottime, os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGESIZE"))
        )


def main():
    os.umask(0o022)
    hierarchies = mounts()
    make_swap()
    for mount, kind, _ in hierarchies:
        make_cgroups(mount, kind)
    capture(hierarchies, start(hierarchies), sys.argv[1])


main()
