"""The example of a network on trees: it gives what its formulas are worth, longer ones, too."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "logic_trees.py"


def test_a_network_on_trees_learns_what_operations_mean() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    short, long = map(float, re.findall(r"([\d.]+) %", done.stdout))
    assert short > 99
    assert long > 97
