"""Options that several verbs have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edgekit.runtime.profiler.settings import Mode

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

BUNDLE = click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))
VARIANTS = click.option(
    "--variant", "variants", metavar="NAME", multiple=True, help="Keep to this variant. Repeatable."
)
SEED = click.option("--seed", type=click.IntRange(min=0), help="Of the order of measurements; by default a random one.")


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


def shapes(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """A callback: ``NAME=1,3,224,224``, any number of them, by name."""
    found = {}
    for each in given:
        name, _, sizes = each.rpartition("=")
        try:
            found[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            name = ""
        if not name:
            raise click.BadParameter(f"{each!r} is no NAME=SIZES: write x=1,3,224,224", context, option)
    return found


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
