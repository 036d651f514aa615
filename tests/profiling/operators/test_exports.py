"""Operators in the files of other tools: Chrome's trace events, and Model Explorer's node data."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from support import profiles

from edgekit.profiling.operators import decode
from edgekit.profiling.operators.chrome import trace
from edgekit.profiling.operators.model_explorer import node_data
from edgekit.runtime.profiler.profile import Profile
from edgekit.runtime.profiler.records import Cell
from edgekit.runtime.profiler.samples import Trace


@pytest.fixture(scope="module")
def traced(traces: dict[str, Trace]) -> Profile:
    """Three cells with real operators on one device, one on another, and one without operators."""
    some = profiles.profile()
    first = some.cells[0]
    pi, other = some.devices[0].name, some.devices[1].name

    def cell(file: str, engine: str, device: str = pi) -> Cell:
        return replace(first, device=device, variant=file, engine=engine, operators=decode(traces[file]))

    cells = (
        cell("convolutions.tflite", "litert"),
        replace(first, variant="untraced", operators=None),
        cell("mixed.tflite", "litert"),
        cell("mixed.pte", "executorch"),
        cell("plain.pte", "executorch", other),
    )
    return replace(some, cells=cells)


def test_a_chrome_trace_is_of_complete_events(traced: Profile) -> None:
    document = json.loads(json.dumps(trace(traced), allow_nan=False))
    assert isinstance(document["traceEvents"], list)
    for event in document["traceEvents"]:
        assert event["ph"] in ("X", "M") and isinstance(event["name"], str)
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int) and isinstance(event["args"], dict)
        if event["ph"] == "X":
            assert event["ts"] >= 0 and event["dur"] >= 0 and event["cat"]
        else:
            assert event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str)


def test_a_chrome_trace_has_a_track_for_each_traced_cell(traced: Profile) -> None:
    events = trace(traced)["traceEvents"]
    tracks = {event["tid"]: event for event in events if event["name"] == "thread_name"}
    assert len(tracks) == 4
    assert "convolutions.tflite on litert" in tracks[1]["args"]["name"]
    names = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert names == [device.name for device in traced.devices[:2]]
    assert [tracks[number]["pid"] for number in (1, 2, 3, 4)] == [1, 1, 1, 2]


def test_operators_of_a_track_lie_one_after_the_other_inside_the_inference(traced: Profile) -> None:
    events = [event for event in trace(traced)["traceEvents"] if event["ph"] == "X" and event["tid"] == 1]
    whole, *operators = events
    assert whole["name"] == "inference" and whole["args"] == {"traced inferences": 20}
    for one, following in itertools.pairwise(operators):
        assert following["ts"] == pytest.approx(one["ts"] + one["dur"])
    assert operators[-1]["ts"] + operators[-1]["dur"] == pytest.approx(whole["dur"])
    table = traced.cells[0].operators
    assert table is not None
    assert [event["name"] for event in operators] == [row.name for row in table.operators]
    assert operators[1]["args"]["source"] == "Sequential/Conv2d_0 + Sequential/ReLU_1"
    assert {event["cat"] for event in operators} == {"delegated", "not delegated"}


def test_node_data_is_by_tensor_name_for_a_tflite(traced: Profile, operator_models: Path) -> None:
    document = json.loads(json.dumps(node_data(traced)))
    data = document["main"]
    assert data["name"].startswith(traced.bundle(traced.cells[0]).name) and "convolutions.tflite" in data["name"]
    assert len(data["results"]) == 4, "three convolutions and a linear layer"
    file = (operator_models / "convolutions.tflite").read_bytes()
    assert all(name.encode() in file and result["value"] >= 0 for name, result in data["results"].items())
    assert [(stop["stop"], stop["bgColor"]) for stop in data["gradient"]] == [(0, "#ffffff"), (1, "#d55e00")]


def test_node_data_is_by_instruction_for_a_pte(traced: Profile) -> None:
    data = node_data(traced)["forward"]
    assert list(data["results"]) == [f"forward_0_{index}" for index in range(5)]
    table = traced.cells[3].operators
    assert table is not None
    delegate_us = sum(row.time_us for row in table.operators if row.node == "0_0")
    assert data["results"]["forward_0_0"]["value"] == pytest.approx(delegate_us, abs=1e-3)


def test_cells_that_share_a_graph_are_all_there(traced: Profile) -> None:
    document = node_data(traced)
    assert list(document)[:1] == ["main"] and len(document) == 4
    assert any("mixed.tflite" in graph for graph in document) and any("plain.pte" in graph for graph in document)


def test_a_profile_without_operators_exports_nothing() -> None:
    bare = replace(profiles.profile(), cells=())
    assert trace(bare)["traceEvents"] == [] and node_data(bare) == {}
