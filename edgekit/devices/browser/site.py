"""What a phone may ask for: every answer is made before the first question, and there are no others."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from edgekit.bundle import Bundle
from edgekit.devices.browser import assets
from edgekit.devices.browser.job import Job
from edgekit.documents import canonical_json
from edgekit.runtime.contents import read_variant

_PAGE = Path(__file__).with_name("page")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
_BYTES = "application/octet-stream"


@dataclass(frozen=True)
class Answer:
    """One file, as it is sent.

    Attributes:
        data: Its bytes; compressed by gzip where *compressed* says so.
        lasting: Whether it is the same as long as its address is.
    """

    data: bytes
    type: str
    compressed: bool = False
    lasting: bool = False

    def plain(self) -> bytes:
        return gzip.decompress(self.data) if self.compressed else self.data


def answers(bundle: Bundle, job: Job) -> Mapping[str, Answer]:
    """Everything that is served, by its path below the token.

    Raises:
        BundleError: A file of the bundle is damaged, or holds more than data.
        EdgekitError: ``EK-MISSING-PACKAGE``: LiteRT.js was not fetched yet.
    """
    found = {
        f"runtime/{name}": Answer(data, _TYPES[PurePosixPath(name).suffix], compressed=True, lasting=True)
        for name, data in assets.load().items()
    }
    for path in sorted(_PAGE.rglob("*")):
        if path.is_file() and path.suffix in _TYPES:
            found[f"page/{path.relative_to(_PAGE).as_posix()}"] = _text(path.read_bytes(), _TYPES[path.suffix])
    found[""] = found["page/index.html"]
    found["job.json"] = _text(canonical_json(asdict(job)), _TYPES[".json"])
    served = job.files
    for variant in bundle.manifest.variants:
        if variant.file in served:
            read_variant(bundle, variant)
    for file in served:
        found[f"bundle/{file}"] = Answer(bundle.read(file), _BYTES)
    return found


def _text(data: bytes, kind: str) -> Answer:
    return Answer(gzip.compress(data, mtime=0), kind, compressed=True)
