"""Tables of operators: complete, with types, delegated or not, and what is said of them in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.errors import EdgekitError, UsageError
from edgekit.profiling.operators import decode, etdump, headline
from edgekit.profiling.operators.steps import OVERHEAD, Run, Step, tabulate
from edgekit.runtime.profiler.records import Operator, Operators
from edgekit.runtime.profiler.samples import Trace

FILES = ["mixed.tflite", "convolutions.tflite", "image.pte", "mixed.pte", "plain.pte"]


def _operators(table: Operators) -> list[Operator]:
    return [row for row in table.operators if row.type not in OVERHEAD]


@pytest.mark.parametrize("file", FILES)
def test_a_table_accounts_for_the_whole_time(traces: dict[str, Trace], file: str) -> None:
    table = decode(traces[file])
    assert table.runs == 20
    assert 0 < sum(row.time_us for row in _operators(table)) <= table.whole_us
    assert sum(row.time_us for row in table.operators) == pytest.approx(table.whole_us)
    assert all(row.type and row.time_us >= 0 and row.count == 1 for row in table.operators)
    for row in table.operators:
        assert row.min_us is not None and row.median_us is not None and 0 <= row.min_us <= row.median_us
    assert table.whole_min_us is not None and table.whole_median_us is not None
    assert table.whole_min_us <= table.whole_us and table.whole_min_us <= table.whole_median_us
    assert len({row.name for row in table.operators}) == len(table.operators)
    assert not any("#" in row.type for row in table.operators)


@pytest.mark.parametrize("format", ["tflite", "pte"])
def test_operators_of_xnnpack_appear_one_by_one(traces: dict[str, Trace], format: str) -> None:
    rows = _operators(decode(traces[f"image.{format}"]))
    for kind, number in (("Convolution (NHWC, F32)", 2), ("Fully Connected (NC, F32)", 1)):
        found = [row for row in rows if row.type.startswith(kind)]
        assert len(found) == number and all(row.delegated for row in found)
    assert next(row.name for row in rows if row.type.startswith("Fully")) == "Fully Connected (NC, F32) GEMM #1"


@pytest.mark.parametrize(
    ("file", "outside"), [("mixed.tflite", ["CUMSUM", "TOPK_V2"]), ("mixed.pte", ["cumsum.out", "topk.values"])]
)
def test_operators_outside_the_delegate_stand_between_its_own(
    traces: dict[str, Trace], file: str, outside: list[str]
) -> None:
    rows = _operators(decode(traces[file]))
    linear = "Fully Connected (NC, F32) GEMM"
    assert [row.type for row in rows] == [linear, outside[0], linear, outside[1], linear]
    assert [row.delegated for row in rows] == [True, False, True, False, True]
    assert [row.name for row in rows][::2] == [f"{linear} #{number}" for number in (1, 2, 3)]


def test_kernels_of_a_model_without_a_delegate_appear_in_order(traces: dict[str, Trace]) -> None:
    table = decode(traces["plain.pte"])
    assert [row.name for row in table.operators if row.type == "convolution.out"] == [
        "convolution.out #1",
        "convolution.out #2",
    ]
    assert not any(row.delegated for row in table.operators)
    assert table.operators[-1].type == "runtime overhead"
    assert headline(table).startswith("nothing delegated; slowest: ")


def test_what_a_delegate_takes_beside_its_operators_is_a_row_for_each_call(traces: dict[str, Trace]) -> None:
    rows = [row for row in decode(traces["mixed.pte"]).operators if row.type == "delegate overhead"]
    assert [row.name for row in rows] == [f"delegate overhead #{number}" for number in (1, 2, 3)]
    assert all(row.delegated for row in rows)


def test_layers_are_known_where_the_file_names_them(traces: dict[str, Trace]) -> None:
    rows = _operators(decode(traces["convolutions.tflite"]))
    named = [row for row in rows if row.source is not None]
    assert [row.type.split(" (")[0] for row in named] == ["Convolution", "Convolution", "Fully Connected"]
    assert [row.source for row in named] == [
        "Sequential/Conv2d_0 + Sequential/ReLU_1",
        "Sequential/Conv2d_2",
        "Sequential/Conv2d_3",
    ]
    (last,) = [row for row in rows if row.node is not None and row.source is None]
    assert last.type.startswith("Fully Connected"), "it makes the output, which bears the signature's name"
    assert all(row.node is None for row in rows if "Transpose" in row.type), "of no one node"


def test_in_a_graph_of_several_parts_only_operators_outside_the_delegate_are_certain(
    traces: dict[str, Trace],
) -> None:
    rows = _operators(decode(traces["mixed.tflite"]))
    assert [row.node is not None for row in rows] == [False, True, False, True, False]
    assert [row.node for row in _operators(decode(traces["mixed.pte"]))] == ["0_0", "0_1", "0_2", "0_3", "0_4"]


def test_times_are_means_of_the_typical_half() -> None:
    """Not medians, which whole microseconds would leave no fraction; not of all, where one hold-up weighs on all."""

    def run(*times_us: float, whole_us: float) -> Run:
        return Run(whole_us, tuple(Step(index, "op", each, True) for index, each in enumerate(times_us)))

    held_up = run(900, 0, whole_us=1000)
    typical = [run(10, first, whole_us=12 + first) for first in (0, 1, 1, 1)]
    table = tabulate([run(1, 0, whole_us=2), typical[0], held_up, *typical[1:], held_up, run(1, 0, whole_us=2)])
    assert [row.time_us for row in table.operators] == [10.0, 0.75, 2.0]
    assert [row.name for row in table.operators] == ["op #1", "op #2", "runtime overhead"]
    assert (table.whole_us, table.runs) == (12.75, 8)


def test_minimum_and_median_are_of_all_traced_inferences() -> None:
    times = (8.0, 2.0, 3.0, 40.0, 4.0)
    runs = [Run(time + 5.0, [Step(0, "convolution", time, True)]) for time in times]
    table = tabulate([*runs, Run(9.0, [])])  # in one it did not run
    (row, rest) = table.operators
    assert (row.min_us, row.median_us) == (0.0, 3.5)
    assert (rest.min_us, rest.median_us) == (5.0, 5.0)
    assert (table.whole_min_us, table.whole_median_us) == (7.0, 9.0)


def test_steps_that_an_inference_repeats_are_counted() -> None:
    steps = tuple(Step("same", "op", 2.0, False) for _ in range(3))
    (row, _) = tabulate([Run(6.0, steps), Run(6.0, steps)]).operators
    assert (row.count, row.time_us) == (3, 6.0)


def test_the_headline_names_the_slowest_operator_outside_the_delegate() -> None:
    rows = (
        Operator("Convolution #1", "Convolution", 1, 96.0, True),
        Operator("delegate overhead #1", "delegate overhead", 1, 1.1, True),
        Operator("topk #1", "topk", 1, 2.1, False),
        Operator("runtime overhead", "runtime overhead", 1, 0.8, False),
    )
    assert headline(Operators(100, 100.0, rows)) == "97.1 % of time delegated; slowest undelegated: topk #1, 2.1 %"
    delegated = Operators(100, 100.0, (replace(rows[0], time_us=98.1), rows[1], rows[3]))
    assert headline(delegated) == "99.2 % of time delegated; no operator outside"
    plain = Operators(100, 100.0, rows[2:])
    assert headline(plain) == "nothing delegated; slowest: topk #1, 2.1 %"


def test_the_headline_says_when_operators_are_too_short_to_tell() -> None:
    """XNNPACK cuts all times down to whole microseconds; ExecuTorch times the delegate as a whole besides."""
    short = tuple(Operator(f"Add #{number}", "Add", 1, 0.0, True) for number in range(8))
    rest = Operator("runtime overhead", "runtime overhead", 1, 30.0, False)
    delegate = Operator("delegate overhead #1", "delegate overhead", 1, 7.5, True)
    unknown = "delegated share unknown, as XNNPACK times its operators in whole microseconds; no operator outside"
    assert headline(Operators(100, 30.0, (*short, rest))) == unknown
    known = Operators(100, 30.0, (*short, delegate, replace(rest, time_us=22.5)))
    assert headline(known) == "25.0 % of time delegated; no operator outside"


@pytest.mark.parametrize("kind", ["etdump", "litert"])
def test_what_is_no_trace_is_refused(kind: str, traces: dict[str, Trace]) -> None:
    whole = traces["image.pte" if kind == "etdump" else "image.tflite"]
    for damaged in (
        Trace.pack(kind, b"nothing of the kind"),  # type: ignore[arg-type]
        Trace.pack(kind, whole.recorded()[:300]),  # type: ignore[arg-type]
        replace(whole, data=whole.data[: len(whole.data) // 8 * 4]),
        Trace.pack(kind, b'{"nodes": [], "runs": []}'),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError) as caught:
            decode(damaged)
        assert caught.value.code == "EK-ARGUMENT" and "\n" not in caught.value.message


def test_a_model_that_loops_on_litert_is_refused() -> None:
    events = [["Invoke", 1, 9, 0], ["WHILE", 2, 9, 0], ["ADD", 2, 5, 0]]
    recorded = json.dumps({"nodes": [[119, "out"]], "runs": [events]}).encode()
    with pytest.raises(EdgekitError, match="does not tell what runs inside of WHILE") as caught:
        decode(Trace.pack("litert", recorded))
    assert caught.value.code == "EK-UNSUPPORTED"


def test_the_reader_of_etdumps_is_named_when_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, traces: dict[str, Trace]
) -> None:
    monkeypatch.setattr(etdump, "find_spec", lambda _: None)
    with pytest.raises(EdgekitError, match="executorch") as caught:
        decode(traces["image.pte"])
    assert caught.value.code == "EK-MISSING-PACKAGE"


_PROGRAM = """
import json, sys
from edgekit.profiling.operators import decode
from edgekit.runtime.profiler.samples import Trace
for kind, path in zip(sys.argv[1::2], sys.argv[2::2]):
    decode(Trace.pack(kind, open(path, "rb").read()))
print(json.dumps(sorted({"torch", "pandas", "executorch", "ai_edge_litert"} & set(sys.modules))))
"""


def test_decoding_imports_no_framework(traces: dict[str, Trace], tmp_path: Path) -> None:
    arguments = []
    for file in ("image.pte", "image.tflite"):
        (tmp_path / file).write_bytes(traces[file].recorded())
        arguments += [traces[file].kind, str(tmp_path / file)]
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


_INSPECT = """
import json, sys
from executorch.devtools import Inspector
blocks = [block for block in Inspector(etdump_path=sys.argv[1]).event_blocks if block.name == "Execute"]
print(json.dumps([[event.name, event.perf_data.raw] for event in blocks[0].events]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("file", ["image.pte", "mixed.pte", "plain.pte"])
def test_executorch_reads_the_same_out_of_its_traces(traces: dict[str, Trace], tmp_path: Path, file: str) -> None:
    """`executorch.devtools.Inspector` gives the same times of the whole, of calls of kernels and of operators."""
    path = tmp_path / "trace.etdp"
    path.write_bytes(traces[file].recorded())
    done = subprocess.run([sys.executable, "-c", _INSPECT, path], capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout.splitlines()[-1])
    (whole_ms,) = [times for name, times in theirs if name == "Method::execute"]
    typical = sorted(range(20), key=lambda index: whole_ms[index])[5:15]

    def times_us(name: str) -> list[float]:
        return [sum(times[index] for index in typical) / 10 * 1000 for each, times in theirs if each == name]

    table = decode(traces[file])
    assert [table.whole_us] == pytest.approx(times_us("Method::execute"))
    outside = [row.time_us for row in _operators(table) if not row.delegated]
    assert outside == pytest.approx(times_us("OPERATOR_CALL"))
    delegated = {row.type for row in _operators(table) if row.delegated}
    for kind in delegated:
        names = dict.fromkeys(name for name, _ in theirs if name and name.startswith(f"{kind} #"))
        ours = [row.time_us for row in _operators(table) if row.type == kind]
        assert sorted(ours) == pytest.approx(sorted(time for name in names for time in times_us(name)))
