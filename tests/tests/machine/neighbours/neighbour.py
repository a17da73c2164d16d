"""How long a container waits for its own meminfo: ns, the median of 25 readings."""
import time

took = []
for _ in range(25):
    began = time.monotonic_ns()
    with open("/proc/meminfo", "rb", buffering=0) as file:
        assert file.read(1 << 16).startswith(b"MemTotal:")
    took.append(time.monotonic_ns() - began)
print(sorted(took)[12])
