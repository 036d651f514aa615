"""What a page posts: a JSON document, taken apart without trust. Whether it is true, `result` judges."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np

from edgekit.errors import UsageError
from edgekit.runtime.profiler.profile import Browser
from edgekit.schema import conform, walk
from edgekit.tensors import TensorSpec

SCHEMA_VERSION = 1

#: Characters of a text, where it is not the usual number. Tensors are as large as the server takes.
_LONGEST = {"user_agent": 500, "reason": 500, "failure": 500, "why_threads": 300, "outputs": 1 << 26}
_LONGEST["check_outputs"] = _LONGEST["outputs"]
_USUAL_LONGEST = 200
#: Items of a list, where it is not the usual number.
_MOST = {"elapsed_us": 250_000, "round_sizes": 50_000, "check_outputs": 10_000}
_USUAL_MOST = 1000
#: Numbers, where it is not the usual one.
_LARGEST = {
    "level": 1,
    "done": 1,
    "cores": 4096,
    "memory_gib": 65_536,
    "calls_per_sample": 1_000_000,
    "elapsed_us": 1e9,
}
_USUAL_LARGEST = 1e12

_PATTERNS = {
    "run": r"[0-9a-f]{16}",
    "bundle_sha256": r"[0-9a-f]{64}",
    "screen": r"\d{1,5}x\d{1,5}(@\d{1,2}(\.\d{1,4})?)?",
    "litert_js": r"\d{1,4}(\.\d{1,4}){1,3}([-+.][0-9A-Za-z.]{1,20})?",
}


@dataclass(frozen=True)
class Battery:
    """``level`` is from 0 to 1."""

    level: float | None
    charging: bool


@dataclass(frozen=True)
class PostedProcess:
    """One worker: one repeat of a cell. Fields as in `edgekit.runtime.profiler.records.Process`.

    Attributes:
        elapsed_us: Each the mean of ``calls_per_sample`` inferences.
        hidden_changes: How often the page was hidden or shown meanwhile.
        outputs: Of the input that was timed: little-endian float32 in base64, whatever the tensor's type.
    """

    repeat: int
    order: int
    import_ms: float | None = None
    load_ms: float | None = None
    first_ms: float | None = None
    warm_up_calls: int = 0
    warm_up_s: float = 0.0
    settled: bool = False
    calls_per_sample: int = 1
    elapsed_us: tuple[float, ...] = ()
    round_sizes: tuple[int, ...] = ()
    hidden_changes: int = 0
    battery_before: Battery | None = None
    battery_after: Battery | None = None
    outputs: tuple[str, ...] | None = None
    failure: str = ""


@dataclass(frozen=True)
class PostedCell:
    """One variant on one accelerator.

    Attributes:
        check_outputs: For each check sample one text per output, as ``outputs`` of a process.
    """

    variant: str
    accelerator: Literal["wasm", "webgpu"]
    build: Literal["default", "threaded", "compat"] | None
    threads: int | None
    fully_accelerated: bool | None
    status: Literal["measured", "failed", "not run"]
    reason: str
    check_outputs: tuple[tuple[str, ...], ...] | None
    processes: tuple[PostedProcess, ...]


@dataclass(frozen=True)
class Posted:
    """The whole document.

    Attributes:
        run: Sixteen hexadecimal digits; the same for a document that is posted again.
    """

    schema_version: int
    run: str
    bundle_sha256: str
    started: str
    browser: Browser
    connection: Literal["localhost", "https", "http"]
    why_threads: str
    cells: tuple[PostedCell, ...]


@dataclass(frozen=True)
class PageProgress:
    """What a page says while it measures.

    Attributes:
        run: As in `Posted`.
        device: What it calls itself.
        done: From 0 to 1.
        text: One line.
    """

    run: str
    device: str
    done: float
    text: str


def read_posted(value: object) -> Posted:
    """The document in *value*, with every type, length and number within bounds.

    Raises:
        UsageError: ``EK-INPUT``: it does not fit, with the place in one line.
    """
    posted: Posted = _read(Posted, value)
    if posted.schema_version != SCHEMA_VERSION:
        raise refusal(f"it has schema version {posted.schema_version}, not {SCHEMA_VERSION}: reload the page")
    try:
        datetime.fromisoformat(posted.started)
    except ValueError:
        raise refusal("started is no date") from None
    return posted


def read_progress(value: object) -> PageProgress:
    """What *value* says of the progress. Raises `UsageError` ``EK-INPUT``: it does not fit."""
    progress: PageProgress = _read(PageProgress, value)
    return progress


def refusal(reason: str) -> UsageError:
    """The error for a document that does not fit; what of *reason* is the poster's own does no harm."""
    line = "".join(character if character.isprintable() else "?" for character in reason)
    shown = line if len(line) <= _USUAL_LONGEST else f"{line[: _USUAL_LONGEST - 3]}..."
    return UsageError("EK-INPUT", f"what was posted is refused: {shown}", "reload the page on the phone")


def decoded(texts: Sequence[str], specs: Sequence[TensorSpec], where: str) -> list[np.ndarray]:
    """Tensors of *specs* from base64 of little-endian float32.

    Raises:
        UsageError: ``EK-INPUT``: they do not fit *specs*.
    """
    if len(texts) != len(specs):
        raise refusal(f"{where} has {len(texts)} outputs, the model {len(specs)}")
    return [_decoded(text, spec, where) for text, spec in zip(texts, specs, strict=True)]


def _decoded(text: str, spec: TensorSpec, where: str) -> np.ndarray:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise refusal(f"{where}: output {spec.name!r} is not base64") from None
    if len(data) != 4 * math.prod(spec.shape):
        raise refusal(f"{where}: output {spec.name!r} has {len(data)} bytes, not {4 * math.prod(spec.shape)}")
    floats = np.frombuffer(data, "<f4").reshape(spec.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        array = floats.astype(spec.dtype)
        if array.dtype.kind != "f" and not np.array_equal(array.astype(np.float32), floats):
            raise refusal(f"{where}: output {spec.name!r} has values that {spec.dtype} has not")
    return array


def _read(kind: Any, value: object) -> Any:
    try:
        found = conform(kind, value)
        for name, each in walk(found):
            _check(name, each)
    except (ValueError, OverflowError, RecursionError) as error:
        raise refusal(str(error)) from None
    return found


def _check(name: str, value: Any) -> None:
    """Refuse what is too long, too large, not finite, negative, or holds what cannot be printed. Raises `ValueError`:
    it names the field called *name*."""
    if isinstance(value, str):
        _check_text(value, name)
    elif isinstance(value, tuple):
        most = _MOST.get(name, _USUAL_MOST)
        if len(value) > most:
            raise ValueError(f"{name} has {len(value)} items, at most {most}")
    elif isinstance(value, (int, float)) and not 0 <= value <= _LARGEST.get(name, _USUAL_LARGEST):  # NaN is neither
        raise ValueError(f"{name} is out of bounds")


def _check_text(text: str, name: str) -> None:
    most = _LONGEST.get(name, _USUAL_LONGEST)
    if len(text) > most:
        raise ValueError(f"{name} has {len(text)} characters, at most {most}")
    if not text.isprintable():  # control characters, line ends, half surrogates, marks that turn the direction of text
        raise ValueError(f"{name} holds characters that cannot be shown")
    if name in _PATTERNS and not re.fullmatch(_PATTERNS[name], text, re.ASCII):
        raise ValueError(f"{name} is not as it should be")
