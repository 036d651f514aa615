"""A phone's result as a device and rows of a profile: checked against the bundle, and judged on this machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from edgekit.bundle import Bundle
from edgekit.devices.browser.job import FORMAT
from edgekit.devices.browser.posted import Battery, Posted, PostedCell, PostedProcess, decoded, read_posted, refusal
from edgekit.digests import sha256
from edgekit.errors import LimitError
from edgekit.fidelity import max_abs_diff
from edgekit.manifest import Manifest, Variant, manifest_bytes
from edgekit.runtime import frames
from edgekit.runtime.check_runs import CheckRun, CheckVectors, check_vectors, run_checks
from edgekit.runtime.engines import engine as find_engine
from edgekit.runtime.machine import MAX_DEFAULT_THREADS, Machine
from edgekit.runtime.profiler.fairness import conditions, first_inputs
from edgekit.runtime.profiler.profile import BrowserRecord, DeviceRecord
from edgekit.runtime.profiler.records import FAILED, MEASURED, NOT_RUN, BoardState, Cell, Process
from edgekit.runtime.profiler.samples import Samples
from edgekit.runtime.profiler.settings import Settings
from edgekit.runtime.verification import PASSED, Verification, compared, judge
from edgekit.tensors import Signature, first_sample, grouped

#: Accelerator as a page calls it -> the engine of its rows.
ENGINES = {"wasm": "litert-web", "webgpu": "litert-webgpu"}
#: What the same file should give as LiteRT's own build does.
_HOST_ENGINE = "litert"
#: Relative to the largest output: what is said of recipes that have no bound of their own.
_USUAL_TOLERANCE = 1e-3
#: Steps of the browser's timer in a span that is timed; the page aims at 100.
_LEAST_STEPS = 50
#: WebAssembly's, by its specification.
_PAGE_BYTES = 1 << 16

_AUTOMATED = "degraded: driven by a program: no phone's figure"
_ON_BATTERY = "degraded: on battery"
_NOTHING = "no inference was posted"


def read_result(
    value: object, bundle: Bundle, settings: Settings, *, name: str = "browser"
) -> tuple[DeviceRecord, tuple[Cell, ...]]:
    """What the page of *bundle* posted, as a device and its rows.

    Outputs are judged here, against the bundle's float reference and, where LiteRT is installed, against what it gives
    on this machine. A row with wrong outputs is ``failed``, one with others than LiteRT's has a remark.

    Args:
        value: The posted JSON.
        settings: Those of the job.
        name: Of the device.

    Raises:
        UsageError: ``EK-INPUT``: it does not fit the schema, the bundle or the job, in one line.
        BundleError: The bundle is damaged.
    """
    posted = read_posted(value)
    with Bundle.open(bundle.path) as own:  # which no other thread reads
        _check_fit(posted, own.manifest, settings)
        judgement = _Judgement(own)
        cells = tuple(_cell(posted, cell, judgement, settings, name) for cell in posted.cells)
    return _device(posted, name), cells


def _check_fit(posted: Posted, manifest: Manifest, settings: Settings) -> None:
    """Refuse what no page could have measured of this bundle with these settings."""
    if posted.bundle_sha256 != sha256(manifest_bytes(manifest)):
        raise refusal("it is of another bundle: reload the page")
    variants = {variant.name for variant in manifest.variants if variant.format == FORMAT}
    seen: set[tuple[str, str]] = set()
    for cell in posted.cells:
        if cell.variant not in variants:
            raise refusal(f"the bundle has no .{FORMAT} variant {cell.variant!r}")
        if (cell.variant, cell.accelerator) in seen:
            raise refusal(f"{cell.variant} on {cell.accelerator} is there twice")
        seen.add((cell.variant, cell.accelerator))
        _check_cell(cell, settings)


def _check_cell(cell: PostedCell, settings: Settings) -> None:
    where = f"{cell.variant} on {cell.accelerator}"
    if cell.status == MEASURED and (cell.threads is None or cell.build is None):
        raise refusal(f"{where}: threads or build are missing")
    most = settings.threads or MAX_DEFAULT_THREADS
    if cell.threads is not None and not 1 <= cell.threads <= most:
        raise refusal(f"{where}: {cell.threads} threads, at most {most} were asked for")
    if cell.threads not in (None, 1) and cell.build != "threaded":
        raise refusal(f"{where}: {cell.threads} threads in the {cell.build} build, which has 1")
    repeats = [process.repeat for process in cell.processes]
    if len(set(repeats)) < len(repeats) or any(repeat >= settings.repeats for repeat in repeats):
        raise refusal(f"{where}: repeats are not those that were asked for")
    for process in cell.processes:
        if sum(process.round_sizes) != len(process.elapsed_us):
            raise refusal(f"{where}: rounds and samples do not fit")
        if process.calls_per_sample < 1 or min(process.elapsed_us, default=1.0) < 1e-3:
            raise refusal(f"{where}: an inference takes no time")


class _Judgement:
    """What the bundle's variants should give, and what they give here."""

    def __init__(self, bundle: Bundle):
        self.manifest = bundle.manifest
        self.sha256 = sha256(manifest_bytes(bundle.manifest))
        self.inputs = first_inputs(bundle)
        self._path = bundle.path
        self.vectors: CheckVectors | None = None
        self.why_none = ""
        try:
            self.vectors = check_vectors(bundle)
        except LimitError as error:
            self.why_none = error.message

    def verdict(self, cell: PostedCell, entry: Variant) -> tuple[str, tuple[str, ...], list[np.ndarray] | None]:
        """Why the outputs of *cell* are wrong, or nothing; what else there is to say of them; and the outputs for the
        first sample."""
        if self.vectors is None:
            return self.why_none, (), None
        if cell.check_outputs is None:
            return "its outputs for the check samples were not posted", (), None
        run = CheckRun(self._outputs(cell, self.vectors), "", cell.threads)
        assert run.outputs is not None
        row = judge(entry, ENGINES[cell.accelerator], self.vectors, run)
        if row.status != PASSED:
            return f"wrong outputs: {row.reason}", (), None
        host = _host_runs(self._path, self.sha256).get(entry.name)
        remark = "" if host is None else _difference(compared(row, entry, run, host), run, host, self.manifest)
        first = list(first_sample(self.vectors.signature.outputs, run.outputs).values())
        return "", (remark,) if remark else (), first

    def _outputs(self, cell: PostedCell, vectors: CheckVectors) -> Mapping[str, np.ndarray]:
        assert cell.check_outputs is not None
        where, specs = f"{cell.variant} on {cell.accelerator}", vectors.signature.outputs
        if len(cell.check_outputs) != len(vectors.samples):
            raise refusal(f"{where}: {len(cell.check_outputs)} check samples, the bundle has {len(vectors.samples)}")
        return vectors.joined([decoded(texts, specs, where) for texts in cell.check_outputs])


@lru_cache(maxsize=4)
def _host_runs(path: Path, digest: str) -> Mapping[str, CheckRun]:
    """What LiteRT gives on this machine for the check samples of the bundle with this *digest*, by variant; nothing
    where it is not installed."""
    if find_engine(_HOST_ENGINE).version() is None:
        return {}
    with Bundle.open(path) as bundle:
        pairs = [(entry, _HOST_ENGINE) for entry in bundle.manifest.variants if entry.format == FORMAT]
        runs = run_checks(bundle, check_vectors(bundle), pairs, threads=1)
    return {variant: run for (variant, _), run in runs.items()}


def _difference(row: Verification, run: CheckRun, host: CheckRun, manifest: Manifest) -> str:
    """How the outputs differ from LiteRT's on this machine, in one line; empty when they are as they should be."""
    if run.outputs is None or host.outputs is None or row.host_rel_diff is None:
        return ""
    fits = row.host_rel_diff <= _USUAL_TOLERANCE if row.matches_host is None else row.matches_host
    if fits:
        return ""
    worst = max(max_abs_diff(host.outputs[name], array) for name, array in run.outputs.items())
    text = f"outputs differ from LiteRT's on this machine by up to {worst:.2g}"
    first = manifest.signature.outputs[0].name
    one, other = (found.outputs[first].reshape(len(run.outputs[first]), -1) for found in (run, host))  # type: ignore[index]
    changed = int((one.argmax(1) != other.argmax(1)).sum()) if one.shape[1] > 1 else 0
    if not changed:
        return text
    what = "label" if len(manifest.labels) == one.shape[1] else "largest output"
    return f"{text}; another {what} for {changed} of {len(one)} samples"


def _cell(posted: Posted, cell: PostedCell, judgement: _Judgement, settings: Settings, name: str) -> Cell:
    entry, engine = judgement.manifest.variant(cell.variant), ENGINES[cell.accelerator]
    made = Cell(
        device=name,
        bundle=judgement.sha256,
        variant=entry.name,
        engine=engine,
        engine_version=posted.browser.litert_js,
        status=NOT_RUN,
        reason=_said(cell.reason or "no reason"),
        energy="a browser sees no power meter",
        build=cell.build,
        fully_accelerated=cell.fully_accelerated,
    )
    if cell.status == NOT_RUN:
        return made
    signature = judgement.manifest.signature.batched(entry.batch)
    (inputs,) = grouped([judgement.inputs], entry.batch)
    met = conditions(signature, inputs, entry.recipe, find_engine(engine).accelerator, None, cell.threads)
    wrong, remarks, expected = ("", (), None) if cell.status == FAILED else judgement.verdict(cell, entry)
    processes = tuple(_process(posted, cell, each, signature, expected) for each in cell.processes)
    made = replace(made, conditions=met, processes=processes)
    if cell.status == FAILED:
        return replace(made, status=FAILED)
    failures = [process.failure for process in processes if process.failure]
    if wrong or len(failures) == len(processes):
        return replace(made, status=FAILED, reason=wrong or (failures[0] if failures else _NOTHING))
    return replace(
        made,
        status=MEASURED,
        reason=f"{len(failures)} of {len(processes)} processes failed: {failures[0]}" if failures else "",
        operators_reason="LiteRT.js traces no operators" if settings.operators else "",
        remarks=(*remarks, *_remarks(cell, settings)),
    )


def _remarks(cell: PostedCell, settings: Settings) -> list[str]:
    found = []
    if cell.fully_accelerated is False:
        found.append("not fully accelerated: some operators run outside the accelerated backend")
    if cell.build == "compat":
        found.append("the build for browsers without relaxed SIMD")
    if settings.threads is not None and cell.threads is not None and cell.threads < settings.threads:
        found.append(f"{cell.threads} thread{'' if cell.threads == 1 else 's'}, {settings.threads} were asked for")
    return found


def _process(
    posted: Posted,
    cell: PostedCell,
    process: PostedProcess,
    signature: Signature,
    expected: Sequence[np.ndarray] | None,
) -> Process:
    """One repeat; *expected* are the outputs of the input that was timed, as the check run had them."""
    failure, digest = _said(process.failure), None
    if not failure and not process.elapsed_us:
        failure = _NOTHING
    if process.outputs:
        arrays = decoded(process.outputs, signature.outputs, f"{cell.variant} on {cell.accelerator}")
        digest = hashlib.sha256(frames.pack(arrays)).hexdigest()
        if expected is not None and not all(map(_alike, arrays, expected)):
            failure = failure or "its outputs while it was timed are not those for the check samples"
    return Process(
        repeat=process.repeat,
        order=process.order,
        threads=cell.threads,
        import_ms=process.import_ms,
        load_ms=process.load_ms,
        first_ms=process.first_ms,
        warm_up_calls=process.warm_up_calls,
        warm_up_s=process.warm_up_s,
        settled=process.settled,
        elapsed_ns=Samples.pack(np.rint(np.array(process.elapsed_us) * 1e3)) if process.elapsed_us else None,
        round_sizes=process.round_sizes,
        outputs_sha256=digest,
        before=_state(process.battery_before),
        after=_state(process.battery_after),
        marks=tuple(_marks(posted, process)),
        failure=failure,
        calls_per_sample=process.calls_per_sample,
    )


def _alike(timed: np.ndarray, expected: np.ndarray) -> bool:
    """Whether every sample of a batch is as *expected*, but for rounding."""
    one, other = np.asarray(timed, np.float64), np.asarray(expected, np.float64)
    return bool((np.abs(one - other) <= _USUAL_TOLERANCE * np.abs(other).max(initial=0.0)).all())


def _marks(posted: Posted, process: PostedProcess) -> list[str]:
    found = []
    if posted.browser.automated:
        found.append(_AUTOMATED)
    if process.hidden_changes:
        times = f"{process.hidden_changes} time{'' if process.hidden_changes == 1 else 's'}"
        found.append(f"degraded: the page was hidden or shown {times} while it measured")
    if any(battery is not None and not battery.charging for battery in (process.battery_before, process.battery_after)):
        found.append(_ON_BATTERY)
    if process.elapsed_us and posted.browser.timer_resolution_us:
        span_us = float(np.median(process.elapsed_us)) * process.calls_per_sample
        steps = span_us / posted.browser.timer_resolution_us
        if steps < _LEAST_STEPS:
            found.append(f"degraded: timed in spans of {steps:.0f} steps of the browser's timer")
    return found


def _state(battery: Battery | None) -> BoardState | None:
    if battery is None:
        return None
    percent = None if battery.level is None else 100 * battery.level
    return BoardState(at_s=0.0, power_source="mains" if battery.charging else "battery", battery_percent=percent)


def _said(text: str) -> str:
    """A text of the page's, marked as such: nothing that a table or a spreadsheet would take for its own."""
    return f"the page says: {text}" if text else ""


def _device(posted: Posted, name: str) -> DeviceRecord:
    browser = posted.browser
    machine = Machine(
        board=browser.model,
        architecture="wasm32",
        kernel_architecture="wasm32",
        cpu=None,
        cores=browser.cores,
        features=(),
        memory_bytes=None,
        os=system(browser.user_agent),
        python=None,
        glibc=None,
        page_bytes=_PAGE_BYTES,
    )
    used = dict.fromkeys(ENGINES[cell.accelerator] for cell in posted.cells)
    facts = {**vars(browser), "connection": posted.connection, "why_threads": posted.why_threads}
    record = BrowserRecord(**facts, started=posted.started)
    return DeviceRecord(name, False, machine, "browser", dict.fromkeys(used, browser.litert_js), browser=record)


#: What stands in a user agent -> what people call it; the first that is there.
_BROWSERS = {
    r"Edg(?:A|iOS)?/(\d+)": "Edge",
    r"OPR/(\d+)": "Opera",
    r"SamsungBrowser/(\d+)": "Samsung Internet",
    r"(?:Firefox|FxiOS)/(\d+)": "Firefox",
    r"(?:Chrome|HeadlessChrome|CriOS)/(\d+)": "Chrome",
    r"Version/(\d+).* Safari/": "Safari",
}
_SYSTEMS = {
    r"Android": "Android",
    r"iPhone": "iPhone",
    r"iPad": "iPad",
    r"CrOS": "ChromeOS",
    r"Mac OS X": "macOS",
    r"Windows": "Windows",
    r"Linux": "Linux",
}


def system(user_agent: str) -> str:
    """``Chrome 128 on Android``, from what the browser calls itself."""
    found = ((name, re.search(pattern, user_agent, re.ASCII)) for pattern, name in _BROWSERS.items())
    browser = next((f"{name} {match[1][:4]}" for name, match in found if match), "a browser")
    platform = next((name for pattern, name in _SYSTEMS.items() if pattern in user_agent), "an unknown system")
    return f"{browser} on {platform}"
