"""A release: the bundle and two commands that run it, as one archive that is unpacked on a device."""

from __future__ import annotations

import io
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import edgekit
from edgekit import npz
from edgekit.bundle import SUFFIX, Bundle, write_bundle
from edgekit.devices.payload.part import Entry, Part, environment, pack
from edgekit.digests import sha256
from edgekit.documents import canonical_json
from edgekit.manifest import MANIFEST, manifest_bytes
from edgekit.runtime.children import ANYWHERE
from edgekit.runtime.contents import read_variant
from edgekit.tensors import first_sample

#: Beside the bundle: one of its check inputs, to try it with.
SAMPLE = "sample.npz"

#: Finds the release and the parts from where the script lies, so that no path is fixed but Python's.
_HEAD = """\
#!/bin/sh
release=$(readlink -f "$0") || exit
release=${release%/bin/*}
parts=${release%/apps/*}/parts
"""


@dataclass(frozen=True)
class Release:
    """What is deployed.

    Attributes:
        app: Name of the folder that its releases share: the bundle's, fit for a path.
        id: Of its contents: the same bundle, parts and Python give the same.
        parts: What it refers to.
        entries: Its files.
    """

    app: str
    id: str
    parts: tuple[Part, ...]
    entries: tuple[Entry, ...]

    @property
    def bundle(self) -> str:
        """Name of the bundle in it."""
        return self.app + SUFFIX

    @property
    def unpacked_bytes(self) -> int:
        return sum(len(entry.data) for entry in self.entries)

    def archive(self) -> bytes:
        """A ``.tar.gz`` of it; the same release gives the same bytes."""
        return pack(self.entries)


def make_release(bundle: Bundle, parts: Sequence[Part], python: str | None) -> Release:
    """The release of *bundle* for a device.

    Args:
        parts: What the device needs for it (see `edgekit.devices.payload.assembly`).
        python: Path of Python on the device; None where the parts have a runner instead. The bundle is a folder
            then, for the runner opens model files.

    Raises:
        BundleError: A file of the bundle is damaged, or holds more than data.
    """
    for variant in bundle.manifest.variants:
        read_variant(bundle, variant)
    app = app_name(bundle.manifest.name)
    files = {name: bundle.read(name) for name in sorted(bundle.manifest.files)}
    runner = next((f"$parts/{part.digest}/{part.runner}" for part in parts if part.runner is not None), None)
    if python is not None:
        variables = environment(parts, lambda part: f"$parts/{part.digest}")
        entries = [
            Entry(app + SUFFIX, _bundle_file(bundle, files)),
            Entry("bin/python", _python(python, variables).encode(), executable=True),
            Entry("bin/edgekit", _EDGEKIT.encode(), executable=True),
        ]
    else:
        assert runner is not None, "a device without Python gets a runner"
        files[MANIFEST] = manifest_bytes(bundle.manifest)
        entries = [Entry(f"{app}{SUFFIX}/{name}", data) for name, data in files.items()]
        entries.append(Entry("bin/edgekit-runner", f'{_HEAD}exec "{runner}" "$@"\n'.encode(), executable=True))
    described = {
        "schema_version": 1,
        "bundle": app + SUFFIX,
        "target": bundle.manifest.target,
        "producer": f"edgekit {edgekit.__version__}",
        "python": python,
        "parts": [{"name": part.name, "digest": part.digest} for part in parts],
    }
    entries += [
        Entry(SAMPLE, _sample(bundle)),
        Entry("parts", "".join(f"{part.digest}\n" for part in parts).encode()),
        Entry("release.json", canonical_json(described)),
    ]
    digests = {entry.path: sha256(entry.data) for entry in entries}
    return Release(app, sha256(canonical_json(digests))[:16], tuple(parts), tuple(entries))


def app_name(name: str) -> str:
    """A bundle's name as a folder's: letters, digits and ``._-``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip(".-") or "model"


def _bundle_file(bundle: Bundle, files: dict[str, bytes]) -> bytes:
    """The bundle as one file."""
    if bundle.path.is_file():
        return bundle.path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle"
        write_bundle(bundle.manifest, files, path)
        return path.read_bytes()


def _sample(bundle: Bundle) -> bytes:
    inputs, _ = bundle.check_vectors()
    buffer = io.BytesIO()
    npz.save(buffer, first_sample(bundle.manifest.signature.inputs, inputs))
    return buffer.getvalue()


def _python(python: str, variables: Mapping[str, str]) -> str:
    """Python as the system has it, with the parts on its paths, before what is on them; nothing is installed."""
    exports = [f'export {name}="{value}${{{name}:+:${name}}}"\n' for name, value in sorted(variables.items())]
    return f'{_HEAD}{"".join(exports)}exec {shlex.quote(python)} "$@"\n'


_EDGEKIT = f'{_HEAD}exec "$release/bin/python" {" ".join(ANYWHERE)} -m edgekit.cli.main "$@"\n'
