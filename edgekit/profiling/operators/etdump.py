"""ExecuTorch's event traces (ETDump).

ExecuTorch's own reader, ``executorch.devtools.Inspector``, takes ten seconds to import torch and pandas. It has the
same package's ``flatc`` turn the file into JSON by the schema next to it, which is all that is needed here: 0.1 s.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgekit import documents
from edgekit.errors import EdgekitError
from edgekit.profiling.operators.steps import DELEGATE_OVERHEAD, Run, Step, tabulate
from edgekit.runtime import children
from edgekit.runtime.profiler.records import Operators

_SCHEMA = Path("devtools") / "etdump" / "etdump_schema_flatcc.fbs"
_FLATC = Path("data") / "bin" / "flatc"
_FLATC_OPTIONS = ("--json", "--strict-json", "--defaults-json", "--size-prefixed", "--raw-binary")

#: What a trace may come to as JSON, and take to come to it: parts of a flatbuffer may be shared a thousand times over.
_MOST_TEXT_BYTES, _MOST_VALUES, _MOST_S = 64 << 20, 3_000_000, 30

_WHOLE, _DELEGATE_CALL, _KERNEL = "Method::execute", "DELEGATE_CALL", "native_call_"
_NUMBERED = re.compile(r" #\d+$")


def decode(recorded: bytes) -> Operators:
    """The operators in an ETDump file; times in it are nanoseconds, on every machine that edgekit knows.

    XNNPACK's operators appear one by one; those of another delegate as one row, when it does not report them. A row
    ``delegate overhead`` is what a call of a delegate took beside its operators.

    Raises:
        ValueError: It is no such file.
        EdgekitError: ``EK-MISSING-PACKAGE``: executorch is not installed.
    """
    blocks = _read(recorded).get("run_data") or []
    events = [
        [event["profile_event"] for event in block.get("events", []) if "profile_event" in event] for block in blocks
    ]
    return tabulate([run for run in map(_run, events) if run is not None])


def _read(recorded: bytes) -> Mapping[str, Any]:
    package = find_spec("executorch")
    folders = [] if package is None else [Path(folder) for folder in package.submodule_search_locations or ()]
    folder = next((folder for folder in folders if (folder / _FLATC).exists() and (folder / _SCHEMA).exists()), None)
    if folder is None:
        message = "ExecuTorch's traces are read by a tool of the executorch package, which is not installed"
        raise EdgekitError("EK-MISSING-PACKAGE", message, "pip install 'edgekit[build]'")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "trace.etdp"
        path.write_bytes(recorded)
        command = [str(folder / _FLATC), *_FLATC_OPTIONS, "-o", scratch, str(folder / _SCHEMA), "--", str(path)]
        done = children.run(children.limited(command, file_bytes=_MOST_TEXT_BYTES, cpu_s=_MOST_S), capture_output=True)
        if done.returncode:
            raise ValueError(" ".join((done.stderr or done.stdout).split())[:200])
        text = path.with_suffix(".json").read_text(encoding="utf-8", errors="replace")
    found = documents.parse(text, _MOST_VALUES)
    if not isinstance(found, dict):
        raise ValueError("it is no trace")
    return found


def _run(events: Sequence[Mapping[str, Any]]) -> Run | None:
    """One inference; None for a block of events that holds none, as ExecuTorch begins one block too many for each."""
    whole = next((event for event in events if event.get("name") == _WHOLE), None)
    return None if whole is None else Run(_elapsed_us(whole), tuple(_steps(events)))


def _steps(events: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
    """Events come when they end: what is inside a call, then the call, which is an instruction of the program."""
    kernel, inside = "", list[Mapping[str, Any]]()
    for event in events:
        name = event.get("name") or ""
        if "delegate_debug_id_str" in event or event["delegate_debug_id_int"] != -1:
            inside.append(event)
        elif name.startswith(_KERNEL):
            kernel = name.removeprefix(_KERNEL)
        elif name.endswith("_CALL"):
            address = event["chain_index"], event["instruction_id"]
            if name == _DELEGATE_CALL:
                yield from _delegated(event, inside, address)
            else:
                yield Step(address, kernel or name, _elapsed_us(event), delegated=False, node=_node(address))
            kernel, inside = "", []


def _delegated(
    call: Mapping[str, Any], inside: Sequence[Mapping[str, Any]], address: tuple[int, int]
) -> Iterator[Step]:
    node = _node(address)
    if not inside:
        yield Step(address, "delegate call", _elapsed_us(call), delegated=True, node=node)
        return
    for event in inside:
        label = event.get("delegate_debug_id_str") or f"delegate operator #{event['delegate_debug_id_int']}"
        yield Step((address, label), _NUMBERED.sub("", label), _elapsed_us(event), delegated=True, node=node)
    rest_us = _elapsed_us(call) - sum(map(_elapsed_us, inside))
    yield Step((address, DELEGATE_OVERHEAD), DELEGATE_OVERHEAD, max(0.0, rest_us), delegated=True, node=node)


def _elapsed_us(event: Mapping[str, Any]) -> float:
    return (event["end_time"] - event["start_time"]) / 1000


def _node(address: tuple[int, int]) -> str:
    return f"{address[0]}_{address[1]}"
