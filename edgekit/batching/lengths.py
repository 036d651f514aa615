"""Which sequences are computed together."""

from __future__ import annotations

from collections.abc import Sequence

#: Fewer make a group too small to gain by; measured with LSTMs of 32 to 256 features on a desktop.
_ENOUGH = 32


def similar(lengths: Sequence[int], *, padding: float = 0.2, enough: int = _ENOUGH) -> list[list[int]]:
    """Groups of indices, longest sequences first; each index is in one of them.

    Args:
        padding: Share of its longest sequence by which a sequence in a group may be shorter. With 0, the sequences of a
            group have one length.
        enough: A group of fewer sequences takes shorter ones, too; not where *padding* is 0.
    """
    groups: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        alike = bool(groups) and lengths[index] >= longest * (1 - padding)
        if not alike and not (groups and padding and len(groups[-1]) < enough):
            groups.append([])
            longest = lengths[index]
        groups[-1].append(index)
    return groups
