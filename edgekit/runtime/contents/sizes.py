"""How large tensors may be, whatever a file says."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.runtime.contents.refusal import Malformed

MAX_AXES = 16
#: Values of one tensor: an index into it fits 31 bits, as runtimes for devices have it.
MAX_VALUES = (1 << 31) - 1
#: The most that computed values may take at one time. Detectors at 1280 pixels take 200 MB.
MAX_MEMORY_BYTES = 3 << 28


def peak_bytes(nodes: Sequence[Sequence[int]], sizes: Sequence[int]) -> int:
    """The most bytes that are alive at one time, where each of *nodes* reads or writes the values that it names.

    Args:
        nodes: Numbers of values, for each operator in order of execution.
        sizes: Bytes of each value; 0 for constants.
    """
    last = {value: step for step, node in enumerate(nodes) for value in node}
    alive: set[int] = set()
    now = peak = 0
    for step, node in enumerate(nodes):
        fresh = set(node) - alive
        alive |= fresh
        now += sum(sizes[value] for value in fresh)
        peak = max(peak, now)
        done = {value for value in node if last[value] == step}
        alive -= done
        now -= sum(sizes[value] for value in done)
    return peak


def check_memory(nodes: Sequence[Sequence[int]], sizes: Sequence[int]) -> None:
    """Refuse what would take more memory than any honest model for a device. Raises `Malformed`: it would."""
    peak = max(peak_bytes(nodes, sizes), *sizes) if sizes else 0
    if peak > MAX_MEMORY_BYTES:
        raise Malformed(f"it would take {peak >> 20:,} MB to run")
