"""``edgekit targets``: the classes of device that edgekit knows, and one target's facts with their sources."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from edgekit.cli import options
from edgekit.cli.console import note, result, table

if TYPE_CHECKING:
    from edgekit.target import FormatSupport, Target


@click.command(
    name="targets",
    epilog="""\b
Examples:
  edgekit targets                    every target in one line
  edgekit targets rpi4               what runs there, what does not, and where the facts are from
  edgekit targets boards/ours.toml   check a target file of your own
  edgekit targets rpi4 --json        the same for programs""",
)
@click.argument("name", required=False)
@options.output
def command(name: str | None, as_json: bool, quiet: bool) -> None:
    """List the targets, or one target's facts and sources.

    NAME is a target, or the path of a target file of your own.
    """
    from edgekit.target import load_target, target_names

    if name is not None:
        target = load_target(name)
        result(as_json, asdict(target), _facts(target))
        return
    targets = [load_target(known) for known in target_names()]
    result(as_json, {"targets": [asdict(target) for target in targets]}, _overview(targets))
    note("edgekit targets NAME has the facts of one, and where they are from", quiet or as_json)


def _overview(targets: list[Target]) -> list[str]:
    rows = []
    for target in targets:
        built = [f"{entry.format}: {' '.join(entry.recipes)}" for entry in target.formats if entry.recipes]
        core = target.cpu.core or target.cpu.architecture
        rows.append((target.name, target.title, core, " ".join(target.cpu.features) or "-", ", ".join(built)))
    return table(("target", "device", "core", "features", "built by default"), rows)


def _facts(target: Target) -> list[str]:
    cpu = target.cpu
    cores = f"{cpu.cores} cores" if cpu.cores else None
    lines = [f"{target.name}: {target.title} ({target.kind})", ""]
    lines.append(f"  processor   {', '.join(filter(None, (cpu.core, cpu.architecture, cores)))}")
    lines.append(f"  features    {', '.join(cpu.features) or 'none that edgekit relies on'}")
    if target.memory_bytes is not None:
        lines.append(f"  memory      {target.memory_bytes >> 20} MiB at least")
    if target.system is not None:
        lines.append(f"  system      glibc {target.system.glibc} or newer, Python {', '.join(target.system.python)}")
    lines.append(f"  threads     {target.threads}")
    lines.append(f"  recommends  {', then '.join(target.recipe_preference)}, of what keeps its quality")
    for entry in (*target.formats, *target.on_request()):
        lines += ["", *_format_facts(entry)]
    lines += ["", "  sources"]
    for citation in target.sources:
        lines += [f"    {citation.fact}", f"      {citation.source}"]
    return lines


def _format_facts(entry: FormatSupport) -> list[str]:
    lines = [f"  .{entry.format} on {', '.join(entry.engines)} ({entry.backend})"]
    lines.append(f"    built: {', '.join(entry.recipes) or 'only when asked for'}")
    if not entry.runs_on_host:
        lines.append("    exported, not run: no engine on a desktop has this backend")
    for concern in entry.avoid:
        which = " ".join(filter(None, (concern.recipe or "any recipe", concern.operator and f"({concern.operator}s)")))
        lines.append(f"    {which}: {concern.verdict}: {concern.reason}")
    return lines
