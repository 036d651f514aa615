"""Profiles made by hand: what a session would have measured, from a noise model instead of a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from support.figures import figures

from edgekit.manifest import Variant
from edgekit.runtime.machine import Machine
from edgekit.runtime.profiler.profile import BundleRecord, DeviceRecord, Profile
from edgekit.runtime.profiler.records import (
    FAILED,
    MEASURED,
    NOT_RUN,
    BoardState,
    Cell,
    Conditions,
    Memory,
    Operator,
    Operators,
    Process,
)
from edgekit.runtime.profiler.samples import Samples, Spans
from edgekit.runtime.profiler.settings import Settings
from edgekit.tensors import Signature, TensorSpec

PI = "ssh://pi@raspberrypi.local"
EMULATED = "emulator:rpi3"
BOARD_BUNDLE = "4d" * 32
DESKTOP_BUNDLE = "7e" * 32


@dataclass(frozen=True)
class Noise:
    """What disturbs measurements on a shared machine, as shares of a duration.

    Attributes:
        common: Spread (sigma of the logarithm) of what a round has in common in all processes that take turns in it.
        process: Spread of what a process has for its whole life: where its memory lies, where its threads run.
        turn: Spread of what one process's turn in a round has alone.
        sample: Spread of single inferences.
        tail: Share of inferences that are held up by something else, by a multiple of their own duration.
        burst: Share of rounds in which something else keeps the machine busy for part of the round.
        busy: Share of rounds in which something else takes two fifths of the machine all the time.
    """

    common: float = 0.05
    process: float = 0.01
    turn: float = 0.015
    sample: float = 0.02
    tail: float = 0.02
    burst: float = 0.1
    busy: float = 0.0


QUIET = Noise(common=0.004, process=0.003, turn=0.002, sample=0.01, tail=0.005, burst=0.0)


def measured(
    medians_ms: Sequence[float],
    *,
    repeats: int = 5,
    rounds: int = 20,
    per_round: int = 12,
    noise: Noise = QUIET,
    seed: int = 0,
) -> list[list[tuple[Samples, tuple[int, ...]]]]:
    """The steady states of several cells that were measured side by side: for each cell, for each repeat, its
    samples and the sizes of its rounds."""
    rng = np.random.default_rng(seed)
    cells: list[list[tuple[Samples, tuple[int, ...]]]] = [[] for _ in medians_ms]
    for _ in range(repeats):
        common = rng.normal(0, noise.common, (rounds, 1))
        if noise.busy:
            common += np.log(1 / 0.6) * (rng.random((rounds, 1)) < noise.busy)
        bursts = rng.random((rounds, 1)) < noise.burst
        for cell, median_ms in enumerate(medians_ms):
            logarithm = common + rng.normal(0, noise.process) + rng.normal(0, noise.turn, (rounds, 1))
            factor = np.exp(logarithm + rng.normal(0, noise.sample, (rounds, per_round)))
            held_up = (rng.random(factor.shape) < noise.tail) * rng.exponential(0.5, factor.shape)
            # A burst falls on some of the turns in a round, and on some of the inferences in a turn.
            struck = bursts & (rng.random(factor.shape) < 0.5 * rng.random((rounds, 1)))
            factor += held_up + struck * rng.pareto(2.5, factor.shape)
            samples = Samples.pack((1e6 * median_ms * factor).ravel().astype(np.int64))
            cells[cell].append((samples, (per_round,) * rounds))
    return cells


def processes(
    steady: Sequence[tuple[Samples, tuple[int, ...]]],
    *,
    import_ms: float = 180.0,
    load_ms: float = 9.0,
    threads: int = 4,
    state: BoardState | None = None,
    preprocess_ms: float | None = None,
) -> tuple[Process, ...]:
    """Processes around these steady states, as a session leaves them."""
    made = []
    for repeat, (samples, sizes) in enumerate(steady):
        median_ns = int(np.median(samples.array()))
        at_s = 100.0 + 30 * repeat
        made.append(
            Process(
                repeat=repeat,
                order=repeat % 3,
                threads=threads,
                import_ms=import_ms * (1 + 0.02 * repeat),
                load_ms=load_ms * (1 if repeat % 2 else 2.5),
                load_cache="warm" if repeat % 2 else "cold",
                first_ms=3.1 * median_ns / 1e6,
                warm_up_calls=40,
                warm_up_s=0.6,
                settled=True,
                elapsed_ns=samples,
                round_sizes=sizes,
                spans=Spans(
                    Samples.pack([int(0.004 * median_ns)] * 32),
                    Samples.pack([int(0.99 * median_ns)] * 32),
                    Samples.pack([int(0.002 * median_ns)] * 32),
                ),
                preprocess_ns=None if preprocess_ms is None else Samples.pack([int(1e6 * preprocess_ms)] * 32),
                outputs_sha256="5a" * 32,
                before=None if state is None else replace(state, at_s=at_s),
                during=() if state is None else tuple(replace(state, at_s=at_s + 2 + step) for step in (0.5, 1.0, 1.5)),
                after=None if state is None else replace(state, at_s=at_s + 5),
                waited_s=1.5 if repeat == 0 else 0.0,
            )
        )
    return tuple(made)


def conditions(precision: str = "fp32", *, threads: int = 4, accelerator: str = "cpu", batch: int = 1) -> Conditions:
    return Conditions(
        threads=threads,
        inputs_sha256="1b" * 32,
        inputs=(f"float32[{batch}, 28, 28, 1]",),
        outputs=(f"float32[{batch}, 10]",),
        precision=precision,
        batch=batch,
        accelerator=accelerator,
    )


def cell(median_ms: float = 2.0, *, seed: int = 0, noise: Noise = QUIET, **changes: object) -> Cell:
    """A measured cell, alone in its session."""
    (steady,) = measured([median_ms], seed=seed, noise=noise)
    made = Cell(
        device="local",
        bundle=BOARD_BUNDLE,
        variant="fp32.tflite",
        engine="litert",
        engine_version="2.3.0",
        status=MEASURED,
        conditions=conditions(),
        processes=processes(steady),
        energy="this machine has no power meter that edgekit reads",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def variant(
    name: str,
    size_bytes: int,
    engines: tuple[str, ...],
    *,
    snr_db: float = 130.0,
    accuracy: float | None = 97.5,
    accuracy_drop: float | None = 0.0,
    delegated_share: float | None = 100.0,
) -> Variant:
    recipe, format = name.rsplit(".", 1)
    return Variant(
        name=name,
        file=f"variants/{name}",
        size_bytes=size_bytes,
        sha256=f"{size_bytes:064x}",
        format=format,
        recipe=recipe,
        engines=engines,
        minimum_runtime={},
        producers={},
        **figures(
            snr_db,
            recipe=recipe,
            agreement=100.0 if accuracy_drop in (0, None) else 100 - 2 * abs(accuracy_drop),
            max_abs_diff=10 ** (-snr_db / 20),
        ),
        delegated_share=delegated_share,
        undelegated_ops={} if delegated_share in (100.0, None) else {"SOFTMAX": 1},
        accuracy=accuracy,
        accuracy_drop=accuracy_drop,
    )


def bundles(*, labels: bool = True) -> tuple[BundleRecord, BundleRecord]:
    """A bundle for the board and one for the desktop, of one model; without labels nothing has an accuracy."""
    known = {} if labels else {"accuracy": None, "accuracy_drop": None}
    lossy = known or {"accuracy": 97.22, "accuracy_drop": 0.28}
    lossier = known or {"accuracy": 95.7, "accuracy_drop": 1.8}
    common = {
        "signature": Signature(
            (TensorSpec("image", (1, 28, 28, 1), "float32"),), (TensorSpec("scores", (1, 10), "float32"),)
        ),
        "source": {"framework": "torch", "parameter_count": 20490, "accuracy": 97.5 if labels else None},
    }
    board = BundleRecord(
        name="digits",
        sha256=BOARD_BUNDLE,
        target="rpi4",
        variants=(
            variant("fp32.tflite", 84_000, ("litert",), **known),
            variant("fp16.tflite", 45_000, ("litert",), snr_db=72.0, **known),
            variant("int8.tflite", 27_000, ("litert",), snr_db=31.0, **lossy),
            variant("fp32.pte", 88_000, ("executorch",), delegated_share=92.0, **known),
            variant("fp16.pte", 47_000, ("executorch",), snr_db=70.0, delegated_share=92.0, **known),
            variant("int8.pte", 29_000, ("executorch",), snr_db=29.5, delegated_share=88.0, **lossier),
        ),
        recommended={"variant": "int8.tflite", "reason": "int8 comes first for Raspberry Pi 4"},
        **common,
    )
    desktop = BundleRecord(
        name="digits",
        sha256=DESKTOP_BUNDLE,
        target="desktop-x86_64",
        variants=(
            variant("fp32.pt2", 95_000, ("torch", "torch-compile"), delegated_share=None, **known),
            variant("fp32.onnx", 86_000, ("onnxruntime",), delegated_share=None, **known),
        ),
        recommended={"variant": "fp32.pt2", "reason": "the only one"},
        **common,
    )
    return board, desktop


def devices() -> tuple[DeviceRecord, DeviceRecord, DeviceRecord]:
    """A Raspberry Pi 4, an emulated Raspberry Pi 3, and this desktop."""
    board = Machine(
        board="Raspberry Pi 4 Model B Rev 1.4",
        architecture="aarch64",
        kernel_architecture="aarch64",
        cpu="cortex-a72",
        cores=4,
        features=("neon",),
        memory_bytes=3_978_211_328,
        os="Debian GNU/Linux 12 (bookworm)",
        python="3.11.2",
        glibc="2.36",
        page_bytes=4096,
        free_memory_bytes=3_400_000_000,
    )
    desktop = Machine(
        board=None,
        architecture="x86_64",
        kernel_architecture="x86_64",
        cpu="Intel(R) Xeon(R) Processor @ 2.60GHz",
        cores=4,
        features=("avx2", "avx512", "vnni"),
        memory_bytes=16_777_216_000,
        os="Debian GNU/Linux 12 (bookworm)",
        python="3.11.9",
        glibc="2.36",
        page_bytes=4096,
        free_memory_bytes=12_000_000_000,
    )
    engines = {"litert": "2.3.0", "executorch": "1.5.1"}
    emulated = replace(board, board="Raspberry Pi 3 Model B", cpu="cortex-a53")
    return (
        DeviceRecord(PI, False, board, "rpi4", engines),
        DeviceRecord(EMULATED, True, emulated, "rpi3", engines),
        DeviceRecord(
            "local", False, desktop, "desktop-x86_64", {**engines, "torch": "2.13.0", "onnxruntime": "1.32.0"}
        ),
    )


def operators(whole_us: float, *, undelegated: bool) -> Operators:
    """A small network's, with a softmax outside the delegate if asked."""
    parts = [
        ("Convolution (NHWC, F32) IGEMM", 0.62, True, "model.py:12 conv1"),
        ("Convolution (NHWC, F32) DWConv", 0.21, True, "model.py:13 conv2"),
        ("Fully Connected (NC, F32) GEMM", 0.11, True, "model.py:17 head"),
        ("SOFTMAX" if undelegated else "Softmax (NC, F32)", 0.03, not undelegated, None),
    ]
    found = (Operator(f"{t} #1", t, 1, share * whole_us, inside, source) for t, share, inside, source in parts)
    return Operators(runs=50, whole_us=whole_us, operators=tuple(found))


def profile(*, noise: Noise = QUIET, seed: int = 0, mode: str = "default", labels: bool = True) -> Profile:
    """A whole session: a Raspberry Pi 4, an emulated Raspberry Pi 3 and this desktop, two bundles of one model.

    On the board ``int8.pte`` was throttled, ``fp16.tflite`` degraded and ``fp16.pte`` crashed. On the desktop
    PyTorch compiled is not installed and ``int8.pte`` ran on one thread. The emulated board has instructions and no
    latency.
    """
    repeats = 2 if mode == "quick" else 5
    cells = (*_board_cells(noise, seed, repeats), *_emulated_cells(), *_desktop_cells(noise, seed + 1, repeats))
    return Profile(
        created="2026-11-23T12:00:00Z",
        producer="edgekit 0.1.0",
        command=("edgekit", "profile", "digits-rpi4.edgekit", "digits-desktop.edgekit", "--on", PI, "--on", "local"),
        settings=Settings(mode=mode, seed=seed, repeats=repeats, seconds=10.0, samples=1024, operators=True),  # type: ignore[arg-type]
        bundles=bundles(labels=labels),
        devices=devices(),
        cells=cells,
        notes=("the file cache could not be dropped in 1 of 60 processes",),
    )


_BOARD_MS = {
    "fp32.tflite": 3.1,
    "fp16.tflite": 3.12,
    "int8.tflite": 1.7,
    "fp32.pte": 3.6,
    "int8.pte": 1.65,
}
_DESKTOP_MS: Mapping[tuple[str, str], float] = {
    ("fp32.tflite", "litert"): 0.42,
    ("fp16.tflite", "litert"): 0.424,
    ("int8.tflite", "litert"): 0.21,
    ("fp32.pte", "executorch"): 0.40,
    ("fp16.pte", "executorch"): 0.80,
    ("int8.pte", "executorch"): 0.55,
    ("fp32.pt2", "torch"): 0.95,
    ("fp32.onnx", "onnxruntime"): 0.36,
}


def _board_cells(noise: Noise, seed: int, repeats: int) -> list[Cell]:
    state = BoardState(
        at_s=0.0,
        frequencies_hz=(1_500_000_000,) * 4,
        governors=("ondemand",) * 4,
        temperature_celsius=52.1,
        throttled=0,
        load_per_core=0.03,
        free_memory_bytes=3_300_000_000,
        power_source="mains",
    )
    found = []
    energy = "the Raspberry Pi 4 has no power meter"
    for (name, median_ms), steady in zip(
        _BOARD_MS.items(), measured(list(_BOARD_MS.values()), noise=noise, seed=seed, repeats=repeats), strict=True
    ):
        litert = name.endswith("tflite")
        ran = processes(
            steady,
            import_ms=610.0 if litert else 330.0,
            load_ms=14.0 if litert else 11.0,
            state=state,
            preprocess_ms=0.31,
        )
        marks = {
            "int8.pte": "throttled: the firmware capped the frequency (bits 0x2) during the steady state",
            "fp16.tflite": "degraded: 63.2 degrees Celsius after 60 s of waiting, the limit is 60",
        }
        if name in marks:
            ran = (replace(ran[0], marks=(marks[name],)), *ran[1:])
        found.append(
            Cell(
                device=PI,
                bundle=BOARD_BUNDLE,
                variant=name,
                engine="litert" if litert else "executorch",
                engine_version="2.3.0" if litert else "1.5.1",
                status=MEASURED,
                conditions=conditions(name.split(".")[0]),
                processes=ran,
                memory=Memory(71_000_000 if litert else 46_000_000, 31_000_000, 38_000_000, 24_000_000),
                operators=operators(1030 * median_ms, undelegated=not litert),
                energy=energy,
            )
        )
    crash = "ended by SIGSEGV while it ran the first inference"
    found.insert(
        4,
        Cell(
            device=PI,
            bundle=BOARD_BUNDLE,
            variant="fp16.pte",
            engine="executorch",
            engine_version="1.5.1",
            status=FAILED,
            reason=crash,
            conditions=None,
            processes=tuple(
                Process(repeat, 0, import_ms=331.0, failure=crash, signal="SIGSEGV", log="Fatal Python error")
                for repeat in range(repeats)
            ),
            energy=energy,
        ),
    )
    return found


def _emulated_cells() -> list[Cell]:
    instructions = {"fp32.tflite": 2_610_442, "int8.tflite": 2_204_917, "fp32.pte": 2_702_118}
    return [
        Cell(
            device=EMULATED,
            bundle=BOARD_BUNDLE,
            variant=name,
            engine="litert" if name.endswith("tflite") else "executorch",
            engine_version="2.3.0" if name.endswith("tflite") else "1.5.1",
            status=MEASURED,
            conditions=conditions(name.split(".")[0], threads=1),
            energy="an emulated board takes no power of its own",
            guest_instructions=count,
        )
        for name, count in instructions.items()
    ]


def _desktop_cells(noise: Noise, seed: int, repeats: int) -> list[Cell]:
    versions = {"litert": "2.3.0", "executorch": "1.5.1", "torch": "2.13.0", "onnxruntime": "1.32.0"}
    state = BoardState(at_s=0.0, load_per_core=0.06, free_memory_bytes=12_000_000_000, power_source="mains")
    energy = "this machine has no power meter that edgekit reads"
    found = []
    for ((name, engine), median_ms), steady in zip(
        _DESKTOP_MS.items(), measured(list(_DESKTOP_MS.values()), noise=noise, seed=seed, repeats=repeats), strict=True
    ):
        threads = 1 if name == "int8.pte" else 4
        traced = engine in ("litert", "executorch")
        found.append(
            Cell(
                device="local",
                bundle=DESKTOP_BUNDLE if name.endswith(("pt2", "onnx")) else BOARD_BUNDLE,
                variant=name,
                engine=engine,
                engine_version=versions[engine],
                status=MEASURED,
                conditions=conditions(name.split(".")[0], threads=threads),
                processes=processes(
                    steady,
                    import_ms={"torch": 1450.0, "onnxruntime": 210.0}.get(engine, 95.0),
                    load_ms=4.0,
                    threads=threads,
                    state=state,
                    preprocess_ms=0.08,
                ),
                memory=Memory(410_000_000 if engine == "torch" else 60_000_000, 25_000_000, 35_000_000, 22_000_000),
                operators=operators(1030 * median_ms, undelegated=engine == "executorch") if traced else None,
                operators_reason="" if traced else f"edgekit does not trace {engine}",
                energy=energy,
            )
        )
    found.append(
        Cell(
            device="local",
            bundle=DESKTOP_BUNDLE,
            variant="fp32.pt2",
            engine="torch-compile",
            engine_version=None,
            status=NOT_RUN,
            reason="not installed",
            energy=energy,
        )
    )
    return found
