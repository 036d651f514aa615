"""Whether a source model gives the same outputs for the same input, whatever it was given before.

An exported file has no memory and no dice: what a model keeps from call to call, or draws, is lost or frozen in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from edgekit.errors import UsageError

Sample = TypeVar("Sample")
Outputs = Sequence[np.ndarray]

#: How many samples are tried: calls are quick, and a state shows in the second.
PROBES = 5
#: Relative to an output's largest value. One thread rounds alike every time, wherever memory happens to lie.
_TOLERANCE = 1e-5
_MOST_NAMED = 4


class State(Protocol):
    """What a model keeps between calls."""

    def take(self) -> Any:
        """A copy of it."""
        ...

    def restore(self, taken: Any) -> None:
        """Make it again what `take` copied."""
        ...

    def differences(self, taken: Any) -> Mapping[str, Sequence[str]]:
        """Names of what is not any more as `take` copied it, by what they are (``buffer``, ``variable``, …)."""
        ...


def check_repeatable(
    what: str,
    call: Callable[[Sample], Outputs],
    samples: Sequence[Sample],
    state: State,
    initial: Any,
    drawn: Callable[[], Sequence[str]] = lambda: (),
) -> Mapping[str, Sequence[str]]:
    """Run *samples* with a fresh state each, twice, then one after the other, and compare.

    What a model builds at its first call and finds there later, as tables of positions are, is no state: the outputs
    are the same. Nor is what it only writes, as counters are.

    Args:
        what: How a message calls the model.
        call: Runs the model once.
        samples: A few, not all alike.
        initial: What *state* was before the model's first call.
        drawn: Names of what draws random numbers in the model, for the message.

    Returns:
        Names of what the model changes at every call without effect on these outputs, by what they are.

    Raises:
        UsageError: ``EK-SOURCE``: the outputs differ, and why.
    """

    def fresh(sample: Sample) -> Outputs:
        state.restore(initial)
        return call(sample)

    first = [fresh(sample) for sample in samples]
    second = [fresh(sample) for sample in samples]
    state.restore(initial)
    if lasting := state.differences(initial):
        raise stateful_error(what, lasting)
    if not _same(first, second):
        raise _unlike_error(what, drawn())
    in_a_row = [call(samples[0])]
    settled = state.take()
    in_a_row += [call(sample) for sample in samples[1:] or samples]
    changed = state.differences(settled)
    backwards = [call(sample) for sample in reversed(samples)][::-1]
    if not (_same(first, in_a_row[: len(first)]) and _same(first, backwards)):
        if operators := drawn():  # seldom enough to have missed both runs; what is written besides may be harmless
            raise _unlike_error(what, operators)
        raise stateful_error(what, changed or state.differences(initial))
    state.restore(initial)
    return changed


def stateful_error(what: str, changed: Mapping[str, Sequence[str]]) -> UsageError:
    """The error for a model whose outputs depend on what it was given before."""
    named = _named(changed)
    how = f"changes its {named} from call to call" if named else "keeps something from call to call"
    return UsageError(
        "EK-SOURCE",
        f"{what} {how}: its outputs depend on what it was given before, and an exported file remembers nothing",
        "hand the state in and out: make it an input and an output of the model",
    )


def write_error(what: str, changed: Mapping[str, Sequence[str]]) -> UsageError:
    """The error for a model that writes what has no effect on its outputs, where that cannot be exported."""
    return UsageError(
        "EK-SOURCE",
        f"{what} changes its {_named(changed)} at every call, in a way that cannot be exported",
        "leave that out in evaluation mode: an exported file keeps nothing",
    )


def _unlike_error(what: str, operators: Sequence[str]) -> UsageError:
    """The error for a model whose outputs differ, that has no state of its own, and draws by these *operators*."""
    message, off = f"{what} gives different outputs for the same input", "switch off in evaluation mode what draws"
    if operators:
        message += f": it draws random numbers ({', '.join(operators)})"
        hint = f"{off} random numbers, as dropout(x, training=self.training) does"
    else:
        hint = f"{off} random numbers, and hand in what it keeps outside of itself: in a global, a file, the clock"
    return UsageError("EK-SOURCE", message, hint)


def _named(changed: Mapping[str, Sequence[str]]) -> str:
    """What a model changes, as "buffers 'keys', 'values' and attribute 'n'"."""
    return " and ".join(_listed(kind, names) for kind, names in changed.items())


def _listed(kind: str, names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{kind}{'s' * (len(names) > 1)} {shown}{more}"


def _same(runs: Sequence[Outputs], others: Sequence[Outputs]) -> bool:
    return all(
        _close(one, other)
        for run, again in zip(runs, others, strict=True)
        for one, other in zip(run, again, strict=True)
    )


def _close(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    size = float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
    return np.allclose(one, other, rtol=0.0, atol=_TOLERANCE * size, equal_nan=True)
