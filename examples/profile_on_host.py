"""Variants and engines side by side, from Python: ``python profile_on_host.py PROFILE.json BUNDLE...``.

On the host, which has ``edgekit[profile]``. Devices would be named with ``on=["local", "ssh://pi@raspberrypi.local"]``.
"""

import sys

import edgekit
from edgekit.profiling.files import read_profile, write_profile
from edgekit.profiling.rows import rows

if __name__ == "__main__":
    profile = edgekit.profile(sys.argv[2:], mode="quick", engines=["litert", "executorch"], seed=0)
    write_profile(profile, sys.argv[1])

    for row in rows(read_profile(sys.argv[1])):  # every figure again, from the samples in the file
        if row.latency_ms is None:
            print(row.name, row.status, row.reason)
            continue
        low, high = row.latency_ms.interval
        against = f", {row.comparison.verdict} against {row.reference}" if row.comparison else ""
        print(f"{row.name}: {row.latency_ms.median:.3f} ms (95 % interval {low:.3f} to {high:.3f}){against}")
