"""Deployments that are killed at random moments, and what is on the device afterwards."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]


@dataclass
class Tally:
    """What came of a number of deployments."""

    outcomes: Counter[str] = field(default_factory=Counter)
    releases: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def deploy_and_kill(
    rounds: int,
    *,
    seed: int,
    start: Callable[[str], subprocess.Popen[bytes]],
    interruptions: dict[str, Callable[[subprocess.Popen[bytes]], None]],
    current: Callable[[], str],
) -> Tally:
    """Start deployments, interrupt each after a random time, and look at the device after each.

    Args:
        start: Starts a deployment of the version that it is given.
        interruptions: Ways to end one, by name.
        current: Checks the device's current release as a whole and gives its version, or raises AssertionError.
    """
    chance = random.Random(seed)
    tally = Tally()
    began = time.monotonic()
    whole = start("version-0")
    assert whole.wait(timeout=120) == 0, "the first deployment, which nobody disturbs, fails"
    span = time.monotonic() - began
    assert current() == "version-0"
    for turn in range(1, rounds + 1):
        process = start(f"version-{turn % 3}")
        name = chance.choice(sorted(interruptions))
        try:
            status = process.wait(timeout=chance.uniform(0.1, 0.9) * span)
            name = "done before" if status == 0 else "failed by itself"
        except subprocess.TimeoutExpired:
            interruptions[name](process)
            process.wait(timeout=60)
        tally.outcomes[name] += 1
        try:
            tally.releases[current()] += 1
        except AssertionError as error:
            tally.broken.append(f"turn {turn}, {name}: {error}")
    return tally


def kill(process: subprocess.Popen[bytes]) -> None:
    """The client is gone at once, as in a crash of the desktop."""
    process.kill()


def start_deployer(device: str, bundle: Path, seed: str, log: Path) -> subprocess.Popen[bytes]:
    """`support.deployer` as a process."""
    command = [sys.executable, "-m", "support.deployer", device, str(bundle), seed]
    path = os.pathsep.join([str(_TESTS), str(_TESTS.parent)])
    with log.open("ab") as output:
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=output, stderr=output)
