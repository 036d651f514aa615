"""What ``--help`` costs above an empty Python, interleaved.

Run with ``pytest -s -n 0 tests/benchmarks/test_startup.py``; prints milliseconds above ``python -c pass``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from edgekit.cli.main import VERBS

ROUNDS = 15


def milliseconds(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return 1e3 * (time.perf_counter() - began)


def test_help_above_an_empty_python() -> None:
    commands = {"edgekit": ["--help"], **{verb: [verb, "--help"] for verb in VERBS}}
    times: dict[str, list[float]] = {name: [] for name in ("pass", *commands)}
    for _ in range(ROUNDS):
        times["pass"].append(milliseconds("-c", "pass"))
        for name, arguments in commands.items():
            times[name].append(milliseconds("-m", "edgekit.cli.main", *arguments))
    empty = statistics.median(times.pop("pass"))
    print(f"\nempty Python {empty:.0f} ms")
    for name, samples in times.items():
        print(f"{name:<10} + {statistics.median(samples) - empty:.0f} ms")
