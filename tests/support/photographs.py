"""A project with photographs for evaluation, and what memory the processes of its build take."""

from __future__ import annotations

import threading
from pathlib import Path

from edgekit.pipeline.build import run_build

_PROJECT = """\
[project]
name = "photographs"

[model]
framework = "torch"
factory = "model.py:build"

[data]
evaluation = "data.py:evaluation"
calibration = {{ from = "evaluation", samples = 16 }}
labels = ["a", "b", "c", "d", "e", "f", "g", "h"]

[preprocessing]
scale = 0.00392156862745098
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
layout = "channels-first"
"""

_DATA = """\
import numpy as np

COUNT, SIZE = {count}, {size}


def evaluation():
    generator = np.random.default_rng(0)
    images = np.empty((COUNT, SIZE, SIZE, 3), np.uint8)
    for image in images:  # of a brightness and a colour of its own
        image[...] = generator.integers(0, 200, 3) + generator.integers(0, 56, (SIZE, SIZE, 3))
    return images, generator.integers(0, 8, COUNT)
"""

_MODEL = """\
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 8),
    )
"""


def photographs(folder: Path, count: int, size: int) -> Path:
    """A project in *folder* with *count* photographs of *size* x *size* pixels."""
    folder.mkdir(exist_ok=True)
    (folder / "edgekit.toml").write_text(_PROJECT.format())
    (folder / "data.py").write_text(_DATA.format(count=count, size=size))
    (folder / "model.py").write_text(_MODEL)
    return folder


def watched_build(project: Path) -> dict[str, int]:
    """Build *project* anew for all of a Raspberry Pi's formats; the peak of resident memory, files that are mapped
    included, in bytes: of this process (``host``) above what it had before, and of each worker by its number."""
    peaks: dict[str, int] = {}
    before = _status("self")["VmRSS"]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peaks["host"] = max(peaks.get("host", 0), _status("self").get("VmRSS", 0) - before)
            for child in _children():
                peaks[child] = max(peaks.get(child, 0), _status(child).get("VmHWM", 0))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = run_build(str(project), target="rpi4", recipes=["fp32", "int8"], fresh=True)
        result.raise_for_failure(strict=True)
        assert result.manifest is not None and all(variant.checked for variant in result.manifest.variants)
    finally:
        done.set()
        watcher.join()
    return peaks


def _children() -> list[str]:
    """The children of this process, without those that are a copy of it still and take what it takes."""
    own = Path("/proc/self/cmdline").read_bytes()
    found = []
    for task in Path("/proc/self/task").glob("*/children"):
        for child in task.read_text().split():
            try:
                if Path(f"/proc/{child}/cmdline").read_bytes() != own:
                    found.append(child)
            except OSError:  # it is gone
                continue
    return found


def _status(process: str) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:  # it is gone
        return {}
    return {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (line.partition(":") for line in lines)
        if name.startswith("Vm")
    }
