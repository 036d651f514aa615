"""A process that deploys, to be killed: ``python -m support.deployer DEVICE BUNDLE CONTENT``.

Everything is real but for the payload, which is one part of a few megabytes instead of the engines, and the run on the
device, which is a script in that part that checks the part's own files. So a deployment takes a fraction of a second.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.devices import open_device
from edgekit.devices.base import Deploys
from edgekit.devices.payload.part import Entry, Part, make_part
from edgekit.devices.ssh import deployment
from edgekit.devices.ssh import device as ssh
from edgekit.devices.ssh.deployment import Deployment

_FILES = 3
_FILE_BYTES = 1 << 20
_CHECK = '#!/bin/sh\ncd "$(dirname "$0")" && sha256sum -c --quiet sums && echo whole\n'


def content(seed: str) -> Part:
    """A part of incompressible files; another one for each *seed*."""
    random = np.random.default_rng(list(seed.encode()))
    data = {f"file{index}": random.bytes(_FILE_BYTES) for index in range(_FILES)}
    sums = "".join(f"{hashlib.sha256(value).hexdigest()}  {name}\n" for name, value in data.items())
    entries = [Entry("run.sh", _CHECK.encode(), executable=True), Entry("sums", sums.encode())]
    entries += [Entry(name, value) for name, value in data.items()]
    return make_part(f"content-{seed}", seed, lambda: entries, runner="run.sh")


def replace_payload(seed: str, replace: Callable[[object, str, object], None]) -> None:
    """Have deployments send the part of *seed* alone; *replace* sets an attribute of a module."""
    part = content(seed)
    replace(deployment.assembly, "parts_for", lambda *_, **__: (part,))
    replace(deployment.assembly, "why_no_python", lambda machine: "a test")
    replace(ssh, "prove", _prove)


def deploy(device: str, bundle: Path) -> Deployment:
    """Deploy *bundle* as the command line does."""
    with open_device(device, Deploys) as place:
        return place.deploy(bundle, lambda event: None)


def _prove(device: str, release: Any, bundle: Any) -> None:
    assert release.host.execute((), timeout_s=60, most_bytes=1 << 20).status == 0


if __name__ == "__main__":
    replace_payload(sys.argv[3], setattr)
    deploy(sys.argv[1], Path(sys.argv[2]))
