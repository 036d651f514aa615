"""Which of two files is faster, whatever they compute in: for the choice of one to ship."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.profiling.comparison import FASTER, SLOWER, Verdict, race
from edgekit.profiling.rows import Row
from edgekit.runtime.profiler.profile import Profile

_OPPOSITE: dict[Verdict, Verdict] = {FASTER: SLOWER, SLOWER: FASTER}


class Races:
    """Every two rows of a device are compared once, when they are asked for.

    Args:
        rows: One of each of the profile's cells, in their order.
    """

    def __init__(self, profile: Profile, rows: Sequence[Row]):
        self._profile = profile
        self._places = {id(row): place for place, row in enumerate(rows)}
        self._found: dict[tuple[int, int], Verdict] = {}

    def verdict(self, base: Row, new: Row) -> Verdict:
        """What is shown of *new* against *base*; ``not comparable`` where they were not measured side by side."""
        one, other = self._places[id(base)], self._places[id(new)]
        key = min(one, other), max(one, other)
        if key not in self._found:
            before, after = (self._profile.cells[place] for place in key)
            floor = self._profile.device(after).noise_floor_percent
            self._found[key] = race(before, after, noise_floor_percent=floor, seed=self._profile.settings.seed).verdict
        found = self._found[key]
        return found if one < other else _OPPOSITE.get(found, found)
