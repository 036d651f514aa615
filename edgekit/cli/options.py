"""Options that several verbs have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edgekit.runtime.profiler.settings import Mode

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

VARIANTS = click.option(
    "--variant", "variants", metavar="NAME", multiple=True, help="Keep to this variant. Repeatable."
)
SEED = click.option("--seed", type=click.IntRange(min=0), help="Of the order of measurements; by default a random one.")


def bundle(*, reference: bool = True, sample: str | None = None) -> Decorator:
    """``BUNDLE``, which may be a model file as it is, with the options for one.

    Args:
        reference: Whether the verb compares outputs (see `edgekit.runtime.given.bundle_at`).
        sample: The verb's own parameter that names a file of inputs, in place of ``--sample``.
    """
    argument = click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))
    return _takes("bundle", argument, reference, sample)


def bundles(metavar: str, *, reference: bool = True) -> Decorator:
    """Any number of them."""
    return _takes("bundles", _several(metavar), reference, None)


def named(bundle: Path) -> Path:
    """What the user wrote for *bundle*."""
    from edgekit.runtime import given

    return given.named(bundle)


def _several(metavar: str) -> Decorator:
    return click.argument("bundles", metavar=metavar, nargs=-1, required=True, type=click.Path(path_type=Path))


def _takes(name: str, argument: Decorator, reference: bool, sample: str | None) -> Decorator:
    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def taking(*, shapes: tuple[str, ...], own_sample: Path | None = None, **values: Any) -> None:
            given = values[name]
            several = isinstance(given, tuple)
            own = values[sample] if sample and not values.get("dequantize") else None  # floats are none of the file's
            inputs = own if sample else own_sample
            taken = [
                _taken(path, shapes, inputs, reference, sample is None) for path in (given if several else (given,))
            ]
            command(**{**values, name: tuple(taken) if several else taken[0]})

        with_options = taking if sample else _SAMPLE(taking)
        return argument(_SHAPE(with_options))

    return decorate


def _taken(path: Path, shapes: tuple[str, ...], sample: Path | None, reference: bool, is_for_it: bool) -> Path:
    """Where the bundle is that *path* names, or the one that is made of the model file there."""
    if path.suffix == ".edgekit" and not shapes and not (sample and is_for_it):
        return path  # nothing else has to be imported
    from edgekit.runtime import given
    from edgekit.shapes import parse_shapes

    is_arrays = sample is not None and sample.suffix.lower() in (".npy", ".npz")
    is_model = given.format_of(path) is not None
    used = sample if is_for_it or (is_arrays and is_model) else None
    return given.bundle_at(path, given.Options(parse_shapes(shapes), used), reference=reference)


_SHAPE = click.option(
    "--shape",
    "shapes",
    metavar="[INPUT=]SIZES",
    multiple=True,
    help="Of a model file as it is: shape of an input whose axes it leaves open, as x=1,3,224,224. Repeatable.",
)
_SAMPLE = click.option(
    "--sample",
    "own_sample",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Of a model file as it is: an .npz with inputs to check with, in place of random ones.",
)


class _On(click.Option):
    """``--on DEVICE``, for devices with *ability* (a protocol of `edgekit.devices.base`, by name)."""

    def __init__(self, *arguments: Any, ability: str, **options: Any):
        self._ability, self._more = ability, ""
        super().__init__(*arguments, **options)

    @property
    def help(self) -> str:
        """Put together when it is shown: other packages are asked for their devices."""
        from edgekit.devices.kinds import written

        return " ".join(filter(None, (f"{written(self._ability)}.", self._more)))

    @help.setter
    def help(self, text: str | None) -> None:
        self._more = text or ""


def on(ability: str, help: str = "", **more: Any) -> Decorator:
    """``--on``: its help lists the devices that can do what the verb asks, other packages' among them."""
    name = "devices" if more.get("multiple") else "device"
    shown = "default" in more
    return click.option("--on", name, metavar="DEVICE", cls=_On, ability=ability, help=help, show_default=shown, **more)


def threads(more: str = "") -> Decorator:
    """``--threads``, with *more* to say of it."""
    words = f"Threads to use; by default one per core, at most 4{more}."
    return click.option("--threads", type=click.IntRange(min=1), help=words)


def files(help: str) -> Decorator:
    """``-o FILE``, any number of them."""
    return click.option("-o", "outputs", metavar="FILE", multiple=True, type=click.Path(path_type=Path), help=help)


def output(command: Callable[..., None]) -> Callable[..., None]:
    """``--json`` and ``--quiet`` of a verb's *command*."""
    document = "One JSON document on standard output, when all is done; has the error of what failed."
    command = click.option("-q", "--quiet", is_flag=True, help="Say nothing but the result.")(command)
    return click.option("--json", "as_json", is_flag=True, help=document)(command)


def mode_of(quick: bool, strict: bool) -> Mode:
    """What ``--quick`` and ``--strict`` ask for.

    Raises:
        UsageError: ``EK-ARGUMENT``: they do not go together.
    """
    from edgekit.errors import UsageError

    if quick and strict:
        raise UsageError("EK-ARGUMENT", "--quick and --strict exclude each other", "leave one out")
    return "quick" if quick else "strict" if strict else "default"
