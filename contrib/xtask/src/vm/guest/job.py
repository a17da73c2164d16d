#!/usr/bin/python3
"""Takes the job from the third disk (a tar), runs it, sends its output through one virtio port while
it runs, writes a tar of its results to the fourth disk, and ends the machine.

In the tar: command (a shell script), timeout (seconds), put (numbered files, and put.list, which says
where they belong), get.list (paths that are wanted back). In the results: status (of the command),
output (all of it), get (numbered files, as in get.list)."""

import glob
import os
import select
import subprocess

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def port(name):
    """Opens a port for writing. Without udev there are no names below /dev/virtio-ports."""
    for path in glob.glob("/sys/class/virtio-ports/*/name"):
        with open(path) as file:
            if file.read().strip() == name:
                return open("/dev/" + path.split("/")[-2], "wb")
    raise FileNotFoundError(name)


def lines(path):
    with open(path) as file:
        return file.read().splitlines()


def unpack():
    os.makedirs("/job/result/get")
    subprocess.run(["tar", "-xf", "/dev/vdc", "-C", "/job"], check=True)
    for line in lines("/job/put.list"):
        number, path = line.split(" ", 1)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        subprocess.run(["cp", "-aT", "/job/put/" + number, path], check=True)


def run():
    """Runs the command; returns its exit status as a shell would."""
    # The end of a machine whose host no longer waits.
    limit = ["timeout", "--kill-after=10", lines("/job/timeout")[0]]
    command = subprocess.Popen(
        limit + ["sh", "/job/command"],
        cwd="/root",
        env={"HOME": "/root", "LANG": "C.UTF-8", "PATH": PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    # Through a pipe, as a port can be opened once only and programs reopen /dev/stdout. The pipe may
    # never end, as the command may leave a daemon behind: so its process is watched as well.
    # The port is for a person who watches: its buffers may be lost when the machine ends. All of the
    # output is in the log.
    outputs = port("vistafs.output"), open("/job/result/output", "wb")
    ended = os.pidfd_open(command.pid)
    wait = [command.stdout, ended]
    while True:
        ready = select.select(wait, [], [])[0]
        if command.stdout in ready:
            data = command.stdout.read(65536)
            if not data:
                break
            for output in outputs:
                output.write(data)
                output.flush()
        elif ended in ready:
            break
    status = command.wait()
    return status if status >= 0 else 128 - status


def send_results(status):
    with open("/job/result/status", "w") as file:
        file.write(str(status))
    for number, path in enumerate(lines("/job/get.list")):
        # A file that is missing is told by its absence from the results.
        subprocess.run(["cp", "-aT", path, "/job/result/get/%d" % number])
    subprocess.run(["tar", "-cf", "/dev/vdd", "-C", "/job/result", "."], check=True)
    os.sync()


try:
    # A sign of life: boot.rs looks for this line.
    with open("/dev/console", "w") as console:
        console.write("vistafs-job: started\n")
    unpack()
    send_results(run())
finally:
    # Nothing here is worth a shutdown: the disk is a throw-away copy.
    for path, value in (("/proc/sys/kernel/sysrq", "1"), ("/proc/sysrq-trigger", "b")):
        with open(path, "w") as file:
            file.write(value)
