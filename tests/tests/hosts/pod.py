"""pod.py SOCKET IMAGE CDI_DEVICE SCRIPT [ANNOTATION=VALUE ...]: a pod with one container of 256 MiB and CPU 1, as a
kubelet makes it. An empty CDI_DEVICE is none; the annotations are the pod's.

Calls containerd's CRI, prints what the container writes, and removes the pod upon a line of input. The messages are encoded here, as Debian has no package of the CRI's definitions."""

import os
import sys
import tempfile
import threading
import time
import uuid

import grpc

SOCKET, IMAGE, DEVICE, SCRIPT, *ANNOTATIONS = sys.argv[1:]


def message(*fields):
    """Encodes fields (number, value): a number, a text, another message, or a list of those."""
    encoded = b""
    for number, value in fields:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, int):
                encoded += varint(number << 3) + varint(item)
            else:
                data = item.encode() if isinstance(item, str) else item
                encoded += varint(number << 3 | 2) + varint(len(data)) + data
    return encoded


def varint(number):
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    data.append(number)
    return bytes(data)


def first_field(data):
    """The text of field 1, which is short and comes first in all answers that are used."""
    return data[2 : 2 + data[1]].decode()


def call(method, *fields):
    channel = grpc.insecure_channel("unix://" + SOCKET)
    method = channel.unary_unary("/runtime.v1.RuntimeService/" + method)
    return method(message(*fields), timeout=300, wait_for_ready=True)


def follow(path):
    """Prints the container's log: a line is time, stream, P for a part of a line or F, text."""
    begun = ""
    with open(path) as log:
        while True:
            begun += log.readline()
            if begun.endswith("\n"):
                print(begun.split(" ", 3)[3], end="", flush=True)
                begun = ""
            elif ended.is_set():
                return
            else:
                time.sleep(0.05)


logs = tempfile.mkdtemp()
uid = str(uuid.uuid4())
NODE = 2
config = message(
    (1, message((1, "pod"), (2, uid), (3, "default"))),
    (3, logs),
    # A map is a list of pairs.
    (7, [message(*enumerate(pair.split("=", 1), 1)) for pair in ANNOTATIONS]),
    (
        8,
        message(
            (1, "kubepods-burstable-pod%s.slice" % uid.replace("-", "_")),
            # The host's network; the pid namespace is the pod's.
            (2, message((1, message((1, NODE))))),
        ),
    ),
)
pod = first_field(call("RunPodSandbox", (1, config)))
ended = threading.Event()
try:
    answer = call(
        "CreateContainer",
        (1, pod),
        (
            2,
            message(
                (1, message((1, "box"))),
                (2, message((1, IMAGE))),
                (3, ["sh", "-c", SCRIPT]),
                (11, "box.log"),
                # Its standard input stays open and empty.
                (12, 1),
                (15, message((1, message((4, 256 << 20), (6, "1"))))),
                (17, [message((1, DEVICE))] if DEVICE else []),
            ),
        ),
        (3, config),
    )
    container = first_field(answer)
    call("StartContainer", (1, container))
    follower = threading.Thread(target=follow, args=(os.path.join(logs, "box.log"),))
    follower.start()
    sys.stdin.readline()
    call("StopContainer", (1, container))
    ended.set()
    follower.join()
finally:
    ended.set()
    call("StopPodSandbox", (1, pod))
    call("RemovePodSandbox", (1, pod))
