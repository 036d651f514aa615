"""Get a model from a desktop onto a Raspberry Pi or a phone, knowing what it will cost there.

Importing edgekit imports nothing heavy; each name below brings in what it needs when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Bundle", "EdgekitError", "__version__", "build", "load", "profile", "read_image", "verify"]

_HOMES = {
    "Bundle": "edgekit.bundle",
    "EdgekitError": "edgekit.errors",
    "build": "edgekit.pipeline.build",
    "load": "edgekit.runtime.model",
    "profile": "edgekit.profiling.session",
    "read_image": "edgekit.runtime.pictures",
    "verify": "edgekit.devices.verifier",
}

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.devices.verifier import verify
    from edgekit.errors import EdgekitError
    from edgekit.pipeline.build import build
    from edgekit.profiling.session import profile
    from edgekit.runtime.model import load
    from edgekit.runtime.pictures import read_image


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from edgekit.runtime.packages import missing

        if (known := missing(error)) is None:
            raise
        raise known from error
