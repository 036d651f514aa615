"""What an inference engine offers edgekit, and what all adapters share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np

from edgekit.errors import BundleError, EdgekitError
from edgekit.target import Feature
from edgekit.tensors import Signature, TensorSpec


class WrongShape(Exception):
    """An array that `Session.run_one` was given has another shape than the signature's."""


class Steps(NamedTuple):
    """What `Session.run` does, in three functions: to be called in this order, each once, for every inference.

    Attributes:
        write: Copies the inputs in.
        invoke: Runs the model. On an accelerator it waits for the result.
        read: Copies the outputs out.
    """

    write: Callable[[Sequence[np.ndarray]], None]
    invoke: Callable[[], None]
    read: Callable[[], list[np.ndarray]]


class Session(Protocol):
    """One loaded method of a model file on one engine. Not thread-safe; not usable in a forked child.

    Attributes:
        threads: Number of threads the engine really uses, which may differ from what was asked for.
        run_one: `run` without its lists, for a method of one input and one output: array in, fresh array out. Unlike
            with `run`, nobody has checked the array's shape: it raises `WrongShape` for another than the signature's.
            None where the engine has no quicker way than `run`. It must not be called after `close`.
        steps: `run` taken apart, to be timed; None where the engine cannot. The same holds after `close`.
    """

    threads: int
    run_one: Callable[[np.ndarray], np.ndarray] | None
    steps: Steps | None

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the model once.

        Args:
            inputs: One array per input of the signature, in its order, with its shape and dtype, which the caller
                has checked; no larger than that where the method leaves sizes open (`edgekit.buckets.OpenMethod`). They
                may be strided or read-only. They are set before every execution, because planned
                input memory is reused for intermediate values (ExecuTorch 1.5.1 gives wrong outputs from the second
                run on otherwise, without an error).

        Returns:
            One fresh array per output, in the signature's order, that no later run writes to.

        Raises:
            EdgekitError: ``EK-RUN``: the engine failed.
        """
        ...

    def close(self) -> None:
        """Release the model; the session cannot run after that. Closing twice is harmless."""
        ...


class SteppedSession:
    """A `Session` that runs its *steps*, one after the other; they are None once it is closed."""

    steps: Steps | None
    _engine: str

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        if self.steps is None:
            raise EdgekitError("EK-RUN", f"{self._engine} failed to run the model: the session is closed")
        write, invoke, read = self.steps
        write(inputs)
        invoke()
        return read()


@dataclass(frozen=True)
class Platform:
    """What an engine's library needs of machines of one architecture: at least this glibc, and these CPU features.

    Measured: every exported file itself runs on every core, since XNNPACK picks its kernels when it loads one.
    """

    architecture: str
    glibc: str
    features: tuple[Feature, ...] = ()

    def fits(self, architecture: str, glibc: str, features: Iterable[str]) -> bool:
        """Whether machines of this kind have what it needs."""
        enough = version_numbers(glibc) >= version_numbers(self.glibc)
        return self.architecture == architecture and enough and set(self.features) <= set(features)


@dataclass(frozen=True)
class Package:
    """A package as ``pyproject.toml`` bounds it.

    Attributes:
        name: Of the distribution on the package index.
        extra: ``edgekit[EXTRA]`` brings it; None when edgekit itself does.
        least: First version that works.
        below: First version that is unproven; None when newer ones are taken to work, *least* when no other is.
        purpose: What is missing without it.
        aliases: Other distributions that bring the same.
    """

    name: str
    extra: str | None
    least: str
    below: str | None
    purpose: str
    aliases: tuple[str, ...] = ()

    @property
    def bounds(self) -> str:
        """As in ``>=2.13,<2.14``."""
        if self.below == self.least:
            return f"=={self.least}"
        return f">={self.least}" + (f",<{self.below}" if self.below else "")


#: Forms in which operators are recorded (see `edgekit.profiling.operators`).
TraceKind = Literal["etdump", "litert"]


class Engine(Protocol):
    """An inference runtime. Adapters inherit from it, for what most have in common.

    Attributes:
        name: What users call it, for example ``litert``.
        formats: File formats it loads, for example ``("tflite",)``.
        platforms: Where its library runs; empty when that is wherever it can be installed.
        accelerator: What it computes on: ``cpu``, ``cuda`` or ``webgpu``.
        in_browser: Whether only browsers have it.
        is_reference: Whether others are compared with it, where it was measured.
        tracer: ``module:function(data, signature, threads, inputs, runs, method)``, which gives the
            `edgekit.runtime.profiler.samples.Trace` of so many inferences after a warm-up; empty for one without.
        package: Distribution of ``devices/payload/pins`` that devices with Python are sent to have it; empty for
            one that is not sent.
        not_sent: Why it is not.
        packages: What it and its exporter take, where that is not in the list of `edgekit.runtime.packages`.
        in_runner: Whether the runner has it, which devices without Python are sent.
        trace: What the runner records of its operators; None for nothing.
        mark: Colour and shape in charts, from 1 on; 0 for any.
    """

    name: str
    formats: tuple[str, ...]
    platforms: tuple[Platform, ...] = ()
    accelerator: str = "cpu"
    in_browser: bool = False
    is_reference: bool = False
    tracer: str = ""
    package: str = ""
    not_sent: str = "it runs on desktops only"
    packages: tuple[Package, ...] = ()
    in_runner: bool = False
    trace: TraceKind | None = None
    mark: int = 0

    @property
    def install_hint(self) -> str:
        """One line that says how to get it."""
        ...

    def version(self) -> str | None:
        """The installed version, or None when it is not installed. Imports nothing."""
        ...

    def why_missing(self) -> str:
        """Why there is no version here, where another reason is known than that nothing is installed; else empty."""
        return ""

    def import_library(self) -> None:
        """Import what `open` needs and nothing of the model's, so that the two can be timed apart.

        Raises:
            EdgekitError: ``EK-ENGINE``: it cannot be imported.
        """
        ...

    def open(self, data: bytes, signature: Signature, threads: int, method: str | None = None) -> Session:
        """Load a model file.

        Args:
            data: The file's contents.
            signature: The names, shapes and dtypes to map the file's tensors to. Axes that the file leaves open get
                these sizes. Without outputs, those of the file are given, in its order and in whatever shape they have.
            threads: Threads to use, at least 1.
            method: Name of the method (``.pte``) or signature (``.tflite``) inside the file; None for the
                file's only one, or the one that bears the framework's own name for it (``forward``).

        Raises:
            EdgekitError: ``EK-RUN``: the engine refuses the file, or the file has no such method or does not fit
                the signature.
        """
        ...


def version_numbers(version: str) -> tuple[int, ...]:
    """Up to three numbers to compare versions by: ``2.13.0+cpu`` is (2, 13, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", version.split("+")[0])[:3])


#: What an engine failed to do, where it had loaded the model.
_RUN = "run the model"


def failure(engine: str, what: str, error: BaseException) -> EdgekitError:
    """The one-line `EdgekitError` for an exception out of an engine."""
    reason = " ".join(str(error).split()) or type(error).__name__
    hint = "use another recipe, format or engine"
    if what == _RUN:
        hint = f"does it take the values, such as indices, that it is given? If a check input fails, too, {hint}"
    return EdgekitError("EK-RUN", f"{engine} failed to {what}: {reason[:300]}", hint)


def misfit(engine: str, what: str) -> EdgekitError:
    """The `EdgekitError` for a model file whose tensors are not those of the signature."""
    message = f"{engine}: the model file does not fit the bundle's signature: {what}"
    return BundleError("EK-RUN", message, "build the bundle again")


def check_shapes(engine: str, specs: Sequence[TensorSpec], outputs: Sequence[np.ndarray]) -> None:
    """Refuse outputs of other shapes than the signature's: what a file gives may depend on what it is given."""
    for spec, array in zip(specs, outputs, strict=True):
        if array.shape != spec.shape:
            message = f"{engine}: output {spec.name!r} came out as {list(array.shape)}, not {list(spec.shape)}"
            hint = "its shape depends on the values of the input: edgekit runs models whose shapes do not"
            raise EdgekitError("EK-RUN", message, hint)


def only_forward(engine: str, method: str | None) -> None:
    """Refuse every method but ``forward``, for formats whose files have no other. Raises `EdgekitError` ``EK-RUN``."""
    if method not in (None, "forward"):
        raise missing_method(engine, method, ("forward",))


def missing_method(engine: str, method: str | None, known: Iterable[str]) -> EdgekitError:
    """The `EdgekitError` for a model file that lacks the method asked for."""
    what = f"has no method {method!r}" if method else "has several methods, and none was named"
    return EdgekitError("EK-RUN", f"{engine}: the model file {what}", f"it has: {', '.join(known) or 'none'}")
